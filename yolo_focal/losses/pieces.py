"""The parts every sigmoid loss is built from, each without cancellation, overflow or NaN.

x is a logit, t its target in [0, 1], p = sigmoid(x), q = sigmoid(-x) = 1 - p.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = [
    "BackgroundPair",
    "Formula",
    "LogisticPieces",
    "Pair",
    "SCRATCH_TENSORS",
    "Terms",
    "ValueAndGradient",
    "background",
    "balance",
    "cross_entropy",
    "logistic_pieces",
    "modulate",
    "saturate",
    "scaled",
]

Terms = dict[str, Any]
"""The hyperparameters of one call by name: numbers, None, or tensors that broadcast against the logits."""


class ValueAndGradient(NamedTuple):
    """A function of the logits and its derivative, element by element."""

    value: Tensor
    gradient: Tensor


Pair = Callable[..., ValueAndGradient]
"""`(x, t, **terms)`, in float32 or float64 and left unchanged, to the loss and its derivative in x."""

BackgroundPair = Callable[..., ValueAndGradient]
"""`(x, scratch, **terms)` to what the pair gives where every target is 0, written into `scratch`."""

SCRATCH_TENSORS = 4


class Formula(NamedTuple):
    """The mathematics of one loss: all that a backend needs to run it.

    Attributes:
        name: the loss's row in the table.
        pair: the definition, for every target in [0, 1].
        background: the same at target 0, where nearly all elements of a detector's class tensor are; None where no
            shorter formula exists.
    """

    name: str
    pair: Pair
    background: BackgroundPair | None = None


class LogisticPieces(NamedTuple):
    """What a logit gives: from e = exp(-|x|), scale = max(p, q) = 1 / (1 + e) and log_scale = -log(1 + e)."""

    x: Tensor
    e: Tensor
    scale: Tensor
    log_scale: Tensor
    negative: Tensor
    p: Tensor
    q: Tensor
    minus_log_p: Tensor
    minus_log_q: Tensor


def saturate(x: Tensor) -> Tensor:
    """Bring infinite logits to ±1e30, so that 0 * inf never appears; NaN stays NaN."""
    return x.clamp(-1e30, 1e30)


def logistic_pieces(x: Tensor) -> LogisticPieces:
    """The pieces of `x` from one exp, one log1p and one division, each exact to a few units in the last place."""
    x = saturate(x)
    negative = x < 0
    e = torch.exp(-x.abs())
    log1p_e = torch.log1p(e)
    scale = 1 / (1 + e)
    small = e * scale
    return LogisticPieces(
        x=x,
        e=e,
        scale=scale,
        log_scale=-log1p_e,
        negative=negative,
        p=torch.where(negative, small, scale),
        q=torch.where(negative, scale, small),
        minus_log_p=(-x).clamp_min(0) + log1p_e,
        minus_log_q=x.clamp_min(0) + log1p_e,
    )


def cross_entropy(
    pieces: LogisticPieces, t: Tensor, pos_weight: Tensor | None, rest: Tensor | None = None
) -> ValueAndGradient:
    """Binary cross-entropy -w t log p - (1-t) log q, with w = `pos_weight`, and its derivative (1-t) p - w t q.

    `rest` is 1 - t where that is known better than by the subtraction.
    """
    positive = t if pos_weight is None else t * pos_weight
    rest = 1 - t if rest is None else rest
    return ValueAndGradient(
        positive * pieces.minus_log_p + rest * pieces.minus_log_q,
        rest * pieces.p - positive * pieces.q,
    )


def modulate(
    loss: ValueAndGradient,
    log_factor: ValueAndGradient,
    exponent: float | Tensor,
    balance: Tensor | float | None = None,
) -> ValueAndGradient:
    """The product balance * factor^exponent * loss, and its derivative.

    The factor comes as its logarithm: it underflows, and has an infinite slope at 0, long before the product does.
    """
    modulation = torch.exp(exponent * log_factor.value)
    if balance is not None:
        modulation = modulation * balance
    return ValueAndGradient(
        modulation * loss.value,
        modulation * (loss.gradient + exponent * log_factor.gradient * loss.value),
    )


def balance(t: Tensor, alpha: float | Tensor | None) -> Tensor | None:
    """The weight t alpha + (1-t)(1-alpha) between positives and negatives; None where alpha is off."""
    return None if alpha is None else t * alpha + (1 - t) * (1 - alpha)


def scaled(pair: ValueAndGradient, factor: float | Tensor | None) -> ValueAndGradient:
    """`pair` times `factor`, in place; None is 1."""
    return pair if factor is None else ValueAndGradient(pair.value.mul_(factor), pair.gradient.mul_(factor))


def background(
    x: Tensor, scratch: Sequence[Tensor], gamma: float, factor: float | Tensor | None = None
) -> ValueAndGradient:
    """The function p^gamma softplus(x) times `factor`, which most of the family is at target 0, and its derivative.

    Written into `scratch`, SCRATCH_TENSORS tensors of the shape of `x` in float32 or float64: on a CPU an element-wise
    loss spends more time on fresh memory than on its mathematics.
    """
    finite, exp_x, q, p = scratch
    limits = torch.finfo(finite.dtype)
    finite.copy_(x).clamp_(-1e30, 1e30)
    torch.clamp_max(finite, math.log(limits.max) - 0.5, out=exp_x).exp_()
    torch.add(exp_x, 1, out=q).reciprocal_()
    torch.mul(exp_x, q, out=p)
    # Past exp(x) = 1/eps, softplus(x) rounds to x; the maximum gives just that, and log p = x - softplus(x) is 0.
    minus_log_q = torch.maximum(exp_x.clamp_max_(1 / limits.eps).log1p_(), finite, out=exp_x)
    if gamma == 1.5:  # the exponents that most people use, without the exponential that takes a tenth of the time
        modulation = torch.sqrt(p, out=finite).mul_(p)
    elif gamma == 2:
        modulation = torch.mul(p, p, out=finite)
    else:
        modulation = finite.sub_(minus_log_q).mul_(gamma).exp_()
    if factor is not None:
        modulation.mul_(factor)
    gradient = p.addcmul_(q, minus_log_q, value=gamma).mul_(modulation)
    return ValueAndGradient(minus_log_q.mul_(modulation), gradient)
