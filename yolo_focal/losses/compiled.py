"""Runs a formula as one kernel made by `torch.compile`; opt-in, because the first call takes seconds to compile."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from yolo_focal.losses.chunked import Outcome, as_rows, run_chunked
from yolo_focal.losses.pieces import (
    SPECIAL_EXPONENTS,
    Formula,
    Hyperparameters,
    ValueAndGradient,
    cross_entropy_slope,
    logistic_pieces,
    scaled,
)

__all__ = ["run_compiled"]

# Set after the first failure: a compilation that fails takes seconds, and each training step would try again.
_unusable = False


def _dense(
    value_and_grad: Callable[..., ValueAndGradient],
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None,
    hyperparameters: Hyperparameters,
    elementwise: bool,
    slopes: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    pieces, t = logistic_pieces(logits.to(dtype)), targets.to(dtype)
    value, gradient = scaled(value_and_grad(pieces, t, **hyperparameters), weight)
    stock = own = None
    if slopes:
        slope = cross_entropy_slope(pieces, t, hyperparameters["pos_weight"])
        stock, own = (slope if weight is None else slope * weight).abs().sum(), gradient.abs().sum()
    return value.to(logits.dtype) if elementwise else value.sum(), gradient, stock, own


@functools.cache
def _compiled_dense() -> Callable[..., tuple[Tensor, Tensor, Tensor | None, Tensor | None]]:
    return torch.compile(_dense, dynamic=True)


def run_compiled(
    formula: Formula,
    logits: Tensor,
    targets: Tensor,
    hyperparameters: Hyperparameters,
    *,
    elementwise: bool,
    slopes: bool,
    **wanted: bool,
) -> Outcome:
    """Like `run_chunked`, which also takes over, after one warning, where compilation is not possible."""
    global _unusable
    wanted |= {"elementwise": elementwise, "slopes": slopes}
    eagerly = functools.partial(run_chunked, formula, logits, targets, hyperparameters, **wanted)
    if _unusable or not logits.numel():
        return eagerly()
    dtype = torch.promote_types(logits.dtype, torch.float32)

    def operand(value: Any) -> Any:
        # A tensor instead of a number: gamma may change between steps without a compilation for each value.
        if isinstance(value, float) and value not in SPECIAL_EXPONENTS:
            return torch.tensor(value, dtype=dtype, device=logits.device)
        return value.to(dtype) if isinstance(value, Tensor) else value

    rows = as_rows(logits, targets, hyperparameters)
    operands = {name: operand(value) for name, value in rows.hyperparameters.items()}
    weight = operands.pop("weight")
    try:
        result, derivative, stock, own = _compiled_dense()(
            formula.value_and_grad, rows.logits, rows.targets, weight, operands, elementwise, slopes
        )
    except RuntimeError as error:  # the base of all failures of the compiler stack
        _unusable = True
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(f"torch.compile is not usable here, losses run eagerly instead: {reason}", stacklevel=2)
        return eagerly()
    return Outcome(
        result.view(logits.shape) if elementwise else result,
        derivative.view(logits.shape),
        None if stock is None or own is None else torch.stack((stock, own)),
    )
