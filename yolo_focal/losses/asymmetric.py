"""Asymmetric loss: positives and negatives focused apart, and easy negatives dropped."""

import torch
from torch import Tensor, nn

from yolo_focal.losses.module import Gain, SigmoidLoss, as_exponent, as_fraction
from yolo_focal.losses.pieces import Factor, Formula, Hyperparameters, LogisticPieces, ValueAndGradient, modulate
from yolo_focal.losses.run import evaluate

__all__ = ["ASYMMETRIC", "AsymmetricLoss", "asymmetric_loss"]


def _shifted_cross_entropy(pieces: LogisticPieces, clip: float) -> ValueAndGradient:
    """The negative term -log(1 - max(p - clip, 0)) and its derivative."""
    if clip == 0:  # softplus(x), which log(q) could not give once q underflows
        return ValueAndGradient(pieces.minus_log_q, pieces.p)
    p, q = (pieces.p - clip).clamp_min(0), (pieces.q + clip).clamp_max(1)
    value = torch.where(p < 0.5, -torch.log1p(-p), -torch.log(q))
    return ValueAndGradient(value, torch.where(p > 0, pieces.p * pieces.q / q, 0.0))


def _miss(pieces: LogisticPieces, t: Tensor, clip: float) -> Factor:
    """The factor u = t q + (1-t) max(p - clip, 0).

    Logarithm and slope are 0 where u is 0: the loss itself is 0 there, and a logarithm of 0 is slow and infinite.
    """
    shifted = (pieces.p - clip).clamp_min(0)
    size = t * pieces.q + (1 - t) * shifted
    missed = size > 0
    u = torch.where(missed, size, 1.0)
    slope = pieces.p * pieces.q * ((1 - t) * (shifted > 0) - t) / u
    # A hard positive has u = q, which underflows while its logarithm stays exact.
    hard = t == 1
    return Factor(
        size=size,
        log=lambda: torch.where(hard, -pieces.minus_log_q, torch.log(u)),
        slope=torch.where(hard, -pieces.p, torch.where(missed, slope, 0.0)),
    )


def _value_and_grad(
    pieces: LogisticPieces,
    t: Tensor,
    *,
    gamma_pos: float | Tensor,
    gamma_neg: float | Tensor,
    clip: float,
    pos_weight: Tensor | None,
) -> ValueAndGradient:
    positive = t if pos_weight is None else t * pos_weight
    negative = _shifted_cross_entropy(pieces, clip)
    loss = ValueAndGradient(
        positive * pieces.minus_log_p + (1 - t) * negative.value,
        (1 - t) * negative.gradient - positive * pieces.q,
    )
    return modulate(loss, _miss(pieces, t, clip), gamma_pos * t + gamma_neg * (1 - t))


ASYMMETRIC = Formula("asl", _value_and_grad)


def asymmetric_loss(
    inputs: Tensor,
    targets: Tensor,
    gamma_pos: float = 0.0,
    gamma_neg: float = 4.0,
    clip: float = 0.05,
    reduction: str = "none",
    *,
    pos_weight: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy focused by gamma_pos on positives and gamma_neg on negatives, without negatives below p = clip.

    F = u^(gamma_pos t + gamma_neg (1-t)) l, with p = sigmoid(x), p_m = max(p - clip, 0), u = t (1-p) + (1-t) p_m and
    l = -w t log p - (1-t) log(1 - p_m). Value and gradient of a negative with p <= clip are 0. The minimum for a soft
    target is not at p = t: for gamma_neg 2, t = 0.3 gives p = 0.161 and t = 0.7 gives 0.809.

    Args:
        inputs: logits x of any shape and floating dtype; computed in float32 at least, finite for every logit.
        targets: t in [0, 1], hard or soft, in the shape of `inputs`; no gradient flows into them.
        gamma_pos: focusing exponent of positives, any finite number >= 0.
        gamma_neg: focusing exponent of negatives, any finite number >= 0.
        clip: probability margin in [0, 1] by which negatives are shifted.
        reduction: none (in the dtype of `inputs`), mean or sum (float32 at least).
        pos_weight: w, factor on the positive term of l, broadcast against `inputs`.
        weight: factor on the loss, broadcast against `inputs`.

    Raises:
        ConfigError: an argument is out of range or a shape does not fit. A second derivative: YoloFocalError.

    Source: Ben-Baruch et al., Asymmetric Loss for Multi-Label Classification, 2021.
    """
    hyperparameters: Hyperparameters = {
        "gamma_pos": as_exponent("gamma_pos", gamma_pos),
        "gamma_neg": as_exponent("gamma_neg", gamma_neg),
        "clip": as_fraction("clip", clip),
        "pos_weight": pos_weight,
    }
    return evaluate(ASYMMETRIC, inputs, targets, reduction, weight, hyperparameters)


class AsymmetricLoss(SigmoidLoss):
    """`asymmetric_loss` as a criterion; `gamma` is gamma_neg. See `SigmoidLoss` for the other arguments."""

    formula = ASYMMETRIC

    def __init__(
        self,
        loss_fcn: nn.BCEWithLogitsLoss | None = None,
        gamma_pos: float = 0.0,
        gamma_neg: float = 4.0,
        clip: float = 0.05,
        *,
        reduction: str | None = None,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        gain: Gain = 1.0,
    ):
        super().__init__(
            loss_fcn,
            as_exponent("gamma_neg", gamma_neg),
            reduction=reduction,
            weight=weight,
            pos_weight=pos_weight,
            gain=gain,
        )
        self.gamma_pos = as_exponent("gamma_pos", gamma_pos)
        self.clip = as_fraction("clip", clip)

    @property
    def gamma_neg(self) -> float:
        """Focusing exponent of negatives."""
        return self.gamma

    def hyperparameters(self) -> Hyperparameters:
        """The hyperparameters of the formula as they are now."""
        return {
            "gamma_pos": float(self.gamma_pos),
            "gamma_neg": float(self.gamma),
            "clip": self.clip,
            "pos_weight": self.pos_weight,
        }

    def extra_repr(self) -> str:
        """The hyperparameters."""
        return f"gamma_pos={self.gamma_pos:g}, gamma_neg={self.gamma:g}, clip={self.clip:g}"
