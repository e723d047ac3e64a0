"""Runs a formula as one kernel made by `torch.compile`; opt-in, because the first call takes seconds to compile."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from yolo_focal.losses.chunked import run_chunked
from yolo_focal.losses.pieces import Formula, Pair, Terms

__all__ = ["run_compiled"]

# Set after the first failure: a compilation that fails takes seconds, and each training step would try again.
_unusable = False


def _dense(
    pair: Pair, logits: Tensor, targets: Tensor, weight: Tensor | None, terms: Terms, elementwise: bool
) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    value, gradient = pair(logits.to(dtype), targets.to(dtype), **terms)
    if weight is not None:
        value, gradient = value * weight, gradient * weight
    # Summed in two steps: one running sum over millions of float32 values would lose digits.
    return value.to(logits.dtype) if elementwise else value.sum(-1).sum(), gradient


@functools.cache
def _compiled_dense() -> Callable[..., tuple[Tensor, Tensor]]:
    return torch.compile(_dense, dynamic=True)


def run_compiled(
    formula: Formula,
    logits: Tensor,
    targets: Tensor,
    terms: Terms,
    *,
    elementwise: bool,
    gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Like `run_chunked`, which also takes over, after one warning, where compilation is not possible."""
    global _unusable
    if _unusable or not logits.numel() or not logits.dim():
        return run_chunked(formula, logits, targets, terms, elementwise=elementwise, gradient=gradient)
    dtype = torch.promote_types(logits.dtype, torch.float32)

    def operand(term: Any) -> Any:
        # A tensor instead of a number: gamma may change between steps without a compilation for each value.
        if isinstance(term, float):
            return torch.tensor(term, dtype=dtype, device=logits.device)
        return term.to(logits.device, dtype) if isinstance(term, Tensor) else term

    operands = {name: operand(term) for name, term in terms.items()}
    weight = operands.pop("weight")
    try:
        return _compiled_dense()(formula.pair, logits, targets, weight, operands, elementwise)
    except RuntimeError as error:  # the base of all failures of the compiler stack
        eager = run_chunked(formula, logits, targets, terms, elementwise=elementwise, gradient=gradient)
        _unusable = True  # only now: had the arguments been at fault, the line above would have said so
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(f"torch.compile is not usable here, losses run eagerly instead: {reason}", stacklevel=2)
        return eager
