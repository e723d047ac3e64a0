"""Matchability-aware loss: low-quality matches count in full, with a target that gamma lowers."""

import torch
from torch import Tensor, nn

from yolo_focal.losses.module import Alpha, Gain, SigmoidLoss, focusing
from yolo_focal.losses.pieces import Formula, LogisticPieces, ValueAndGradient, cross_entropy
from yolo_focal.losses.run import evaluate
from yolo_focal.losses.varifocal import VARIFOCAL, focus_negatives

__all__ = ["MATCHABILITY", "MatchabilityAwareLoss", "matchability_aware_loss"]


def _value_and_grad(
    pieces: LogisticPieces, t: Tensor, *, gamma: float | Tensor, alpha: float | Tensor | None, pos_weight: Tensor | None
) -> ValueAndGradient:
    positive = ~(t <= 0)  # NaN too, which is to be seen in the loss
    # Through log t, because 1 - t^gamma would cancel for the best matches; log1p for the same reason.
    log_target = torch.where(positive, gamma * torch.where(t > 0.5, torch.log1p(t - 1), torch.log(t)), -torch.inf)
    loss = cross_entropy(pieces, torch.exp(log_target), pos_weight, rest=-torch.expm1(log_target))
    return focus_negatives(pieces, loss, positive, 1.0, gamma, alpha)


# Negatives are those of the varifocal loss.
MATCHABILITY = Formula("mal", _value_and_grad, VARIFOCAL.background)


def matchability_aware_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: Alpha = None,
    gamma: float = 1.5,
    reduction: str = "none",
    *,
    pos_weight: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy against t^gamma on positives, weighted by alpha p^gamma on negatives.

    F = -w t^gamma log p - (1 - t^gamma) log(1-p) where t > 0, and -alpha p^gamma log(1-p) where t = 0, with
    p = sigmoid(x). Unlike in the varifocal loss, a match of low quality keeps its full weight. The minimum for a soft
    target lies at p = t^gamma.

    Args:
        inputs: logits x of any shape and floating dtype; computed in float32 at least, finite for every logit.
        targets: t in [0, 1], the quality (IoU) of positives and 0 for negatives, in the shape of `inputs`.
        alpha: weight of negatives in [0, 1]; a tensor or sequence has one for each class (last dimension); None or a
            negative number: off, which is 1, as published.
        gamma: exponent, any finite number >= 0.
        reduction: none (in the dtype of `inputs`), mean or sum (float32 at least).
        pos_weight: w, factor on the positive term, broadcast against `inputs`.
        weight: factor on the loss, broadcast against `inputs`.

    Raises:
        ConfigError: an argument is out of range or a shape does not fit. A second derivative: YoloFocalError.

    Source: Huang et al., DEIM: DETR with Improved Matching, 2025.
    """
    return evaluate(MATCHABILITY, inputs, targets, reduction, weight, focusing(gamma, alpha, pos_weight))


class MatchabilityAwareLoss(SigmoidLoss):
    """`matchability_aware_loss` as a criterion; see `SigmoidLoss` for the arguments."""

    formula = MATCHABILITY

    def __init__(
        self,
        loss_fcn: nn.BCEWithLogitsLoss | None = None,
        gamma: float = 1.5,
        alpha: Alpha = None,
        *,
        reduction: str | None = None,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        gain: Gain = 1.0,
    ):
        super().__init__(loss_fcn, gamma, alpha, reduction=reduction, weight=weight, pos_weight=pos_weight, gain=gain)
