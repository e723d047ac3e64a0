"""LOSSES: every loss by the name that users type, and how to build it."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from yolo_focal.losses.binary import BinaryCrossEntropy
from yolo_focal.losses.focal import FocalLoss
from yolo_focal.losses.module import Alpha
from yolo_focal.losses.quality import QualityFocalLoss

__all__ = ["LOSSES", "LossRow"]


class Make(Protocol):
    """Builds the criterion; the arguments a loss does not use are ignored."""

    def __call__(
        self,
        *,
        gamma: float,
        alpha: Alpha,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        reduction: str = "none",
    ) -> nn.Module: ...


@dataclass(frozen=True)
class LossRow:
    """One loss a detector can be trained with.

    Attributes:
        name: what users type.
        summary: one line for help.
        make: builds the criterion from gamma, alpha, weight, pos_weight and reduction.
        uses_gamma: whether gamma changes the loss.
        uses_alpha: whether alpha changes the loss.
        elementwise: whether every class is judged on its own, so that the loss can replace a per-class BCE.
        soft_minimiser: where the minimum lies for a soft target, in one sentence.
    """

    name: str
    summary: str
    make: Make
    uses_gamma: bool
    uses_alpha: bool
    elementwise: bool
    soft_minimiser: str


def _bce(
    *,
    gamma: float,
    alpha: Alpha,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: str = "none",
) -> nn.Module:
    return BinaryCrossEntropy(weight=weight, pos_weight=pos_weight, reduction=reduction)


LOSSES: dict[str, LossRow] = {
    "bce": LossRow(
        name="bce",
        summary="binary cross-entropy: what stock training uses",
        make=_bce,
        uses_gamma=False,
        uses_alpha=False,
        elementwise=True,
        soft_minimiser="The minimum for a soft target t is at p = t.",
    ),
    "focal": LossRow(
        name="focal",
        summary="focal loss: (1 - p_t)^gamma on the cross-entropy, alpha between positives and negatives",
        make=FocalLoss,
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="The minimum for a soft target t is not at p = t but further from 1/2 (gamma 2: t 0.6 -> p 0.72).",
    ),
    "qfl": LossRow(
        name="qfl",
        summary="quality focal loss: |p - t|^gamma on the cross-entropy, made for soft targets",
        make=QualityFocalLoss,
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="The minimum for a soft target t is at p = t.",
    ),
}
