"""Quality focal loss (Li et al., Generalized Focal Loss, 2020): focusing by the distance to a soft target."""

import torch
from torch import Tensor

from yolo_focal.losses.binary import cross_entropy_terms
from yolo_focal.losses.focal import FOCAL
from yolo_focal.losses.module import Alpha, SigmoidLoss, as_alpha, as_exponent
from yolo_focal.losses.pieces import Formula, Terms, ValueAndGradient, logistic_pieces
from yolo_focal.losses.run import evaluate

__all__ = ["QUALITY_FOCAL", "QualityFocalLoss", "quality_focal_loss"]


def _pair(
    x: Tensor, t: Tensor, *, gamma: float | Tensor, alpha: float | Tensor | None, pos_weight: Tensor | None
) -> ValueAndGradient:
    pieces = logistic_pieces(x)
    # |p - t| = scale * |far - (1-far) e|, where far is the target's share on the side x is far from.
    far = torch.where(pieces.negative, t, 1 - t)
    difference = far - (1 - far) * pieces.e
    distance = difference.abs()
    soft = far > 0
    log_distance = torch.where(soft, torch.log(distance.clamp_min(1e-37)), -pieces.x.abs()) + pieces.log_scale
    # At p = t the loss has a cusp (gamma < 1) or a flat minimum: 0 is a subgradient of both.
    pq_over_distance = torch.where(soft, pieces.scale * pieces.e / difference, -pieces.scale)
    pq_over_distance = torch.where(difference == 0, torch.where(soft, 0.0, pq_over_distance), pq_over_distance)
    pq_over_distance = torch.where(pieces.negative, -pq_over_distance, pq_over_distance)
    loss, slope = cross_entropy_terms(pieces, t, pos_weight)
    modulation = torch.exp(gamma * log_distance)
    if alpha is not None:
        modulation = modulation * (t * alpha + (1 - t) * (1 - alpha))
    return ValueAndGradient(modulation * loss, modulation * (slope + gamma * pq_over_distance * loss))


QUALITY_FOCAL = Formula("qfl", _pair, FOCAL.background)


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
    """Binary cross-entropy scaled by |p - t|^gamma, so that a soft target is met exactly."""
    terms: Terms = {"gamma": as_exponent("gamma", gamma), "alpha": as_alpha(alpha), "pos_weight": pos_weight}
    return evaluate(QUALITY_FOCAL, inputs, targets, reduction, weight, terms)


class QualityFocalLoss(SigmoidLoss):
    """`quality_focal_loss` as a criterion."""

    name = "qfl"

    def formula(self) -> tuple[Formula, Terms]:
        return QUALITY_FOCAL, {"gamma": self.gamma, "alpha": self.alpha, "pos_weight": self.pos_weight}
