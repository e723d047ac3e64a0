"""LOSSES: every loss by the name that users type, and how to build it."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from yolo_focal.losses.asymmetric import AsymmetricLoss
from yolo_focal.losses.binary import BinaryCrossEntropy
from yolo_focal.losses.focal import FocalLoss
from yolo_focal.losses.matchability import MatchabilityAwareLoss
from yolo_focal.losses.module import Alpha, SigmoidLoss
from yolo_focal.losses.poly import PolyLoss
from yolo_focal.losses.quality import QualityFocalLoss
from yolo_focal.losses.softmax import SoftmaxFocalLoss
from yolo_focal.losses.varifocal import VarifocalLoss

__all__ = ["LOSSES", "LossRow", "Make"]


class Make(Protocol):
    """Builds the criterion from the arguments every loss is offered; it ignores those it has no use for.

    alpha is None or negative for off; weight and pos_weight broadcast over the last (class) dimension.
    """

    def __call__(
        self,
        *,
        gamma: float,
        alpha: Alpha,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        reduction: str = "none",
    ) -> nn.Module:
        """The criterion."""


@dataclass(frozen=True)
class LossRow:
    """One loss that a model can be trained with.

    Attributes:
        name: what users type.
        summary: one line for help.
        make: builds the criterion, which takes logits and targets.
        uses_gamma: whether gamma changes the loss.
        uses_alpha: whether alpha changes the loss.
        elementwise: whether each class is judged on its own, with targets of the shape of the logits: only then can
            the loss stand where a per-class BCE does. The others take class indices.
        soft_minimiser: where the minimum lies for soft targets, in one sentence.
    """

    name: str
    summary: str
    make: Make
    uses_gamma: bool
    uses_alpha: bool
    elementwise: bool
    soft_minimiser: str


def _sigmoid(kind: type[SigmoidLoss]) -> Make:
    def make(
        *,
        gamma: float,
        alpha: Alpha,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        reduction: str = "none",
    ) -> nn.Module:
        return kind(gamma=gamma, alpha=alpha, weight=weight, pos_weight=pos_weight, reduction=reduction)

    return make


def _asymmetric(
    *,
    gamma: float,
    alpha: Alpha,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: str = "none",
) -> nn.Module:
    return AsymmetricLoss(gamma_neg=gamma, weight=weight, pos_weight=pos_weight, reduction=reduction)


def _softmax(
    *,
    gamma: float,
    alpha: Alpha,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: str = "none",
) -> nn.Module:
    return SoftmaxFocalLoss(gamma=gamma, alpha=alpha, weight=weight, reduction=reduction)


LOSSES: dict[str, LossRow] = {
    "bce": LossRow(
        name="bce",
        summary="binary cross-entropy, what stock training uses",
        make=_sigmoid(BinaryCrossEntropy),
        uses_gamma=False,
        uses_alpha=False,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is at p = t",
    ),
    "focal": LossRow(
        name="focal",
        summary="focal loss: cross-entropy times (1 - p_t)^gamma, alpha on positives and 1 - alpha on negatives",
        make=_sigmoid(FocalLoss),
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is further from 1/2 than t (gamma 1.5: t 0.7 gives p 0.846)",
    ),
    "qfl": LossRow(
        name="qfl",
        summary="quality focal loss: cross-entropy times |p - t|^gamma, made for soft targets",
        make=_sigmoid(QualityFocalLoss),
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is at p = t",
    ),
    "vfl": LossRow(
        name="vfl",
        summary="varifocal loss: positives weighted by their target, alpha p^gamma on negatives only",
        make=_sigmoid(VarifocalLoss),
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is at p = t",
    ),
    "asl": LossRow(
        name="asl",
        summary="asymmetric loss: gamma on negatives only, and none of those below p = 0.05",
        make=_asymmetric,
        uses_gamma=True,
        uses_alpha=False,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is not at p = t (gamma 2: t 0.3 gives p 0.161, 0.7 0.809)",
    ),
    "mal": LossRow(
        name="mal",
        summary="matchability-aware loss: target t^gamma on positives, alpha p^gamma on negatives",
        make=_sigmoid(MatchabilityAwareLoss),
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is at p = t^gamma",
    ),
    "poly": LossRow(
        name="poly",
        summary="poly-1 focal loss: focal plus (1 - p_t)^(gamma + 1)",
        make=_sigmoid(PolyLoss),
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is further from 1/2 than t",
    ),
    "softmax": LossRow(
        name="softmax",
        summary="softmax focal loss, for classes that exclude each other (classification, semantic segmentation)",
        make=_softmax,
        uses_gamma=True,
        uses_alpha=True,
        elementwise=False,
        soft_minimiser="targets are class indices; label smoothing moves the minimum to less confident predictions",
    ),
}
