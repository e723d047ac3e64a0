"""Sigmoid focal loss, for hard and soft targets."""

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
    balance,
    cross_entropy,
    modulate,
)
from yolo_focal.losses.run import evaluate

__all__ = ["FOCAL", "FocalLoss", "miss", "sigmoid_focal_loss"]


def miss(pieces: LogisticPieces, t: Tensor) -> Factor:
    """The factor u = 1 - p_t = t q + (1-t) p; its derivative is (1 - 2t) p q."""
    # u = scale * mix, where `far` is the share of the target on the side that x is far from.
    far = torch.where(pieces.negative, t, 1 - t)
    mix = torch.addcmul(far, 1 - far, pieces.e)
    # A hard target has mix = e, which underflows while log e = -|x| and e / mix = 1 stay exact.
    soft = far > 0
    return Factor(
        size=pieces.scale * mix,
        log=lambda: torch.where(soft, torch.log(mix), pieces.log_e) + pieces.log_scale,
        slope=torch.rsub(t, 1, alpha=2) * pieces.scale * torch.where(soft, pieces.e / mix, 1.0),
    )


def _value_and_grad(
    pieces: LogisticPieces, t: Tensor, *, gamma: float | Tensor, alpha: float | Tensor | None, pos_weight: Tensor | None
) -> ValueAndGradient:
    return modulate(cross_entropy(pieces, t, pos_weight), miss(pieces, t), gamma, balance(t, alpha))


def _background(
    pieces: BackgroundPieces, *, gamma: float, alpha: float | Tensor | None, pos_weight: Tensor | None
) -> ValueAndGradient:
    return background(pieces, gamma, None if alpha is None else 1 - alpha)


FOCAL = Formula("focal", _value_and_grad, _background)


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: Alpha = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
    *,
    pos_weight: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy, scaled down by (1 - p_t)^gamma where the prediction is already right.

    F = a u^gamma l, with p = sigmoid(x), u = 1 - p_t = t (1-p) + (1-t) p, a = t alpha + (1-t)(1-alpha) and
    l = -w t log p - (1-t) log(1-p). gamma = 0 without alpha is binary cross-entropy.

    The minimum for a soft target is not at p = t but further from 1/2: for gamma 1.5, t = 0.3 gives p = 0.154 and
    t = 0.7 gives 0.846; for gamma 2, t = 0.6 gives 0.724. `quality_focal_loss` has it at p = t.

    Args:
        inputs: logits x of any shape and floating dtype; computed in float32 at least, finite for every logit.
        targets: t in [0, 1], hard or soft, in the shape of `inputs`; no gradient flows into them.
        alpha: weight of positives in [0, 1] (negatives have 1 - alpha); a tensor or sequence has one for each class
            (last dimension); None or a negative number: off.
        gamma: focusing exponent, any finite number >= 0.
        reduction: none (in the dtype of `inputs`), mean or sum (float32 at least).
        pos_weight: w, factor on the positive term of l, broadcast against `inputs`.
        weight: factor on the loss, broadcast against `inputs`.

    Raises:
        ConfigError: an argument is out of range or a shape does not fit. A second derivative: YoloFocalError.

    Source: Lin et al., Focal Loss for Dense Object Detection, 2017; soft targets as in YOLOv5.
    """
    return evaluate(FOCAL, inputs, targets, reduction, weight, focusing(gamma, alpha, pos_weight))


class FocalLoss(SigmoidLoss):
    """`sigmoid_focal_loss` as a criterion, with the signature of YOLOv5's class; see `SigmoidLoss` for the rest."""

    formula = FOCAL

    def __init__(
        self,
        loss_fcn: nn.BCEWithLogitsLoss | None = None,
        gamma: float = 1.5,
        alpha: Alpha = 0.25,
        *,
        reduction: str | None = None,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        gain: Gain = 1.0,
    ):
        super().__init__(loss_fcn, gamma, alpha, reduction=reduction, weight=weight, pos_weight=pos_weight, gain=gain)
