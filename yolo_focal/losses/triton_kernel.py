"""Runs a formula as one fused Triton kernel that reads logits and targets once in each direction.

The gradient is recomputed in the backward pass: that costs no more traffic than storing it in float32, and storing it
in half precision before a gradient scaler has scaled it would lose the small values. Imported only when it is used,
since it needs Triton.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from yolo_focal.losses.chunked import Outcome
from yolo_focal.losses.pieces import Formula, Hyperparameters

__all__ = ["Kernel", "kernel_for"]

BLOCK = 1024
FOCAL, QUALITY, VARIFOCAL = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
LOSS_OF = {"bce": 0, "focal": 0, "qfl": 1, "vfl": 2}


@triton.jit
def _exp(x):  # type: ignore[no-untyped-def]
    # exp2 of a large argument carries the argument's rounding into the result: 1e-5 at |x| = 80. Split, it does not.
    whole = tl.floor(x * 1.4426950408889634 + 0.5)
    rest = (x - whole * 0.693359375) + whole * 2.12194440e-4
    return tl.exp2(whole) * tl.exp2(rest * 1.4426950408889634)


@triton.jit
def _log1p(e):  # type: ignore[no-untyped-def]
    # For e in [0, 1]: the rounding error of 1 + e is divided out again.
    total = 1.0 + e
    return tl.where(total == 1.0, e, tl.log(total) * (e / tl.where(total == 1.0, 1.0, total - 1.0)))


@triton.jit  # type: ignore[untyped-decorator]
def _value_and_gradient(x, t, positive, negative, pos_weight, gamma, LOSS: tl.constexpr):  # type: ignore[no-untyped-def]
    # The formulas of pieces.py, focal.py, quality.py and varifocal.py; the tests hold them together.
    x = tl.minimum(tl.maximum(x, -1e30, tl.PropagateNan.ALL), 1e30, tl.PropagateNan.ALL)
    is_negative = x < 0
    magnitude = tl.abs(x)
    e = _exp(-tl.minimum(magnitude, 104.0))
    scale = 1.0 / (1.0 + e)
    log1p_e = _log1p(e)
    p = tl.where(is_negative, e * scale, scale)
    q = tl.where(is_negative, scale, e * scale)
    weighted = t * pos_weight
    loss = weighted * (tl.maximum(-x, 0.0) + log1p_e) + (1.0 - t) * (tl.maximum(x, 0.0) + log1p_e)
    slope = (1.0 - t) * p - weighted * q
    far = tl.where(is_negative, t, 1.0 - t)
    soft = far > 0
    balance = t * positive + (1.0 - t) * negative
    if LOSS == VARIFOCAL:
        log_factor = -(tl.maximum(-x, 0.0) + log1p_e)
        slope_of_log = q
    else:
        if LOSS == FOCAL:
            mix = far + (1.0 - far) * e
            ratio = tl.where(soft, e / tl.where(soft, mix, 1.0), 1.0)
            slope_of_log = (1.0 - 2.0 * t) * scale * ratio
        else:
            mix = far - (1.0 - far) * e
            met = mix == 0
            ratio = tl.where(soft, tl.where(met, 0.0, e / tl.where(met, 1.0, mix)), -1.0)
            slope_of_log = tl.where(is_negative, -scale, scale) * ratio
        size = tl.abs(mix)
        log_mix = tl.where(size > 0, tl.log(tl.where(size > 0, size, 1.0)), -1e30)
        log_factor = tl.where(soft, log_mix, -magnitude) - log1p_e
    modulation = _exp(tl.maximum(gamma * log_factor, -200.0))
    value = modulation * loss
    gradient = modulation * (slope + gamma * slope_of_log * loss)
    if LOSS == VARIFOCAL:
        is_positive = t > 0
        value = tl.where(is_positive, positive * t * loss, negative * value)
        gradient = tl.where(is_positive, positive * t * slope, negative * gradient)
    else:
        value = balance * value
        gradient = balance * gradient
    return value, gradient, slope


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]
    logits_pointer,
    targets_pointer,
    factors_pointer,  # (4, classes): factor on positives, factor on negatives, pos_weight, weight
    upstream_pointer,
    out_pointer,
    sums_pointer,  # (3, programs): of the value, of |derivative| of the cross-entropy and of the loss
    count,
    classes,
    gamma,
    LOSS: tl.constexpr,
    OUT: tl.constexpr,  # what is written: "sum" (one number a program), "value" or "gradient"
    SLOPES: tl.constexpr,  # whether the last two sums are written
    UPSTREAM_IS_SCALAR: tl.constexpr,
    BLOCK: tl.constexpr,
):
    program = tl.program_id(0)
    index = program.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = index < count
    x = tl.load(logits_pointer + index, mask=inside, other=0.0).to(tl.float32)
    t = tl.load(targets_pointer + index, mask=inside, other=0.0).to(tl.float32)
    column = (index % classes).to(tl.int32)
    positive = tl.load(factors_pointer + column)
    negative = tl.load(factors_pointer + classes + column)
    pos_weight = tl.load(factors_pointer + 2 * classes + column)
    value, gradient, stock = _value_and_gradient(x, t, positive, negative, pos_weight, gamma, LOSS)
    if SLOPES:
        weight = tl.load(factors_pointer + 3 * classes + column)
        programs = tl.num_programs(0)
        tl.store(sums_pointer + programs + program, tl.sum(tl.where(inside, tl.abs(stock * weight), 0.0), 0))
        tl.store(sums_pointer + 2 * programs + program, tl.sum(tl.where(inside, tl.abs(gradient), 0.0), 0))
    if OUT == "sum":
        tl.store(sums_pointer + program, tl.sum(tl.where(inside, value, 0.0), 0))
    elif OUT == "value":
        tl.store(out_pointer + index, value, mask=inside)
    else:
        if UPSTREAM_IS_SCALAR:
            upstream = tl.load(upstream_pointer)
        else:
            upstream = tl.load(upstream_pointer + index, mask=inside, other=0.0)
        tl.store(out_pointer + index, gradient * upstream, mask=inside)


class Kernel(NamedTuple):
    """One loss with its hyperparameters, ready to run on tensors of one device."""

    loss: int
    gamma: float
    factors: Tensor

    def run(self, logits: Tensor, targets: Tensor, *, elementwise: bool, gradient: bool, slopes: bool) -> Outcome:
        """The loss for each element in the dtype of the logits, or its sum in float32; the gradient comes later."""
        # Sums of programs in a fixed order: the same input gives the same result, bit for bit.
        sums = torch.zeros(3, triton.cdiv(logits.numel(), BLOCK), device=logits.device)
        values = torch.empty_like(logits, memory_format=torch.contiguous_format) if elementwise else sums
        self._launch(logits, targets, None, values, sums, "value" if elementwise else "sum", slopes)
        totals = sums.sum(1)
        return Outcome(values if elementwise else totals[0], None, totals[1:] if slopes else None)

    def backward(self, logits: Tensor, targets: Tensor, upstream: Tensor) -> Tensor:
        """The gradient times `upstream`, which is a scalar or has the shape of the logits."""
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format)
        self._launch(logits, targets, upstream, gradient, upstream, "gradient", False)
        return gradient

    def _launch(
        self,
        logits: Tensor,
        targets: Tensor,
        upstream: Tensor | None,
        out: Tensor,
        sums: Tensor,
        what: str,
        slopes: bool,
    ) -> None:
        count = logits.numel()
        if count == 0:
            return
        _kernel[(triton.cdiv(count, BLOCK),)](
            logits.contiguous(),
            (targets.to(torch.uint8) if targets.dtype == torch.bool else targets).contiguous(),
            self.factors,
            out if upstream is None else upstream.contiguous(),
            out,
            sums,
            count,
            self.factors.shape[1],
            self.gamma,
            LOSS=self.loss,
            OUT=what,
            SLOPES=slopes,
            UPSTREAM_IS_SCALAR=upstream is not None and upstream.dim() == 0,
            BLOCK=BLOCK,
        )


def kernel_for(formula: Formula, logits: Tensor, hyperparameters: Hyperparameters) -> Kernel | None:
    """The kernel of `formula`, or None where there is none: other losses, float64, or factors that vary by row."""
    loss = LOSS_OF.get(formula.name)
    if loss is None or logits.dtype == torch.float64:
        return None
    numbers = {
        name: torch.as_tensor(
            1.0 if hyperparameters.get(name) is None else hyperparameters[name],
            dtype=torch.float32,
            device=logits.device,
        )
        for name in ("alpha", "weight", "pos_weight")
    }
    width = logits.shape[-1] if logits.dim() else 1
    if any(
        number.numel() not in (1, width) or number.numel() > number.shape[-1]
        for number in numbers.values()
        if number.dim()
    ):
        return None
    alpha, weight, pos_weight = (number.flatten() for number in numbers.values())
    positive, negative = alpha, 1 - alpha
    if formula.name == "vfl":
        positive, negative = torch.ones_like(alpha), alpha
    elif hyperparameters.get("alpha") is None:
        negative = alpha
    columns = (positive * weight, negative * weight, pos_weight, weight)
    classes = max(column.numel() for column in columns)
    factors = torch.stack([column.expand(classes) for column in columns])
    return Kernel(loss, float(hyperparameters.get("gamma", 0.0)), factors)
