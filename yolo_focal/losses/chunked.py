"""Runs a formula eagerly, chunk by chunk in cache: as if all targets were 0, then again on the rows with targets."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from yolo_focal.errors import ConfigError
from yolo_focal.losses.pieces import Formula, Terms, ValueAndGradient

__all__ = ["run_chunked"]

# Two threads' temporaries of this many elements stay in a core's cache; a GPU wants few launches instead.
CHUNK_ELEMENTS_CPU = 1 << 17
CHUNK_ELEMENTS_GPU = 1 << 24
# Rows narrower than this are joined by sixteens: whether a row has a target costs one sum per row.
NARROW = 64


class Rows(NamedTuple):
    """The operands seen as (rows, width); a term is a number, None, (1, width) or (rows, width)."""

    logits: Tensor
    targets: Tensor
    terms: Terms

    def take(self, rows: slice | Tensor, dtype: torch.dtype) -> "Rows":
        """Some of the rows, in `dtype`."""
        terms = {name: _take(term, rows, dtype) for name, term in self.terms.items()}
        return Rows(self.logits[rows].to(dtype), self.targets[rows].to(dtype), terms)


def _take(term: Any, rows: slice | Tensor, dtype: torch.dtype) -> Any:
    if not isinstance(term, Tensor):
        return term
    return (term if len(term) == 1 else term[rows]).to(dtype)


def _as_rows(logits: Tensor, targets: Tensor, terms: Terms) -> Rows:
    width = logits.shape[-1] if logits.dim() else 1
    rows = logits.numel() // width
    fold = math.gcd(rows, 16) if width < NARROW else 1
    shape = (rows // fold, width * fold)

    def reshape(name: str, term: Any) -> Any:
        if not isinstance(term, Tensor):
            return term
        try:
            spread = term.to(logits.device).expand(logits.shape)
        except RuntimeError:
            raise ConfigError(
                f"{name} of shape {tuple(term.shape)} does not broadcast against logits of shape "
                f"{tuple(logits.shape)}; give one number, or one for each class (last dimension)"
            ) from None
        same_in_all_rows = term.numel() == (term.shape[-1] if term.dim() else 1)
        return spread.reshape(-1, width)[:1].repeat(1, fold) if same_in_all_rows else spread.reshape(shape)

    return Rows(
        logits.reshape(shape), targets.reshape(shape), {name: reshape(name, term) for name, term in terms.items()}
    )


def run_chunked(
    formula: Formula,
    logits: Tensor,
    targets: Tensor,
    terms: Terms,
    *,
    elementwise: bool,
    gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """The loss, element by element in the dtype of the logits or summed in float32 at least, and its gradient.

    Args:
        formula: the loss.
        logits: any shape; read only.
        targets: the same shape; read only.
        terms: the formula's hyperparameters, and `weight`, a factor on the result.
        elementwise: whether the loss is wanted for each element; else their sum.
        gradient: whether the derivative is wanted; it is kept in float32 at least, because a half-precision gradient
            that is scaled later (as gradient scalers do) has already lost its small values.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    values = torch.empty_like(logits, memory_format=torch.contiguous_format) if elementwise else None
    gradients = torch.empty_like(logits, dtype=dtype, memory_format=torch.contiguous_format) if gradient else None
    sums = [torch.zeros((), dtype=dtype, device=logits.device)]
    if logits.numel():
        rows = _as_rows(logits, targets, terms)
        count, width = rows.logits.shape
        step = max(1, (CHUNK_ELEMENTS_CPU if logits.is_cpu else CHUNK_ELEMENTS_GPU) // width)
        for start in range(0, count, step):
            part = slice(start, start + step)
            pair = _run_chunk(formula, rows, part, dtype)
            if values is not None:
                values.view(count, width)[part] = pair.value
            else:
                sums.append(pair.value.sum())
            if gradients is not None:
                gradients.view(count, width)[part] = pair.gradient
    return values if values is not None else torch.stack(sums).sum(), gradients


def _run_chunk(formula: Formula, rows: Rows, part: slice, dtype: torch.dtype) -> ValueAndGradient:
    chunk = rows.take(part, dtype)
    weight = chunk.terms.pop("weight")
    pair = _run_sparse(formula, chunk)
    if pair is None:
        pair = formula.pair(chunk.logits, chunk.targets, **chunk.terms)
    return pair if weight is None else ValueAndGradient(pair.value * weight, pair.gradient * weight)


def _run_sparse(formula: Formula, chunk: Rows) -> ValueAndGradient | None:
    """The background formula with the rows that have targets done again; None where it would not pay."""
    if formula.background is None or not chunk.logits.is_cpu:  # elsewhere, asking which rows have targets stalls
        return None
    hit = chunk.targets.sum(1).nonzero()[:, 0]
    if 2 * len(hit) > len(chunk.targets):
        return None
    value, gradient = formula.background(chunk.logits, **chunk.terms)
    if len(hit):
        exact = chunk.take(hit, chunk.logits.dtype)
        value[hit], gradient[hit] = formula.pair(exact.logits, exact.targets, **exact.terms)
    return ValueAndGradient(value, gradient)
