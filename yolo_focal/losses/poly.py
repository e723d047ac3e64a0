"""Poly-1 focal loss: the leading term of the focal loss's expansion in 1 - p_t, reweighted."""

import math

from torch import Tensor, nn

from yolo_focal.losses.focal import miss
from yolo_focal.losses.module import Alpha, Gain, SigmoidLoss, as_number, focusing
from yolo_focal.losses.pieces import (
    BackgroundPieces,
    Formula,
    Hyperparameters,
    LogisticPieces,
    ValueAndGradient,
    background,
    balance,
    cross_entropy,
    modulate,
)
from yolo_focal.losses.run import evaluate

__all__ = ["POLY", "PolyLoss", "poly_loss"]


def _value_and_grad(
    pieces: LogisticPieces,
    t: Tensor,
    *,
    gamma: float | Tensor,
    alpha: float | Tensor | None,
    epsilon: float | Tensor,
    pos_weight: Tensor | None,
) -> ValueAndGradient:
    loss, factor = cross_entropy(pieces, t, pos_weight), miss(pieces, t)
    u = epsilon * factor.size
    # l + epsilon u takes the place of l: u^gamma times it is the focal loss plus epsilon u^(gamma + 1).
    extended = ValueAndGradient(loss.value + u, loss.gradient + u * factor.slope)
    return modulate(extended, factor, gamma, balance(t, alpha))


def _background(
    pieces: BackgroundPieces,
    *,
    gamma: float,
    alpha: float | Tensor | None,
    epsilon: float,
    pos_weight: Tensor | None,
) -> ValueAndGradient:
    return background(pieces, gamma, None if alpha is None else 1 - alpha, epsilon)


POLY = Formula("poly", _value_and_grad, _background)


def poly_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: Alpha = 0.25,
    gamma: float = 2.0,
    epsilon: float = 1.0,
    reduction: str = "none",
    *,
    pos_weight: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """The focal loss plus epsilon times its leading polynomial term.

    F = a (u^gamma l + epsilon u^(gamma+1)), with p = sigmoid(x), u = 1 - p_t = t (1-p) + (1-t) p,
    a = t alpha + (1-t)(1-alpha) and l = -w t log p - (1-t) log(1-p). epsilon = 0 is the focal loss. The minimum for a
    soft target is not at p = t but further from 1/2.

    Args:
        inputs: logits x of any shape and floating dtype; computed in float32 at least, finite for every logit.
        targets: t in [0, 1], hard or soft, in the shape of `inputs`; no gradient flows into them.
        alpha: weight of positives in [0, 1] (negatives have 1 - alpha); a tensor or sequence has one for each class
            (last dimension); None or a negative number: off.
        gamma: focusing exponent, any finite number >= 0.
        epsilon: weight of the leading term, >= -1; below that the loss would push confident predictions away.
        reduction: none (in the dtype of `inputs`), mean or sum (float32 at least).
        pos_weight: w, factor on the positive term of l, broadcast against `inputs`.
        weight: factor on the loss, broadcast against `inputs`.

    Raises:
        ConfigError: an argument is out of range or a shape does not fit. A second derivative: YoloFocalError.

    Source: Leng et al., PolyLoss, 2022.
    """
    hyperparameters = {**focusing(gamma, alpha, pos_weight), "epsilon": _as_epsilon(epsilon)}
    return evaluate(POLY, inputs, targets, reduction, weight, hyperparameters)


def _as_epsilon(epsilon: float) -> float:
    return as_number("epsilon", epsilon, lambda number: -1 <= number < math.inf, "a finite number >= -1")


class PolyLoss(SigmoidLoss):
    """`poly_loss` as a criterion; see `SigmoidLoss` for the other arguments."""

    formula = POLY

    def __init__(
        self,
        loss_fcn: nn.BCEWithLogitsLoss | None = None,
        gamma: float = 2.0,
        alpha: Alpha = 0.25,
        epsilon: float = 1.0,
        *,
        reduction: str | None = None,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        gain: Gain = 1.0,
    ):
        super().__init__(loss_fcn, gamma, alpha, reduction=reduction, weight=weight, pos_weight=pos_weight, gain=gain)
        self.epsilon = _as_epsilon(epsilon)

    def hyperparameters(self) -> Hyperparameters:
        """The hyperparameters of the formula as they are now."""
        return {**super().hyperparameters(), "epsilon": self.epsilon}

    def extra_repr(self) -> str:
        """The hyperparameters."""
        return f"{super().extra_repr()}, epsilon={self.epsilon:g}"
