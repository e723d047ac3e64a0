"""Varifocal loss: positives weighted by their target quality, only negatives focused."""

import torch
from torch import Tensor, nn

from yolo_focal.losses.module import Alpha, Gain, SigmoidLoss, focusing
from yolo_focal.losses.pieces import (
    BackgroundPieces,
    Factor,
    Formula,
    LogisticPieces,
    ValueAndGradient,
    background,
    cross_entropy,
    modulate,
)
from yolo_focal.losses.run import evaluate

__all__ = ["VARIFOCAL", "VarifocalLoss", "focus_negatives", "varifocal_loss"]


def focus_negatives(
    pieces: LogisticPieces,
    loss: ValueAndGradient,
    positive: Tensor,
    positive_weight: Tensor | float,
    gamma: float | Tensor,
    alpha: float | Tensor | None,
) -> ValueAndGradient:
    """The loss times `positive_weight` where `positive`, and times alpha p^gamma elsewhere."""
    factor = Factor(size=pieces.p, log=lambda: -pieces.minus_log_p, slope=pieces.q)
    negatives = modulate(loss, factor, gamma, alpha)
    return ValueAndGradient(
        torch.where(positive, positive_weight * loss.value, negatives.value),
        torch.where(positive, positive_weight * loss.gradient, negatives.gradient),
    )


def _value_and_grad(
    pieces: LogisticPieces, t: Tensor, *, gamma: float | Tensor, alpha: float | Tensor | None, pos_weight: Tensor | None
) -> ValueAndGradient:
    return focus_negatives(pieces, cross_entropy(pieces, t, pos_weight), t > 0, t, gamma, alpha)


def _background(
    pieces: BackgroundPieces, *, gamma: float, alpha: float | Tensor | None, pos_weight: Tensor | None
) -> ValueAndGradient:
    return background(pieces, gamma, alpha)


VARIFOCAL = Formula("vfl", _value_and_grad, _background)


def varifocal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: Alpha = 0.75,
    gamma: float = 2.0,
    reduction: str = "none",
    *,
    pos_weight: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy times the target quality on positives, and times alpha p^gamma on negatives.

    F = t l where t > 0, and alpha p^gamma l where t = 0, with p = sigmoid(x) and l = -w t log p - (1-t) log(1-p).
    The minimum for a soft target lies at p = t (without `pos_weight`). The weight is differentiated too, as in the
    common implementations.

    Args:
        inputs: logits x of any shape and floating dtype; computed in float32 at least, finite for every logit.
        targets: t in [0, 1], the quality (IoU) of positives and 0 for negatives, in the shape of `inputs`.
        alpha: weight of negatives in [0, 1] (in the focal loss it is that of positives); a tensor or sequence has one
            for each class (last dimension); None or a negative number: off, which is 1.
        gamma: focusing exponent of negatives, any finite number >= 0.
        reduction: none (in the dtype of `inputs`), mean or sum (float32 at least).
        pos_weight: w, factor on the positive term of l, broadcast against `inputs`.
        weight: factor on the loss, broadcast against `inputs`.

    Raises:
        ConfigError: an argument is out of range or a shape does not fit. A second derivative: YoloFocalError.

    Source: Zhang et al., VarifocalNet, 2021.
    """
    return evaluate(VARIFOCAL, inputs, targets, reduction, weight, focusing(gamma, alpha, pos_weight))


class VarifocalLoss(SigmoidLoss):
    """`varifocal_loss` as a criterion; see `SigmoidLoss` for the arguments."""

    formula = VARIFOCAL

    def __init__(
        self,
        loss_fcn: nn.BCEWithLogitsLoss | None = None,
        gamma: float = 2.0,
        alpha: Alpha = 0.75,
        *,
        reduction: str | None = None,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        gain: Gain = 1.0,
    ):
        super().__init__(loss_fcn, gamma, alpha, reduction=reduction, weight=weight, pos_weight=pos_weight, gain=gain)
