"""Softmax focal loss, for classes that exclude each other."""

import operator
from typing import NamedTuple

import torch
from torch import Tensor

from yolo_focal.errors import ConfigError
from yolo_focal.losses.chunked import Outcome
from yolo_focal.losses.module import Alpha, Gain, MeasuredLoss, as_alpha, as_exponent, as_fraction, as_gain, describe
from yolo_focal.losses.pieces import saturate
from yolo_focal.losses.run import as_factor, check_operands, check_reduction, fuse

__all__ = ["SoftmaxFocalLoss", "check_class_indices", "softmax_focal_loss", "whole_numbers"]


class _Rows(NamedTuple):
    """Loss (rows,), its derivative (rows, classes), and that of the cross-entropy in its place."""

    value: Tensor
    gradient: Tensor
    stock: Tensor


def _focal_rows(
    x: Tensor, label: Tensor, gamma: float, alpha: Tensor, weights: Tensor, label_smoothing: float
) -> _Rows:
    """alpha_y (1 - p_y)^gamma l for logits `x` (rows, classes); `alpha` and `weights` are (classes,)."""
    log_p = torch.log_softmax(saturate(x), 1)
    is_label = torch.zeros_like(log_p, dtype=torch.bool).scatter_(1, label[:, None], True)
    # log(1 - p_y) as the sum of the other probabilities: 1 - p_y itself is 0 for a confident prediction.
    log_u = torch.logsumexp(log_p.masked_fill(is_label, -torch.inf), 1, keepdim=True).clamp_min(-1e30)
    u = log_u.exp()
    # And log p_y from u where p_y is near 1, for the same reason.
    log_p = torch.where(is_label & (u < 0.5), torch.log1p(-u), log_p)
    p = log_p.exp()
    p_label = p.gather(1, label[:, None])
    # The target is w_c ((1 - s) [c = y] + s / C), so that l = -sum_c target_c log p_c.
    smooth = weights * (label_smoothing / x.shape[1])
    others = torch.where(is_label, 0.0, smooth)
    of_label = weights[label][:, None] * (1 - label_smoothing) + smooth[label][:, None]
    loss = -(torch.where(is_label, of_label, others) * log_p).sum(1, keepdim=True)
    of_others = others.sum(1, keepdim=True)
    mass = of_label + of_others
    slope = torch.where(is_label, of_others - mass * u, mass * p - smooth)
    slope_of_log_u = torch.where(is_label, -p, p_label * (log_p - log_u).clamp_max(0).exp())
    modulation = alpha[label][:, None] * torch.exp(gamma * log_u)
    return _Rows((modulation * loss)[:, 0], modulation * (slope + gamma * slope_of_log_u * loss), slope)


