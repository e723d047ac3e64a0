"""The parts every sigmoid loss is built from, each without cancellation, overflow or NaN.

x is a logit, t its target in [0, 1], p = sigmoid(x), q = sigmoid(-x) = 1 - p.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = [
    "BackgroundPieces",
    "Factor",
    "Formula",
    "Hyperparameters",
    "LogisticPieces",
    "SCRATCH_TENSORS",
    "SPECIAL_EXPONENTS",
    "ValueAndGradient",
    "background",
    "background_pieces",
    "balance",
    "cross_entropy",
    "cross_entropy_slope",
    "logistic_pieces",
    "modulate",
    "saturate",
    "scaled",
]

Hyperparameters = dict[str, Any]
"""The hyperparameters of one call by name: numbers, None, or tensors that broadcast against the logits."""


class ValueAndGradient(NamedTuple):
    """A function of the logits and its derivative, element by element."""

    value: Tensor
    gradient: Tensor


SCRATCH_TENSORS = 4

SPECIAL_EXPONENTS = (1.5, 2.0)
"""Values of gamma, those that most people use, for which a power needs neither logarithm nor exponential."""


class Formula(NamedTuple):
    """The mathematics of one loss: all that a backend needs to run it.

    Attributes:
        name: the loss's row in the table.
        value_and_grad: `(pieces, t, **hyperparameters)`, in float32 or float64 and left unchanged, to the loss and its
            derivative in x, for every target t in [0, 1].
        background: `(pieces, **hyperparameters)` to the same at target 0, where nearly all elements of a detector's
            class tensor are, written over the `BackgroundPieces`; None where no shorter formula exists.
    """

    name: str
    value_and_grad: Callable[..., ValueAndGradient]
    background: Callable[..., ValueAndGradient] | None = None


class Factor(NamedTuple):
    """A factor u in [0, 1] of a loss, by what its powers need.

    Attributes:
        size: u, which may underflow.
        log: gives log u, exact also where u underflows.
        slope: u' / u, the derivative of log u.
    """

    size: Tensor
    log: Callable[[], Tensor]
    slope: Tensor


class LogisticPieces(NamedTuple):
    """What a logit gives: from log_e = -|x|, e = exp(-|x|), scale = max(p, q) = 1 / (1 + e) and its logarithm."""

    log_e: Tensor
    e: Tensor
    scale: Tensor
    log_scale: Tensor
    negative: Tensor
    p: Tensor
    q: Tensor
    minus_log_p: Tensor
    minus_log_q: Tensor


class BackgroundPieces(NamedTuple):
    """What a logit gives where the target is 0: the saturated logit, softplus(x) = -log q, q and p.

    Four of the SCRATCH_TENSORS, to be written over: on a CPU an element-wise loss spends more time on fresh memory
    than on its mathematics.
    """

    x: Tensor
    softplus: Tensor
    q: Tensor
    p: Tensor


def saturate(x: Tensor) -> Tensor:
    """Bring infinite logits to ±1e30, so that 0 * inf never appears; NaN stays NaN."""
    return x.clamp(-1e30, 1e30)


def _log1p(e: Tensor) -> Tensor:
    """log(1 + e) for e in [0, 1]."""
    if not (torch.compiler.is_compiling() and e.dtype == torch.float32):
        return torch.log1p(e)
    # In a compiled kernel a series costs a fifth of the library's function; after eight terms it is exact to 2e-9.
    s = e / (2 + e)
    square = s * s
    series = torch.full_like(s, 1 / 15)
    for k in range(13, 0, -2):
        series = series * square + 1 / k
    return 2 * s * series


def logistic_pieces(x: Tensor) -> LogisticPieces:
    """The pieces of `x` from one exp, one log1p and one division, each exact to a few units in the last place."""
    x = saturate(x)
    negative = x < 0
    log_e = -x.abs()
    e = torch.exp(log_e)
    log1p_e = _log1p(e)
    scale = 1 / (1 + e)
    small = e * scale
    return LogisticPieces(
        log_e=log_e,
        e=e,
        scale=scale,
        log_scale=-log1p_e,
        negative=negative,
        p=torch.where(negative, small, scale),
        q=torch.where(negative, scale, small),
        minus_log_p=log1p_e - x.clamp_max(0),
        minus_log_q=log1p_e + x.clamp_min(0),
    )


def cross_entropy(
    pieces: LogisticPieces, t: Tensor, pos_weight: Tensor | None, rest: Tensor | None = None
) -> ValueAndGradient:
    """Binary cross-entropy -w t log p - (1-t) log q, with w = `pos_weight`, and its derivative (1-t) p - w t q.

    `rest` is 1 - t where that is known better than by the subtraction.
    """
    positive = t if pos_weight is None else t * pos_weight
    value = torch.addcmul(positive * pieces.minus_log_p, 1 - t if rest is None else rest, pieces.minus_log_q)
    return ValueAndGradient(value, cross_entropy_slope(pieces, t, pos_weight, rest))


def cross_entropy_slope(
    pieces: LogisticPieces, t: Tensor, pos_weight: Tensor | None, rest: Tensor | None = None
) -> Tensor:
    """The derivative of `cross_entropy` alone."""
    positive = t if pos_weight is None else t * pos_weight
    return torch.addcmul((1 - t if rest is None else rest) * pieces.p, positive, pieces.q, value=-1)


def modulate(
    loss: ValueAndGradient,
    factor: Factor,
    exponent: float | Tensor,
    balance: Tensor | float | None = None,
) -> ValueAndGradient:
    """The product balance * factor^exponent * loss, and its derivative.

    In general through the logarithm: a factor underflows, and may have an infinite slope at 0, long before the product
    does.
    """
    if isinstance(exponent, float) and exponent in SPECIAL_EXPONENTS:
        modulation = factor.size * (torch.sqrt(factor.size) if exponent == 1.5 else factor.size)
    else:
        modulation = torch.exp(exponent * factor.log())
    if balance is not None:
        modulation = modulation * balance
    return ValueAndGradient(
        modulation * loss.value,
        modulation * (loss.gradient + exponent * factor.slope * loss.value),
    )


def balance(t: Tensor, alpha: float | Tensor | None) -> Tensor | None:
    """The weight t alpha + (1-t)(1-alpha) between positives and negatives; None where alpha is off."""
    return None if alpha is None else t * alpha + (1 - t) * (1 - alpha)


def scaled(loss: ValueAndGradient, factor: float | Tensor | None) -> ValueAndGradient:
    """`loss` times `factor`, in place; None is 1."""
    return loss if factor is None else ValueAndGradient(loss.value.mul_(factor), loss.gradient.mul_(factor))


def background_pieces(x: Tensor, scratch: Sequence[Tensor], left_out: Tensor | None = None) -> BackgroundPieces:
    """The pieces of `x`, written into `scratch`: SCRATCH_TENSORS of its shape, float32 or float64.

    The elements at `left_out`, positions in the flattened `x`, are taken as -1e30: their p, loss and derivative are 0.
    """
    saturated, exp_x, q, p = scratch
    torch.clamp(x.to(saturated.dtype), -1e30, 1e30, out=saturated)
    if left_out is not None:
        saturated.view(-1).index_fill_(0, left_out, -1e30)
    # exp(x) stops short of overflow, where p has long been 1; there softplus(x) is x, which the maximum gives.
    torch.clamp_max(saturated, math.log(torch.finfo(saturated.dtype).max) - 2, out=exp_x).exp_()
    torch.add(exp_x, 1, out=q).reciprocal_()
    torch.mul(exp_x, q, out=p)
    softplus = torch.maximum(exp_x.log1p_(), saturated, out=exp_x)
    return BackgroundPieces(saturated, softplus, q, p)


def background(
    pieces: BackgroundPieces, gamma: float | Tensor, factor: float | Tensor | None = None, epsilon: float = 0.0
) -> ValueAndGradient:
    """The function p^gamma (softplus(x) + epsilon p) times `factor`, and its derivative, which takes the place of p.

    Most of the family is that at target 0, with epsilon 0.
    """
    x, loss, q, p = pieces
    if isinstance(gamma, float) and gamma in SPECIAL_EXPONENTS:
        modulation = (torch.sqrt(p, out=x) if gamma == 1.5 else x.copy_(p)).mul_(p)
    else:
        modulation = x.sub_(loss).mul_(gamma).exp_()
    if factor is not None:
        modulation.mul_(factor)
    slope = p
    if epsilon:
        loss.add_(p, alpha=epsilon)
        slope.addcmul_(p, q, value=epsilon)
    if isinstance(gamma, Tensor):
        slope.addcmul_(q.mul_(gamma), loss)
    else:
        slope.addcmul_(q, loss, value=gamma)
    return ValueAndGradient(loss.mul_(modulation), slope.mul_(modulation))
