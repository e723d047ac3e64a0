"""Binary cross-entropy, the loss that the others modulate."""

from typing import Any

import torch
from torch import Tensor

from yolo_focal.losses.module import SigmoidLoss
from yolo_focal.losses.pieces import Formula, Terms, ValueAndGradient, logistic_pieces, saturate

__all__ = ["BCE", "BinaryCrossEntropy", "cross_entropy_terms"]


def cross_entropy_terms(pieces: Any, t: Tensor, pos_weight: Tensor | None) -> ValueAndGradient:
    """l = w t softplus(-x) + (1 - t) softplus(x) and l' = (1 - t) p - w t q, with w = `pos_weight`."""
    weighted = t if pos_weight is None else t * pos_weight
    return ValueAndGradient(
        weighted * pieces.minus_log_p + (1 - t) * pieces.minus_log_q,
        (1 - t) * pieces.p - weighted * pieces.q,
    )


def _pair(x: Tensor, t: Tensor, *, pos_weight: Tensor | None) -> ValueAndGradient:
    return cross_entropy_terms(logistic_pieces(x), t, pos_weight)


def _background(x: Tensor, *, pos_weight: Tensor | None) -> ValueAndGradient:
    x = saturate(x)
    value = x.abs().neg_().exp_().log1p_().add_(x.clamp_min(0))
    return ValueAndGradient(value, torch.exp(x.sub_(value)))


BCE = Formula("bce", _pair, _background)


class BinaryCrossEntropy(SigmoidLoss):
    """Binary cross-entropy with logits, l = -w t log p - (1 - t) log(1 - p): the identity row of the table.

    The minimum for a soft target lies at p = t.
    """

    name = "bce"

    def formula(self) -> tuple[Formula, Terms]:
        return BCE, {"pos_weight": self.pos_weight}
