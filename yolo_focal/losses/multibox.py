"""The SSD loss: smooth L1 on boxes, and a class loss by hard-negative mining or by focal loss."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yolo_focal.errors import ConfigError
from yolo_focal.losses.module import Alpha, as_alpha, as_exponent
from yolo_focal.losses.softmax import check_class_indices, softmax_focal_loss, whole_numbers

__all__ = ["MultiBoxLoss", "MultiBoxLosses"]

BACKGROUND = 0
CLASS_LOSSES = ("hard_negative", "focal")


class MultiBoxLosses(NamedTuple):
    """The parts of the SSD loss, each a float32 scalar."""

    box: Tensor
    cls: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.box + self.cls


class MultiBoxLoss(nn.Module):
    """Smooth L1 on matched anchors plus a class loss on anchors, both divided by the number of matched anchors.

    box = (1/P) sum over positives of smooth_l1(offsets), cls = (1/P) sum of the class loss, P = positives in the batch,
    at least 1. Class 0 is the background; a batch without positives has box loss 0.

    Args:
        class_loss: `hard_negative`: softmax cross-entropy on positives and, in each image, on the `negative_ratio`
            times as many negatives with the highest loss; so an image without objects adds nothing. `focal`: softmax
            focal loss on every anchor.
        gamma: focusing exponent of the focal loss, any finite number >= 0.
        alpha: balance of the focal loss in [0, 1]: alpha on objects, 1 - alpha on the background; a tensor or sequence
            has one for each class, background first; None or a negative number: off.
        negative_ratio: mined negatives for each positive, >= 0.

    Raises:
        ConfigError: an argument is out of range; in the call, shapes do not fit, or class targets are no class indices.

    Source: Liu et al., SSD: Single Shot MultiBox Detector, 2016; Lin et al., Focal Loss, 2017.
    """

    def __init__(
        self,
        class_loss: str = "hard_negative",
        gamma: float = 2.0,
        alpha: Alpha = 0.25,
        negative_ratio: float = 3.0,
    ):
        super().__init__()
        if class_loss not in CLASS_LOSSES:
            raise ConfigError(f"class_loss must be one of {', '.join(CLASS_LOSSES)}, got {class_loss!r}")
        self.class_loss = class_loss
        self.gamma = as_exponent("gamma", gamma)
        self.alpha = as_alpha(alpha)
        self.negative_ratio = as_exponent("negative_ratio", negative_ratio)

    def forward(
        self, box_offsets: Tensor, class_logits: Tensor, box_targets: Tensor, class_targets: Tensor
    ) -> MultiBoxLosses:
        """The losses of a batch.

        Args:
            box_offsets: predicted offsets to the anchors, shape (images, anchors, 4).
            class_logits: shape (images, anchors, classes + 1), background first.
            box_targets: offsets of the matched objects, shape (images, anchors, 4); not read where unmatched.
            class_targets: integers, shape (images, anchors): 0 for the background, else the class.
        """
        _check_shapes(box_offsets, class_logits, box_targets, class_targets)
        class_targets = whole_numbers(class_targets)
        check_class_indices(class_targets, class_logits.shape[2])
        positive = class_targets != BACKGROUND
        normaliser = positive.sum().clamp_min(1)
        box = F.smooth_l1_loss(box_offsets[positive].float(), box_targets[positive].float(), reduction="sum")
        return MultiBoxLosses(box / normaliser, self._class_loss(class_logits, class_targets, positive) / normaliser)

    def _class_loss(self, logits: Tensor, targets: Tensor, positive: Tensor) -> Tensor:
        logits = logits.flatten(0, 1)
        if self.class_loss == "focal":
            return softmax_focal_loss(logits, targets.flatten(), self._class_alpha(logits), self.gamma, "sum")
        losses = F.cross_entropy(logits.float(), targets.flatten(), reduction="none").view(targets.shape)
        return losses[positive | self._hardest_negatives(losses.detach(), positive)].sum()

    def _class_alpha(self, logits: Tensor) -> Tensor | None:
        if self.alpha is None or isinstance(self.alpha, Tensor):
            return self.alpha
        alpha = torch.full((logits.shape[1],), self.alpha, device=logits.device)
        alpha[BACKGROUND] = 1 - self.alpha
        return alpha

    def _hardest_negatives(self, losses: Tensor, positive: Tensor) -> Tensor:
        """In each image, the negatives with the highest losses: `negative_ratio` times as many as its positives."""
        rank = losses.masked_fill(positive, -torch.inf).argsort(1, descending=True).argsort(1)
        wanted = (self.negative_ratio * positive.sum(1, keepdim=True)).floor()
        return (rank < wanted) & ~positive


def _check_shapes(box_offsets: Tensor, class_logits: Tensor, box_targets: Tensor, class_targets: Tensor) -> None:
    anchors = tuple(class_targets.shape)
    found = [tuple(box_offsets.shape), tuple(class_logits.shape[:2]), tuple(box_targets.shape)]
    if len(anchors) != 2 or class_logits.dim() != 3 or found != [(*anchors, 4), anchors, (*anchors, 4)]:
        raise ConfigError(
            "MultiBoxLoss takes offsets (images, anchors, 4), logits (images, anchors, classes + 1), target offsets "
            "(images, anchors, 4) and target classes (images, anchors), got "
            + ", ".join(str(tuple(t.shape)) for t in (box_offsets, class_logits, box_targets, class_targets))
        )
