"""Binary cross-entropy, the loss that all the others modulate."""

from typing import Any

from torch import Tensor

from yolo_focal.losses.module import SigmoidLoss
from yolo_focal.losses.pieces import (
    BackgroundPieces,
    Formula,
    Hyperparameters,
    LogisticPieces,
    ValueAndGradient,
    background,
    cross_entropy,
)

__all__ = ["BCE", "BinaryCrossEntropy"]


def _value_and_grad(pieces: LogisticPieces, t: Tensor, *, pos_weight: Tensor | None) -> ValueAndGradient:
    return cross_entropy(pieces, t, pos_weight)


def _background(pieces: BackgroundPieces, **_: Any) -> ValueAndGradient:
    return background(pieces, 0.0)


BCE = Formula("bce", _value_and_grad, _background)


class BinaryCrossEntropy(SigmoidLoss):
    """Binary cross-entropy with logits: the identity row of the table.

    l = -w t log p - (1-t) log(1-p), p = sigmoid(x), w = `pos_weight`. The minimum for a soft target lies at p = t.
    `gamma` and `alpha` do nothing. Unlike torch's, it does not cancel for confident negatives (relative error 8e-3
    at x = -10 in float32 there).
    """

    formula = BCE

    def hyperparameters(self) -> Hyperparameters:
        """The one hyperparameter of cross-entropy."""
        return {"pos_weight": self.pos_weight}

    def extra_repr(self) -> str:
        """Nothing: there is nothing to set."""
        return ""
