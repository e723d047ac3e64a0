"""Sigmoid focal loss (Lin et al., Focal Loss for Dense Object Detection, 2017), soft targets included."""

import torch
from torch import Tensor, nn

from yolo_focal.losses.binary import cross_entropy_terms
from yolo_focal.losses.module import Alpha, SigmoidLoss, as_alpha, as_exponent
from yolo_focal.losses.pieces import Formula, Terms, ValueAndGradient, background, logistic_pieces
from yolo_focal.losses.run import evaluate

__all__ = ["FOCAL", "FocalLoss", "sigmoid_focal_loss"]


def _pair(
    x: Tensor, t: Tensor, *, gamma: float | Tensor, alpha: float | Tensor | None, pos_weight: Tensor | None
) -> ValueAndGradient:
    pieces = logistic_pieces(x)
    # u = t q + (1-t) p = scale * (far + (1-far) e), where far is the target's share on the side x is far from.
    far = torch.where(pieces.negative, t, 1 - t)
    mix = far + (1 - far) * pieces.e
    soft = far > 0
    # At far = 0, u is e * scale: taken in log space, since e itself underflows long before the gradient does.
    log_u = torch.where(soft, torch.log(mix), -pieces.x.abs()) + pieces.log_scale
    pq_over_u = pieces.scale * torch.where(soft, pieces.e / mix, 1.0)
    loss, slope = cross_entropy_terms(pieces, t, pos_weight)
    modulation = torch.exp(gamma * log_u)
    if alpha is not None:
        modulation = modulation * (t * alpha + (1 - t) * (1 - alpha))
    return ValueAndGradient(modulation * loss, modulation * (slope + gamma * (1 - 2 * t) * pq_over_u * loss))


def _background(
    x: Tensor, *, gamma: float | Tensor, alpha: float | Tensor | None, pos_weight: Tensor | None
) -> ValueAndGradient:
    value, gradient = background(x, gamma)
    if alpha is None:
        return ValueAndGradient(value, gradient)
    return ValueAndGradient(value.mul_(1 - alpha), gradient.mul_(1 - alpha))


FOCAL = Formula("focal", _pair, _background)


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
    """Binary cross-entropy, scaled down where the prediction is already right.

    F = a u^gamma l with p = sigmoid(x), u = t (1-p) + (1-t) p, a = t alpha + (1-t)(1-alpha) and
    l = -w t log p - (1-t) log(1-p).
    """
    terms: Terms = {"gamma": as_exponent("gamma", gamma), "alpha": as_alpha(alpha), "pos_weight": pos_weight}
    return evaluate(FOCAL, inputs, targets, reduction, weight, terms)


class FocalLoss(SigmoidLoss):
    """`sigmoid_focal_loss` as a criterion, with the signature of YOLOv5's class."""

    name = "focal"

    def __init__(
        self,
        loss_fcn: nn.BCEWithLogitsLoss | None = None,
        gamma: float = 1.5,
        alpha: Alpha = 0.25,
        *,
        reduction: str | None = None,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
    ):
        super().__init__(loss_fcn, gamma, alpha, reduction=reduction, weight=weight, pos_weight=pos_weight)

    def formula(self) -> tuple[Formula, Terms]:
        return FOCAL, {"gamma": self.gamma, "alpha": self.alpha, "pos_weight": self.pos_weight}
