"""What a training really computes, read off its criterion while it runs, and what it should compute."""

from typing import Any

from torch import Tensor, nn

from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.criterion import AnchorCriterion
from yolo_focal.ultra.class_losses import Place, class_losses
from yolo_focal.ultra.criteria.detection import acts_on
from yolo_focal.ultra.criteria.focal_term import FocalTerm

__all__ = ["PLAIN", "criterion_in_use", "expected_criterion"]

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