def softmax_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: Alpha = None,
    gamma: float = 2.0,
    reduction: str = "mean",
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy over classes that exclude each other, scaled down by (1 - p_y)^gamma.

    F = alpha_y (1 - p_y)^gamma l, with p = softmax(x), label y and l = -sum_c w_c t_c log p_c, where t is one-hot, or
    (1 - s) one-hot + s / C with label smoothing s. gamma = 0 without alpha is `nn.functional.cross_entropy`, also with
    `weight`, `label_smoothing` and both.

    Args:
        inputs: logits x, shape (N, C) or (N, C, ...), any floating dtype; computed in float32 at least.
        targets: class indices y, shape (N,) or (N, ...), integers in [0, C) or `ignore_index`.
        alpha: factor in [0, 1] on every class, or a tensor or sequence with one for each class; None or negative: off.
        gamma: focusing exponent, any finite number >= 0.
        reduction: none (ignored places are 0), sum, or mean over the places that are not ignored, weighted by `weight`
            as in cross-entropy; 0 where there are none.
        ignore_index: targets to leave out.
        label_smoothing: s in [0, 1].
        weight: shape (C,), w above.

    Raises:
        ConfigError: an argument is out of range, or a shape or dtype does not fit. A second derivative: YoloFocalError.

    Source: Lin et al., Focal Loss for Dense Object Detection, 2017, with the softmax's p_y.
    """
    return _run(inputs, targets, alpha, gamma, reduction, ignore_index, label_smoothing, weight, slopes=False)[0]


def _run(
    inputs: Tensor,
    targets: Tensor,
    alpha: Alpha,
    gamma: float,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    weight: Tensor | None,
    *,
    slopes: bool,
) -> tuple[Tensor, Tensor | None]:
    gamma = as_exponent("gamma", gamma)
    label_smoothing = as_fraction("label_smoothing", label_smoothing)
    ignore_index = _whole_number(ignore_index)
    targets = _class_indices(inputs, targets, reduction)
    classes = inputs.shape[1]
    kept = targets != ignore_index
    check_class_indices(targets[kept], classes, f" and is not ignore_index {ignore_index}")
    factor = _per_class("alpha", as_alpha(alpha), inputs, classes)
    weights = _per_class("weight", as_factor("weight", weight), inputs, classes)
    normaliser = 1.0
    if reduction == "mean":
        total = weights[targets[kept]].sum().item()
        normaliser = total if total > 0 else 1.0

    def run(logits: Tensor, targets: Tensor, *, gradient: bool) -> Outcome:
        x = logits.movedim(1, -1)[kept].to(factor.dtype)
        rows = _focal_rows(x, targets[kept], gamma, factor, weights, label_smoothing)
        sums = torch.stack((rows.stock.abs().sum(), rows.gradient.abs().sum())) if slopes else None
        derivative = None
        if gradient:
            derivative = torch.zeros_like(logits, dtype=x.dtype)
            derivative.movedim(1, -1)[kept] = rows.gradient
        if reduction != "none":
            return Outcome(rows.value.sum(), derivative, sums)
        values = torch.zeros(targets.shape, dtype=logits.dtype, device=logits.device)
        values[kept] = rows.value.to(logits.dtype)
        return Outcome(values.unsqueeze(1), derivative, sums)

    result, sums = fuse(run, inputs, targets, 1 / normaliser)
    return result.squeeze(1) if reduction == "none" else result, sums


def _class_indices(inputs: Tensor, targets: Tensor, reduction: str) -> Tensor:
    """The targets as int64, in the shape that belongs to the logits."""
    check_operands(inputs, targets, reduction)
    expected = (*inputs.shape[:1], *inputs.shape[2:])
    if inputs.dim() < 2 or not inputs.shape[1] or targets.shape != expected:
        raise ConfigError(
            f"softmax focal loss takes logits (N, C, ...), C >= 1, and class indices (N, ...), "
            f"got {tuple(inputs.shape)} and {tuple(targets.shape)}"
        )
    return whole_numbers(targets)


def whole_numbers(class_indices: Tensor) -> Tensor:
    """As int64, which indexing takes; ConfigError where their dtype is not an integer's."""
    if class_indices.is_floating_point() or class_indices.is_complex() or class_indices.dtype == torch.bool:
        raise ConfigError(f"class targets must be integer class indices, got {class_indices.dtype}")
    return class_indices.long()


def check_class_indices(class_indices: Tensor, classes: int, also: str = "") -> None:
    """Raise ConfigError for an index outside [0, classes); `also` is what else is said of it."""
    outside = class_indices[(class_indices < 0) | (class_indices >= classes)]
    if len(outside):
        raise ConfigError(f"class index {outside[0].item()} is outside [0, {classes}){also}")


def _whole_number(ignore_index: int) -> int:
    try:
        return operator.index(ignore_index)
    except TypeError as error:
        raise ConfigError(f"ignore_index must be a whole number, got {ignore_index!r}") from error


def _per_class(name: str, value: float | Tensor | None, inputs: Tensor, classes: int) -> Tensor:
    dtype = torch.promote_types(inputs.dtype, torch.float32)
    if isinstance(value, Tensor):
        if value.numel() not in (1, classes):
            raise ConfigError(f"{name} has {value.numel()} numbers, but the logits have {classes} classes")
        return value.to(inputs.device, dtype).flatten().expand(classes)
    return torch.full((classes,), 1.0 if value is None else value, dtype=dtype, device=inputs.device)


class SoftmaxFocalLoss(MeasuredLoss):
    """`softmax_focal_loss` as a criterion, to stand where `nn.CrossEntropyLoss` does; `gamma` may be changed later.

    It has no parameters and leaves nothing in the state dict. `gain` is a factor on the result; "auto": that with which
    the sum of |derivative| over all logits of the call is the cross-entropy's, as in `SigmoidLoss`.
    """

    weight: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: Alpha = None,
        *,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
        gain: Gain = 1.0,
    ):
        super().__init__()
        self.gain = as_gain(gain)
        self.reduction = check_reduction(reduction)
        self.gamma = as_exponent("gamma", gamma)
        self.ignore_index = _whole_number(ignore_index)
        self.label_smoothing = as_fraction("label_smoothing", label_smoothing)
        self.alpha = as_alpha(alpha)
        factor = as_factor("weight", weight)
        self.register_buffer("weight", None if factor is None else factor.clone(), persistent=False)

    def run(self, inputs: Tensor, targets: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """The loss without its gain of logits (N, C, ...) against class indices (N, ...)."""
        settings = (self.alpha, self.gamma, self.reduction, self.ignore_index, self.label_smoothing, self.weight)
        return _run(inputs, targets, *settings, slopes=slopes)

    def extra_repr(self) -> str:
        """The hyperparameters."""
        return f"gamma={self.gamma:g}, alpha={describe(self.alpha)}"

    def __repr__(self) -> str:
        return f"softmax({self.extra_repr()})"
