"""A training checked before it starts, and what it really computes, read off its criterion while it runs."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.errors import ConfigError
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.criterion import AnchorCriterion
from yolo_focal.ultra.class_losses import Place, class_losses
from yolo_focal.ultra.criteria.detection import acts_on
from yolo_focal.ultra.criteria.focal_term import FocalTerm
from yolo_focal.ultra.hooks.arguments import misspelt
from yolo_focal.ultra.training import check_training

__all__ = ["PLAIN", "check_asked", "criterion_in_use", "expected_criterion"]

PLAIN = "BCE"


def criterion_in_use(trainer: Any) -> dict[str, str] | None:
    """The class criterion of every branch of a running training; None before its first batch.

    In words: the settings of this plugin, `BCE`, or a foreign class.

    Args:
        trainer: an Ultralytics trainer, as callbacks receive it.
    """
    criterion = getattr(host.unwrap_model(trainer.model), "criterion", None)
    if criterion is None:
        return None
    if isinstance(criterion, AnchorCriterion):
        return {"anchor": str(criterion.focal) if criterion.focal is not None else PLAIN}
    found = {branch: _in_words(places[0]) for branch, places in class_losses(criterion).items()}
    return found or {"class": type(criterion).__name__}


def _in_words(place: Place) -> str:
    loss, weights = place.loss, getattr(place.owner, "class_weights", None)
    if isinstance(loss, FocalTerm):
        words, weights = str(loss.config), getattr(loss.loss, "weight", None)
    elif isinstance(loss, nn.BCEWithLogitsLoss):
        words = PLAIN
    else:
        words = type(loss).__name__
    return f"{words}, classes weighted" if isinstance(weights, Tensor) else words


def expected_criterion(branches: list[str], config: FocalConfig | None, weighted: bool) -> dict[str, str]:
    """What `criterion_in_use` should say.

    Args:
        branches: those of the criterion that ran.
        config: the settings asked for; None with the plugin off.
        weighted: whether the classes are weighted, by Ultralytics' `cls_pw` or by `fl_class_weights`.
    """
    suffix = ", classes weighted" if weighted else ""
    return {
        branch: (str(config) if config is not None and (branch == "anchor" or acts_on(config, branch)) else PLAIN)
        + (suffix if branch != "anchor" else "")
        for branch in branches
    }


def check_asked(model: Any, arguments: Mapping[str, Any]) -> None:
    """Check all arguments of a training before it starts; the plugin is enabled.

    Args:
        model: an `ultralytics.YOLO`.
        arguments: as they will be given to its `train`.

    Raises:
        YoloFocalError: an argument is unknown or wrong, or cannot act on this model and dataset.
    """
    if problems := misspelt(arguments, host.DEFAULT_CFG_DICT):
        raise ConfigError(problems)
    try:
        host.get_cfg(overrides=dict(arguments))
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
    stride = max(int(model.model.stride.max()), 32)
    if arguments["imgsz"] % stride:
        raise ConfigError(
            f"imgsz must be a multiple of {stride}, the stride of this model, got {arguments['imgsz']}; Ultralytics "
            "would train at another size than asked"
        )
    check_training(model.model, arguments)
