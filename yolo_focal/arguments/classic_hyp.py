"""Hyperparameter files of the original YOLOv5, translated to this package's arguments for its anchor detector.

`box`, `cls` and `cls_pw` mean other things to Ultralytics 8, so such a file must never be passed through as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.errors import ConfigError
from yolo_focal.numbers import is_number

__all__ = ["CLASSIC_KEYS", "ClassicKey", "IMPLIED", "Translation", "is_classic", "refuse_classic", "translate"]


@dataclass(frozen=True)
class ClassicKey:
    """What becomes of one key of a classic file.

    Attributes:
        name: in the classic file.
        fate: mapped to an argument, ignored, or refused.
        argument: the argument it is mapped to.
        reason: why, where that is not plain.
    """

    name: str
    fate: Literal["mapped", "ignored", "refused"]
    argument: str | None = None
    reason: str = ""


def _mapped(*names: str) -> tuple[ClassicKey, ...]:
    return tuple(ClassicKey(name, "mapped", name) for name in names)


CLASSIC_KEYS: dict[str, ClassicKey] = {
    key.name: key
    for key in (
        *_mapped("lr0", "lrf", "momentum", "weight_decay", "warmup_epochs", "warmup_momentum", "warmup_bias_lr"),
        ClassicKey("box", "mapped", "box", "YOLOv5's gain, which the anchor detector takes in YOLOv5's meaning"),
        ClassicKey("cls", "mapped", "cls", "YOLOv5's gain"),
        ClassicKey("cls_pw", "mapped", "cls_pos_weight", "weight of positives; Ultralytics' cls_pw weighs classes"),
        *_mapped("obj", "obj_pw", "anchor_t"),
        ClassicKey("iou_t", "ignored", None, "YOLOv5 itself does not read it"),
        ClassicKey(
            "fl_gamma", "mapped", "fl_gamma", "0 means off; above, alpha is 0.25, both criteria are wrapped, fl_gain=1"
        ),
        ClassicKey("label_smoothing", "mapped", "cls_smoothing", "Ultralytics has dropped the old name"),
        *_mapped("hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective"),
        *_mapped("flipud", "fliplr", "mosaic", "mixup", "copy_paste"),
        ClassicKey(
            "anchors", "refused", None, "write sizes to 'anchors:' of a model YAML; AutoAnchor keeps their number"
        ),
    )
}

# What YOLOv5's train.py and val.py do without being asked, and Ultralytics does otherwise.
IMPLIED: dict[str, Any] = {
    "optimizer": "SGD",  # Ultralytics' default 'auto' passes over lr0 and momentum
    "close_mosaic": 0,  # Ultralytics trains the last ten epochs without mosaic
    "iou": 0.6,  # of NMS in validation; Ultralytics' default is 0.7
}

_SIGNS = frozenset({"obj", "obj_pw", "iou_t", "anchor_t", "label_smoothing"})
_LARGEST_BOX = 0.5  # YOLOv5's box gain is 0.05, Ultralytics' 7.5
_OF_A_RUN = frozenset({"task", "mode"})
_SIGNS_OF_OTHERS = frozenset({*TRAINING_KEYS, *_OF_A_RUN, "epochs", *IMPLIED}) - CLASSIC_KEYS.keys()


@dataclass(frozen=True)
class Translation:
    """A classic file in this package's arguments.

    Attributes:
        arguments: for a training of the anchor detector.
        ignored: names of the keys without effect, with the reason.
    """

    arguments: dict[str, Any]
    ignored: dict[str, str]


def is_classic(content: Mapping[str, Any]) -> bool:
    """Whether `content` is a hyperparameter file of the original YOLOv5, and not one of Ultralytics or this package.

    It is, whole or in part, if some key or a small box gain shows it and no key is one that YOLOv5 did not have. The
    args.yaml of a training, which has all keys of Ultralytics, is none.

    Raises:
        ConfigError: it has keys of both whose meanings differ.
    """
    if content.keys() >= _OF_A_RUN:
        return False
    signs = [f"'{name}'" for name in sorted(content.keys() & _SIGNS)]
    box: Any = content.get("box")
    if is_number(box) and box < _LARGEST_BOX:
        signs.append(f"box: {box}")
    foreign = sorted(content.keys() - CLASSIC_KEYS.keys())
    if not signs or not foreign:
        return bool(signs)
    if len(signs) > 1 and not content.keys() & _SIGNS_OF_OTHERS:
        return True  # translating it names the keys that are no one's
    unsure = sorted(content.keys() & {"cls_pw", "iou_t", "label_smoothing"})
    if unsure:
        raise ConfigError(
            f"'{unsure[0]}' beside {', '.join(signs)} is YOLOv5's, and '{foreign[0]}' is not: it cannot be told which "
            "of the two kinds of file this is; YOLOv5's cls_pw is cls_pos_weight here, label_smoothing cls_smoothing, "
            "and iou_t is to be left out"
        )
    return False


def refuse_classic(content: Mapping[str, Any], source: str) -> None:
    """Raise ConfigError for a classic file where none can be translated.

    Args:
        content: of the file.
        source: how it was given, as in `losses=hyp.yaml`.
    """
    if is_classic(content):
        raise ConfigError(
            f"{source} is a YOLOv5 file, whose keys mean other things here; 'yolo-focal train cfg=' translates it, and "
            "args.yaml of that training has its settings in today's words"
        )


def translate(content: Mapping[str, Any], file: str) -> Translation:
    """The training arguments that mean in this package what `content` meant in YOLOv5.

    Args:
        content: a classic file.
        file: its name, for messages.

    Raises:
        ConfigError: every key that is unknown or refused.
    """
    problems, arguments, ignored = [], dict(IMPLIED), {}
    for name, value in content.items():
        key = CLASSIC_KEYS.get(name)
        if key is None:
            problems.append(f"'{name}' in {file} is not a hyperparameter of YOLOv5; remove it")
        elif key.fate == "refused":
            problems.append(f"'{name}' in {file} cannot be translated: {key.reason}")
        elif key.argument is None:
            ignored[name] = key.reason
        elif name != "fl_gamma" or value:
            arguments[key.argument] = value
    if "fl_gamma" in arguments:
        arguments["fl_gain"] = 1.0  # YOLOv5 leaves focal loss at its own scale
    if problems:
        raise ConfigError(problems)
    return Translation(arguments, ignored)
