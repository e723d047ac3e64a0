"""Which model families the plugin can act on, with which settings, and the line that says what runs."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from yolo_focal.arguments.focal import AUTO, KEYS, FocalConfig, idle_settings
from yolo_focal.errors import ConfigError, UnsupportedModelError
from yolo_focal.losses import LOSSES
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.criterion import AnchorCriterion
from yolo_focal.ultra.class_losses import class_losses
from yolo_focal.ultra.criteria.detection import check_branch
from yolo_focal.ultra.criteria.focal_term import FocalTerm
from yolo_focal.ultra.criteria.softmax import BinaryPixelCriterion, SoftmaxTerm
from yolo_focal.ultra.datasets import learns_one_class

__all__ = ["check_family", "start_line"]


def start_line(criterion: Any) -> str | None:
    """One line that says what runs, read off the criterion itself; None where focal acts on none of its terms."""
    if isinstance(criterion, AnchorCriterion):
        return criterion.start_line()
    acting = {
        branch: terms
        for branch, places in class_losses(criterion).items()
        if (terms := [place.loss for place in places if isinstance(place.loss, FocalTerm)])
    }
    if not acting:
        return None
    first, *others = next(iter(acting.values()))
    words = str(first.config)
    if "queries" in acting:
        if not others:
            words += " on hard labels"
        elif first.config != others[0].config:
            words += f", in batches without objects {others[0].config}"
        return f"focal: class loss (stock: varifocal) -> {words}; box losses and matching untouched"
    if isinstance(first, SoftmaxTerm | BinaryPixelCriterion):
        stock = "pixel BCE" if isinstance(first, BinaryPixelCriterion) else "cross-entropy"
        return f"focal: {stock} -> {words}" + ("; Dice untouched" if hasattr(criterion, "ce") else "")
    where = "" if "class" in acting else f" on {', '.join(acting)}"
    return f"focal: class BCE -> {words}{where}; box and DFL untouched"


def check_family(
    model: nn.Module, config: FocalConfig, given: Mapping[str, Any], number_of_classes: int | None = None
) -> None:
    """Check that `config` can act on a model.

    Args:
        model: what is to be trained.
        config: the settings.
        given: the arguments of the call, where `config` does not tell a default from a choice.
        number_of_classes: that it will have on its dataset; None leaves that of `model`.

    Raises:
        UnsupportedModelError: the model has no class loss that the plugin knows.
        ConfigError: a setting cannot act on this kind of model, or beside another one.
    """
    if idle := idle_settings(given, config):
        raise ConfigError(idle)
    if config.class_weights and learns_one_class(given, getattr(model, "task", "detect"), number_of_classes):
        raise ConfigError(
            f"fl_class_weights={config.class_weights:g} cannot act with one class, whose weight is 1; leave it out"
        )
    of_rtdetr = config.loss == "vfl" and _is(model, "RTDETRDetectionModel")  # which has an alpha of its own for vfl
    if config.alpha == AUTO and LOSSES[config.loss].alpha_on_negatives and not of_rtdetr:
        raise ConfigError(
            f"fl_alpha={AUTO} is larger for rarer classes, to favour their positives, but in fl_loss={config.loss} "
            "alpha weighs negatives; give numbers, or another loss"
        )
    if _is(model, "SemanticSegmentationModel", "ClassificationModel"):
        check_branch(config, model)
        if config.alpha == AUTO:
            raise ConfigError(
                f"fl_alpha={AUTO} counts labelled boxes, which a {type(model).__name__} does not learn; give numbers, "
                "or leave it out"
            )
        head: Any = model.model[-1]  # type: ignore[index]
        if _is(model, "SemanticSegmentationModel") and (number_of_classes or head.nc) == 1:
            _check_elementwise(model, config)
            if isinstance(config.alpha, tuple):
                raise ConfigError(
                    "fl_alpha is a list with a number per class, but a binary semantic model has one logit for both "
                    "classes; give a single number"
                )
        else:
            _check_exclusive(model, config)
    elif _is(model, "DetectionModel") and not _is(model, "DepthModel"):
        _check_elementwise(model, config)
        check_branch(config, model)
        if _is(model, "WorldModel", "YOLOEModel") and isinstance(config.alpha, tuple | str):
            raise ConfigError(
                "fl_alpha has a number per class, but the channels of a "
                f"{type(model).__name__} are prompts, not classes of the dataset; give a single number"
            )
    else:
        raise UnsupportedModelError(
            f"focal cannot act on a {type(model).__name__}: it has no class loss that the plugin knows; "
            "train it with focal=False and without fl_* arguments"
        )
    if config.loss == "efl" and _is(model, "WorldModel", "YOLOEModel"):
        raise ConfigError(
            "fl_loss=efl remembers the gradients of classes, but the channels of a "
            f"{type(model).__name__} are prompts, which change; choose another loss"
        )
    if config.class_weights and _is(
        model, "SemanticSegmentationModel", "ClassificationModel", "WorldModel", "YOLOEModel"
    ):
        raise ConfigError(
            f"fl_class_weights={config.class_weights:g} cannot act on a {type(model).__name__}: it weighs the classes "
            "of labelled boxes; leave it out"
        )
    varifocal_alpha = given.get("fl_vfl_alpha", KEYS["fl_vfl_alpha"].default)
    acts = _is(model, "RTDETRDetectionModel") and config.loss == "vfl"
    if varifocal_alpha != KEYS["fl_vfl_alpha"].default and not acts:
        raise ConfigError(
            f"fl_vfl_alpha={varifocal_alpha} cannot act: it belongs to RT-DETR with fl_loss=vfl; here fl_alpha is the "
            "alpha of every loss"
        )


def _is(model: nn.Module, *names: str) -> bool:
    return isinstance(model, tuple(getattr(host.tasks, name) for name in names if hasattr(host.tasks, name)))


def _check_elementwise(model: nn.Module, config: FocalConfig) -> None:
    if not LOSSES[config.loss].elementwise:
        names = ", ".join(name for name, row in LOSSES.items() if row.elementwise)
        raise ConfigError(
            f"fl_loss={config.loss} is for classes that exclude each other, but a {type(model).__name__} judges each "
            f"class on its own; expected one of {names}"
        )


def _check_exclusive(model: nn.Module, config: FocalConfig) -> None:
    kind = type(model).__name__
    if config.loss not in ("focal", "softmax"):
        raise ConfigError(
            f"fl_loss={config.loss} judges each class on its own, but the classes of a {kind} exclude each other; "
            "expected focal or softmax, which are the same here"
        )
    if isinstance(config.alpha, float) and config.alpha != KEYS["fl_alpha"].default:
        raise ConfigError(
            f"fl_alpha={config.alpha:g} cannot act: the classes of a {kind} exclude each other, so there are no "
            "negatives to balance; give a list with one number per class, or leave it out"
        )
