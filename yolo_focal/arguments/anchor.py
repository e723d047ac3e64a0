"""The training arguments of the anchor detector, checked once, as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yolo_focal.arguments.key import Key, number, problems_of, switch
from yolo_focal.errors import ConfigError
from yolo_focal.numbers import is_number

__all__ = ["ANCHOR_KEYS", "AnchorConfig", "read_anchor_config"]

# Ultralytics' default box gain belongs to its own box loss and is 150 times YOLOv5's; standing untouched in the
# arguments of a run, it means that the user said nothing.
_ULTRALYTICS_BOX = 7.5


ANCHOR_KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("obj", 1.0, "gain of the objectness loss", number(lambda x: x >= 0, "a number >= 0")),
        Key("obj_pw", 1.0, "weight of positives in the objectness loss", number(lambda x: x > 0, "a number > 0")),
        Key(
            "cls_pos_weight",
            1.0,
            "weight of positives in the class loss (YOLOv5 calls it cls_pw)",
            number(lambda x: x > 0, "a number > 0"),
        ),
        Key("cls_smoothing", 0.0, "label smoothing of the classes", number(lambda x: 0 <= x < 1, "a number in [0, 1)")),
        Key(
            "anchor_t",
            4.0,
            "greatest ratio of an object's width or height to its anchor's",
            number(lambda x: x > 1, "a number > 1"),
        ),
        Key("autobalance", False, "let the levels' objectness weights follow their losses", switch),
        Key("autoanchor", True, "replace the anchors before training where they fit the dataset poorly", switch),
    )
}


@dataclass(frozen=True)
class AnchorConfig:
    """The checked settings of one training of an anchor detector; the defaults are YOLOv5's.

    Attributes:
        box: gain of the box loss, in (0, 1].
        obj: gain of the objectness loss, >= 0.
        cls: gain of the class loss, >= 0.
        obj_pw: weight of positives in the objectness loss, > 0.
        cls_pos_weight: weight of positives in the class loss, > 0.
        cls_smoothing: label smoothing of the classes, in [0, 1).
        anchor_t: greatest ratio of an object's size to its anchor's, > 1.
        autobalance: whether the levels' objectness weights follow their losses.
        autoanchor: whether poorly fitting anchors are replaced before training.
    """

    box: float = 0.05
    obj: float = 1.0
    cls: float = 0.5
    obj_pw: float = 1.0
    cls_pos_weight: float = 1.0
    cls_smoothing: float = 0.0
    anchor_t: float = 4.0
    autobalance: bool = False
    autoanchor: bool = True


def read_anchor_config(arguments: Mapping[str, Any]) -> AnchorConfig:
    """The settings in `arguments`; what is absent stands at YOLOv5's default, and keys of other owners are passed over.

    `box` is YOLOv5's gain; Ultralytics' default 7.5 counts as not given.

    Raises:
        ConfigError: every bad value at once; or `box` above 1, which is meant for Ultralytics' own box loss.
    """
    problems = problems_of(ANCHOR_KEYS, arguments)
    box = arguments.get("box", _ULTRALYTICS_BOX)
    problems += [
        f"{name} must be a number, got {arguments[name]!r}"
        for name in ("box", "cls")
        if name in arguments and not is_number(arguments[name])
    ]
    if is_number(box) and box != _ULTRALYTICS_BOX and not 0 < box <= 1:
        problems.append(
            f"box={box} is a gain for Ultralytics' own box loss; for an anchor detector it is YOLOv5's, in (0, 1]: "
            "leave it out for 0.05; tune has space=anchor"
        )
    if problems:
        raise ConfigError(problems)
    given: dict[str, Any] = {name: arguments[name] for name in ANCHOR_KEYS if name in arguments}
    if box != _ULTRALYTICS_BOX:
        given["box"] = box
    return AnchorConfig(cls=arguments.get("cls", AnchorConfig.cls), **given)
