"""What is checked before an anchor detector is trained, and before its arguments are given to another model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from yolo_focal.arguments.anchor import ANCHOR_KEYS, read_anchor_config
from yolo_focal.arguments.classic_hyp import is_classic, translate
from yolo_focal.arguments.focal import KEYS, read_config
from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.errors import ConfigError, UnsupportedModelError
from yolo_focal.ultra.anchor.criterion import check_focal
from yolo_focal.ultra.anchor.head import anchor_head
from yolo_focal.ultra.logger import LOGGER

__all__ = ["check_anchor_training", "read_hyp_for", "translate_for"]

_FOCAL_KEYS_OF_ANCHORS = ("fl_scope", "fl_obj_gamma", "fl_obj_alpha")
_OF_THE_CLASS_LOSS = ("cls_pos_weight", "cls_smoothing")
_ULTRALYTICS_DFL = 1.5


def check_anchor_training(model: nn.Module, given: Mapping[str, Any], number_of_classes: int | None) -> None:
    """Check the arguments of one training that only an anchor detector has.

    Args:
        model: what is to be trained.
        given: the arguments of the call.
        number_of_classes: of the dataset; None where it is not known yet.

    Raises:
        UnsupportedModelError: an argument of the anchor detector for a model without one.
        ConfigError: a value that cannot be, or that cannot act.
    """
    if anchor_head(model) is None:
        _refuse_anchor_arguments(model, given)
        return
    if given.get("label_smoothing"):  # which Ultralytics leaves out with a warning
        raise ConfigError("'label_smoothing' is YOLOv5's; here it is cls_smoothing")
    anchor = read_anchor_config(given)
    if number_of_classes == 1:
        _refuse_class_loss(given)
    focal = read_config(given)
    if focal is not None and number_of_classes is not None:
        check_focal(focal, number_of_classes, anchor.cls_smoothing)
    if given.get("dfl", _ULTRALYTICS_DFL) != _ULTRALYTICS_DFL:
        LOGGER.warning(f"dfl={given['dfl']} does not act: an anchor detector has no distribution focal loss")


def read_hyp_for(model: Any, name: str) -> tuple[Path, dict[str, Any], bool]:
    """The hyperparameter file that `cfg=` names, its content for `model`, and whether that is translated from YOLOv5's.

    Raises:
        ConfigError, UnsupportedModelError: see `find_hyp`, `read_hyp` and `translate_for`.
    """
    path = find_hyp(name)
    content = read_hyp(path)
    classic = is_classic(content)
    return path, translate_for(model, content, path) if classic else content, classic


def translate_for(model: Any, content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The arguments that a classic YOLOv5 file means for `model`; what is left out is logged.

    Args:
        model: what is to be trained.
        content: of the file.
        path: the file.

    Raises:
        UnsupportedModelError: the model is no anchor detector, whose losses such a file is about.
        ConfigError: keys that cannot be translated.
    """
    if anchor_head(model) is None:
        raise UnsupportedModelError(
            f"cfg={path} is a YOLOv5 file: its gains are those of an anchor detector's losses, which this model has "
            "not; train model=yolov5n-anchor.yaml, or take cfg=yolov5-classic for other models"
        )
    translation = translate(content, str(path))
    ignored = "".join(f"; {name} is ignored: {reason}" for name, reason in translation.ignored.items())
    LOGGER.info(f"{path}: YOLOv5 hyperparameters, translated{ignored}")
    return translation.arguments


def _refuse_class_loss(given: Mapping[str, Any]) -> None:
    """Refuse what acts on the class loss alone, as fl_scope=cls is refused too."""
    idle = [name for name in _OF_THE_CLASS_LOSS if given.get(name, default := ANCHOR_KEYS[name].default) != default]
    if idle:
        raise ConfigError(
            f"{', '.join(f'{name}={given[name]}' for name in idle)} cannot act: with one class an anchor detector has "
            "no class loss; leave it out"
        )


def _refuse_anchor_arguments(model: nn.Module, given: Mapping[str, Any]) -> None:
    defaults = {**ANCHOR_KEYS, **{name: KEYS[name] for name in _FOCAL_KEYS_OF_ANCHORS}}
    acting = [name for name in given if name in defaults and given[name] != defaults[name].default]
    if acting:
        layers = getattr(model, "model", None)
        head = type(layers[-1]).__name__ if isinstance(layers, nn.Sequential) else type(model).__name__
        raise UnsupportedModelError(
            f"{', '.join(f'{name}={given[name]}' for name in acting)} acts only in an anchor detector, but this "
            f"model's head is {head}; train model=yolov5n-anchor.yaml or leave it out"
        )
