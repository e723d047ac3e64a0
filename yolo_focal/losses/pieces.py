"""The parts every sigmoid loss is built from, each without cancellation, overflow or NaN."""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = ["Formula", "LogisticPieces", "Terms", "ValueAndGradient", "background", "logistic_pieces", "saturate"]

Terms = dict[str, Any]
"""Hyperparameters of one call: floats, None, or tensors that broadcast against the logits."""


class ValueAndGradient(NamedTuple):
    """A loss and its derivative with respect to the logits, element by element."""

    value: Tensor
    gradient: Tensor


class Pair(Protocol):
    """`(x, t, **terms)` in float32 or float64 to the value and gradient; `x` and `t` are not changed."""

    def __call__(self, x: Tensor, t: Tensor, **terms: Any) -> ValueAndGradient: ...


class BackgroundPair(Protocol):
    """`(x, **terms)`: what the pair gives where every target is 0."""

    def __call__(self, x: Tensor, **terms: Any) -> ValueAndGradient: ...


class Formula(NamedTuple):
    """The mathematics of one loss: everything a backend needs to run it.

    Attributes:
        name: the loss's row in the table.
        pair: the definition, for every target in [0, 1].
        background: the same at target 0, where almost all elements of a detector's class tensor are.
    """

    name: str
    pair: Pair
    background: BackgroundPair


class LogisticPieces(NamedTuple):
    """For logits x: p = sigmoid(x), q = sigmoid(-x), -log p, -log q, and what they are made of.

    `e = exp(-|x|)`, `scale = max(p, q) = 1 / (1 + e)`, `log_scale = -log1p(e)`, `negative = x < 0`.
    """

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


def background(x: Tensor, gamma: float | Tensor) -> ValueAndGradient:
    """Value and gradient of p^gamma softplus(x): focal, quality focal and varifocal loss at target 0.

    In place on its own temporaries, because fresh memory is what makes an element-wise loss slow on a CPU.
    """
    x = saturate(x)
    minus_log_q = x.abs().neg_().exp_().log1p_().add_(x.clamp_min(0))
    log_p = x.sub_(minus_log_q)
    modulation = (log_p * gamma).exp_()
    p = log_p.exp_()
    gradient = minus_log_q.neg().exp_().mul_(minus_log_q).mul_(gamma).add_(p).mul_(modulation)
    return ValueAndGradient(minus_log_q.mul_(modulation), gradient)
