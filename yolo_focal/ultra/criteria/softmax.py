"""Classification and semantic segmentation: softmax focal loss in the place of cross-entropy.

Their classes exclude each other, so there is no balance between positives and negatives: `fl_alpha` acts as a list
with one factor per class, and a single number does not act. A binary semantic model has one logit and a sigmoid loss.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.losses import LOSSES
from yolo_focal.losses.softmax import SoftmaxFocalLoss
from yolo_focal.ultra import host
from yolo_focal.ultra.criteria.focal_term import FocalTerm
from yolo_focal.ultra.criteria.schedule import Schedule, schedule_of, settings_of
from yolo_focal.ultra.hooks.seam import seam

__all__ = ["BinaryPixelCriterion", "ClassificationCriterion", "PixelCriterion", "SEAMS", "SoftmaxTerm"]

IGNORED_PIXEL = 255


class SoftmaxTerm(FocalTerm):
    """Softmax focal loss on class indices.

    Args:
        config: its settings.
        schedule: that of the training it belongs to.
        options: of the loss: its reduction, and its ignore_index and weight where it has any.
    """

    def __init__(self, config: FocalConfig, schedule: Schedule, **options: Any):
        alpha = config.alpha if isinstance(config.alpha, tuple) else None
        config = dataclasses.replace(config, loss="softmax", alpha=alpha)
        super().__init__(config, SoftmaxFocalLoss(gamma=config.gamma, alpha=alpha, **options), schedule)


class ClassificationCriterion:
    """Stands in for `v8ClassificationLoss`: the mean softmax focal loss of a batch of images."""

    def __init__(self, term: SoftmaxTerm):
        self.term = term

    def __call__(self, preds: Any, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of logits (images, classes), alone or after probabilities, and the same detached, by name."""
        logits = preds[1] if isinstance(preds, list | tuple) else preds
        loss = self.term(logits, batch["cls"])
        return loss, {"loss": loss.detach()}


class PixelCriterion(SoftmaxTerm):
    """Stands in for the cross-entropy of semantic segmentation: the sum over pixels that are not ignored."""

    def __init__(self, config: FocalConfig, schedule: Schedule, weight: Tensor | None):
        super().__init__(config, schedule, reduction="sum", ignore_index=IGNORED_PIXEL, weight=weight)
        self.register_buffer("weight", weight, persistent=False)  # upstream divides by the weights of the labels


class BinaryPixelCriterion(FocalTerm):
    """Stands in for the BCE of binary semantic segmentation: the sum over one logit per pixel."""

    def __init__(self, config: FocalConfig, schedule: Schedule):
        loss = LOSSES[config.loss].make(gamma=config.gamma, alpha=config.settled_alpha, reduction="sum")
        super().__init__(config, loss, schedule)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Gain times the loss of `logits` against `targets` in [0, 1], both (pixels,)."""
        return super().forward(logits[:, None], targets[:, None])


@seam(
    "ClassificationModel.init_criterion",
    "builds a criterion that is called with (preds, batch) and reads batch['cls']",
    lambda function: (
        "v8ClassificationLoss" in function.__code__.co_names
        and "cls" in host.v8ClassificationLoss.__call__.__code__.co_consts
    ),
)
def _init_criterion(original: Callable[[Any], Any], self: Any) -> Any:
    config = settings_of(self)
    if config is None:
        return original(self)
    return ClassificationCriterion(SoftmaxTerm(config, schedule_of(self), reduction="mean"))


@seam(
    "ClassificationTrainer.set_model_attributes",
    "prepares the model after it is built, before a criterion is",
    lambda function: function.__qualname__.startswith("ClassificationTrainer."),
)
def _set_model_attributes(original: Callable[[Any], None], self: Any) -> None:
    original(self)
    if getattr(self.args, "focal", False):
        self.model.args = self.args  # upstream leaves a classification model without its arguments


@seam(
    "SemanticSegmentationLoss.__init__",
    "takes (model) and sets self.ce, self.nc and self.device",
    lambda init: {"ce", "nc", "device"} <= set(init.__code__.co_names),
)
def _semantic_init(original: Callable[..., None], self: Any, model: nn.Module) -> None:
    original(self, model)
    config = settings_of(model)
    if config is None:
        return
    schedule = schedule_of(model)
    if self.nc == 1:
        self.ce = BinaryPixelCriterion(config, schedule)
    else:
        config.check_classes(self.nc)
        self.ce = PixelCriterion(config, schedule, self.ce.weight)
    self.ce.to(self.device)


SEAMS = (_init_criterion, _set_model_attributes, _semantic_init)
