"""LOSSES: every loss by the name that users type, and how to build it."""

import functools
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from yolo_focal.loss_facts import LOSS_FACTS, LossFacts
from yolo_focal.losses.asymmetric import AsymmetricLoss
from yolo_focal.losses.binary import BinaryCrossEntropy
from yolo_focal.losses.equalized import EqualizedFocalLoss
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


@dataclass(frozen=True, kw_only=True)
class LossRow(LossFacts):
    """One loss that a model can be trained with.

    Attributes:
        make: builds the criterion, which takes logits and targets.
    """

    make: Make


def _sigmoid(kind: type[SigmoidLoss]) -> Make:
    return functools.partial(kind, reduction="none")


def _asymmetric(*, gamma: float, alpha: Alpha, reduction: str = "none", **weights: Any) -> nn.Module:
    return AsymmetricLoss(gamma_neg=gamma, reduction=reduction, **weights)


def _softmax(*, pos_weight: Tensor | None = None, reduction: str = "none", **others: Any) -> nn.Module:
    return SoftmaxFocalLoss(reduction=reduction, **others)


_MAKE: dict[str, Make] = {
    "bce": _sigmoid(BinaryCrossEntropy),
    "focal": _sigmoid(FocalLoss),
    "qfl": _sigmoid(QualityFocalLoss),
    "vfl": _sigmoid(VarifocalLoss),
    "asl": _asymmetric,
    "mal": _sigmoid(MatchabilityAwareLoss),
    "poly": _sigmoid(PolyLoss),
    "efl": _sigmoid(EqualizedFocalLoss),
    "softmax": _softmax,
}

LOSSES: dict[str, LossRow] = {name: LossRow(**vars(facts), make=_MAKE[name]) for name, facts in LOSS_FACTS.items()}
