"""Quality focal loss: focusing by the distance to a soft target, so that the target is met."""

import torch
from torch import Tensor

from yolo_focal.losses.focal import FOCAL
from yolo_focal.losses.module import Alpha, SigmoidLoss, focusing
from yolo_focal.losses.pieces import (
    Factor,
    Formula,
    LogisticPieces,
    ValueAndGradient,
    balance,
    cross_entropy,
    modulate,
)
from yolo_focal.losses.run import evaluate

__all__ = ["QUALITY_FOCAL", "QualityFocalLoss", "quality_focal_loss"]


def _distance(pieces: LogisticPieces, t: Tensor) -> Factor:
    """The factor |p - t|; the slope p q / (p - t) is set to 0 at p = t, a subgradient where gamma < 1."""
    # |p - t| = scale * |gap|, where `far` is the share of the target on the side that x is far from: a difference of
    # small numbers on a confident prediction, where p - t would be one of numbers near 1.
    far = torch.where(pieces.negative, t, 1 - t)
    gap = torch.addcmul(far, 1 - far, pieces.e, value=-1)
    soft = far > 0
    size = gap.abs()
    e_over_gap = torch.where(soft, torch.where(gap == 0, 0.0, pieces.e / gap), -1.0)
    return Factor(
        size=pieces.scale * size,
        log=lambda: torch.where(soft, torch.log(size).clamp_min(-1e30), pieces.log_e) + pieces.log_scale,
        slope=torch.where(pieces.negative, -pieces.scale, pieces.scale) * e_over_gap,
    )


def _value_and_grad(
    pieces: LogisticPieces, t: Tensor, *, gamma: float | Tensor, alpha: float | Tensor | None, pos_weight: Tensor | None
) -> ValueAndGradient:
    return modulate(cross_entropy(pieces, t, pos_weight), _distance(pieces, t), gamma, balance(t, alpha))


# |p - 0| is p: at target 0 this is the focal loss.
QUALITY_FOCAL = Formula("qfl", _value_and_grad, FOCAL.background)


def quality_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: Alpha = None,
    gamma: float = 2.0,
    reduction: str = "none",
    *,
    pos_weight: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy, scaled by the distance |p - t|^gamma between prediction and soft target.

    F = a |p - t|^gamma l, with p = sigmoid(x), a = t alpha + (1-t)(1-alpha) and l = -w t log p - (1-t) log(1-p).
    The minimum for a soft target lies at p = t exactly (without `pos_weight`). For hard targets it is the focal loss.

    Args:
        inputs: logits x of any shape and floating dtype; computed in float32 at least, finite for every logit.
        targets: t in [0, 1], hard or soft, in the shape of `inputs`; no gradient flows into them.
        alpha: weight of positives in [0, 1] (negatives have 1 - alpha); a tensor or sequence has one for each class
            (last dimension); None or a negative number: off, as published.
        gamma: focusing exponent, any finite number >= 0; the paper's beta.
        reduction: none (in the dtype of `inputs`), mean or sum (float32 at least).
        pos_weight: w, factor on the positive term of l, broadcast against `inputs`.
        weight: factor on the loss, broadcast against `inputs`.

    Raises:
        ConfigError: an argument is out of range or a shape does not fit. A second derivative: YoloFocalError.

    Source: Li et al., Generalized Focal Loss, 2020.
    """
    return evaluate(QUALITY_FOCAL, inputs, targets, reduction, weight, focusing(gamma, alpha, pos_weight))


class QualityFocalLoss(SigmoidLoss):
    """`quality_focal_loss` as a criterion; see `SigmoidLoss` for the arguments."""

    formula = QUALITY_FOCAL
