"""How a loss's value-and-gradient pair is executed: in cache-sized chunks, with the gradient ready after the forward pass."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from yolo_focal.errors import ConfigError
from yolo_focal.losses.pieces import Formula, Terms, ValueAndGradient

__all__ = ["REDUCTIONS", "evaluate"]

REDUCTIONS = ("none", "mean", "sum")
CHUNK_ELEMENTS = 1 << 17
FOLDED_WIDTH = 64


def evaluate(
    formula: Formula,
    logits: Tensor,
    targets: Tensor,
    reduction: str,
    weight: Tensor | None = None,
    terms: Terms | None = None,
) -> Tensor:
    """Run `formula` on `logits` and `targets` of one shape and reduce; differentiable once in the logits.

    Args:
        formula: the loss.
        logits: any shape, any floating dtype; computed in float32 at least.
        targets: the same shape, any dtype, values in [0, 1].
        reduction: none, mean or sum.
        weight: multiplies the loss; broadcasts against the logits.
        terms: the formula's hyperparameters; tensors broadcast against the logits.

    Raises:
        ConfigError: shapes differ, the reduction is unknown, logits are not floating, or targets require a gradient.
    """
    _check(logits, targets, reduction)
    terms = {**(terms or {}), "__weight": weight}
    result: Tensor = _Fused.apply(logits, targets, formula, terms, reduction)
    return result


def _check(logits: Tensor, targets: Tensor, reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ConfigError(f"reduction must be one of none, mean, sum, got {reduction!r}")
    if logits.shape != targets.shape:
        raise ConfigError(
            f"targets must have the shape of the logits, {tuple(logits.shape)}, got {tuple(targets.shape)}"
        )
    if not logits.is_floating_point():
        raise ConfigError(f"logits must be floating point, got {logits.dtype}; call .float() on them")
    if targets.requires_grad:
        raise ConfigError("targets require a gradient, which this loss does not give; call .detach() on them")


class _Rows(NamedTuple):
    """The operands as (rows, width) views; a term is a number, None, (1, width) or (rows, width)."""

    logits: Tensor
    targets: Tensor
    terms: Terms

    def chunk(self, rows: slice, dtype: torch.dtype) -> "_Rows":
        return _Rows(self.logits[rows].to(dtype), self.targets[rows], _take(self.terms, rows, dtype))


def _take(terms: Terms, rows: slice | Tensor, dtype: torch.dtype) -> Terms:
    def take(term: Any) -> Any:
        if not isinstance(term, Tensor):
            return term
        return (term if len(term) == 1 else term[rows]).to(dtype)

    return {name: take(term) for name, term in terms.items()}


def _as_rows(logits: Tensor, targets: Tensor, terms: Terms) -> _Rows:
    # Narrow rows are folded together: finding rows with targets costs one sum per row.
    shape = logits.shape
    width = shape[-1] if logits.dim() else 1
    count = logits.numel() // width if width else 0
    fold = math.gcd(count, max(1, 1 << (FOLDED_WIDTH // max(width, 1)).bit_length() - 1)) if width < FOLDED_WIDTH else 1
    folded = (count // fold, width * fold) if fold else (0, width)

    def rows(term: Any) -> Any:
        if not isinstance(term, Tensor):
            return term
        term = term.to(logits.device)
        if term.numel() == 1:
            return term.reshape(1, 1)
        if term.numel() == term.shape[-1]:
            return term.reshape(1, -1).repeat(1, fold)
        return term.expand(shape).reshape(folded)

    return _Rows(logits.reshape(folded), targets.reshape(folded), {name: rows(term) for name, term in terms.items()})


def _chunked(
    formula: Formula, logits: Tensor, targets: Tensor, terms: Terms, *, elementwise: bool, gradient: bool
) -> tuple[Tensor, Tensor | None]:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    rows = _as_rows(logits, targets, terms)
    count, width = rows.logits.shape
    step = max(1, CHUNK_ELEMENTS // max(width, 1))
    values = torch.empty_like(rows.logits) if elementwise else None
    gradients = torch.empty_like(rows.logits, dtype=dtype) if gradient else None
    sums = [rows.logits.new_zeros((), dtype=dtype)]
    for start in range(0, count, step):
        part = slice(start, start + step)
        pair = _apply(formula, rows.chunk(part, dtype))
        if values is not None:
            values[part] = pair.value
        else:
            sums.append(pair.value.sum())
        if gradients is not None:
            gradients[part] = pair.gradient
    result = values.view(logits.shape) if values is not None else torch.stack(sums).sum()
    return result, gradients.view(logits.shape) if gradients is not None else None


def _apply(formula: Formula, rows: _Rows) -> ValueAndGradient:
    terms = dict(rows.terms)
    weight = terms.pop("__weight")
    hit = rows.targets.sum(1).nonzero()[:, 0]
    dtype = rows.logits.dtype
    if 2 * len(hit) > len(rows.targets):
        value, gradient = formula.pair(rows.logits, rows.targets.to(dtype), **terms)
    else:
        value, gradient = formula.background(rows.logits, **terms)
        if len(hit):
            exact = formula.pair(rows.logits[hit], rows.targets[hit].to(dtype), **_take(terms, hit, dtype))
            value[hit], gradient[hit] = exact.value, exact.gradient
    if weight is not None:
        value, gradient = value * weight, gradient * weight
    return ValueAndGradient(value, gradient)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, formula: Formula, terms: Terms, reduction: str) -> Tensor:
        result, ctx.gradient = _chunked(
            formula,
            logits,
            targets,
            terms,
            elementwise=reduction == "none",
            gradient=ctx.needs_input_grad[0],
        )
        ctx.save_for_backward(logits, targets)
        ctx.formula, ctx.terms = formula, terms
        ctx.scale = 1 / logits.numel() if reduction == "mean" and logits.numel() else 1.0
        return result * ctx.scale if reduction == "mean" else result

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        # The stored gradient is scaled in place and given away; a second backward over the same graph computes it anew.
        gradient, ctx.gradient = ctx.gradient, None
        logits, targets = ctx.saved_tensors
        if gradient is None:
            _, gradient = _chunked(ctx.formula, logits, targets, ctx.terms, elementwise=False, gradient=True)
        return gradient.mul_(upstream.to(gradient.dtype) * ctx.scale).to(logits.dtype), None, None, None, None
