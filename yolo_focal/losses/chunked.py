"""Runs a formula eagerly, chunk by chunk in cache: as if all targets were 0, then again where they are not."""

import copy
import functools
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from yolo_focal.errors import ConfigError
from yolo_focal.losses.pieces import (
    SCRATCH_TENSORS,
    Formula,
    Hyperparameters,
    ValueAndGradient,
    background_pieces,
    cross_entropy_slope,
    logistic_pieces,
    scaled,
)
from yolo_focal.losses.workers import in_threads

__all__ = ["Outcome", "Rows", "as_rows", "run_chunked"]

# The temporaries of so many stay in a processor's last cache. A GPU wants few launches instead.
CHUNK_ELEMENTS_CPU = 1 << 19
CHUNK_ELEMENTS_GPU = 1 << 24
# From so many elements on a CPU chunks are worked on at once: below, waking threads costs more than it gives.
THREADED_ELEMENTS = 1 << 22
# Rows narrower than this are joined by sixteens: operations that broadcast along short rows are slow.
NARROW = 64
# Whether targets are not 0 is asked of so many together first: as many truth values as an int64 has bytes.
PROBE = 8
# The share of such targets from which on treating them apart no longer pays.
DENSE = 1 / 8

Part = TypeVar("Part")

_thread = threading.local()


class Outcome(NamedTuple):
    """What a backend gives.

    Attributes:
        result: the loss, element by element or summed.
        gradient: its derivative; None where it was not asked for, or is made later.
        slopes: (2,) sums of |derivative| of the cross-entropy, with the same weights, and of the loss; None where they
            were not asked for.
    """

    result: Tensor
    gradient: Tensor | None
    slopes: Tensor | None


class Rows(NamedTuple):
    """The operands seen as (rows, width); a hyperparameter is a number, None, (1, width) or (rows, width)."""

    logits: Tensor
    targets: Tensor
    hyperparameters: Hyperparameters

    def hyperparameters_of(self, part: slice, dtype: torch.dtype) -> Hyperparameters:
        """The hyperparameters for some of the rows, in `dtype`."""
        return self._pick(lambda value: value if len(value) == 1 else value[part], dtype)

    def hyperparameters_at(self, places: Tensor, dtype: torch.dtype) -> Hyperparameters:
        """The hyperparameters for single elements, given by their position in the flattened operands, in `dtype`."""
        width = self.logits.shape[1]
        return self._pick(lambda value: value.expand_as(self.logits)[places // width, places % width], dtype)

    def _pick(self, choose: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Hyperparameters:
        return {
            name: choose(value).to(dtype) if isinstance(value, Tensor) else value
            for name, value in self.hyperparameters.items()
        }


class Result:
    """What a run fills in: the loss of each element or partial sums of it, the gradient and its absolute sums."""

    def __init__(self, logits: Tensor, elementwise: bool, gradient: bool, slopes: bool):
        self.dtype = torch.promote_types(logits.dtype, torch.float32)
        layout = torch.contiguous_format
        self.values = torch.empty_like(logits, memory_format=layout) if elementwise else None
        self.gradients = torch.empty_like(logits, dtype=self.dtype, memory_format=layout) if gradient else None
        self.sums = [torch.zeros((), dtype=self.dtype, device=logits.device)]
        self.slopes = [torch.zeros(2, dtype=self.dtype, device=logits.device)] if slopes else None

    def partial(self) -> "Result":
        """The same loss and gradient of each element, and sums of its own: for one thread."""
        twin = copy.copy(self)
        twin.sums = []
        twin.slopes = None if self.slopes is None else []
        return twin

    def add(self, partial: "Result") -> None:
        """Take the sums of a partial result."""
        self.sums += partial.sums
        if self.slopes is not None and partial.slopes is not None:
            self.slopes += partial.slopes

    def store(self, where: Any, shape: Sequence[int], loss: ValueAndGradient) -> None:
        """Take the loss and the gradient of the elements `where` of the operands viewed as `shape`."""
        self.store_value(where, shape, loss.value)
        if self.gradients is not None:
            self.gradients.view(shape)[where] = loss.gradient

    def store_value(self, where: Any, shape: Sequence[int], value: Tensor) -> None:
        """Take the loss alone."""
        if self.values is None:
            self.sums.append(value.sum())
        else:
            self.values.view(shape)[where] = value.to(self.values.dtype)

    def finish(self) -> Outcome:
        """The sums or values of all chunks, the gradients and the slopes."""
        result = torch.stack(self.sums).sum() if self.values is None else self.values
        return Outcome(result, self.gradients, None if self.slopes is None else torch.stack(self.slopes).sum(0))


def run_chunked(
    formula: Formula,
    logits: Tensor,
    targets: Tensor,
    hyperparameters: Hyperparameters,
    *,
    elementwise: bool,
    gradient: bool,
    slopes: bool,
) -> Outcome:
    """The loss, element by element in the dtype of the logits or summed in float32 at least, and its gradient.

    Args:
        formula: the loss.
        logits: any shape; read only.
        targets: the same shape; read only.
        hyperparameters: the formula's hyperparameters, and `weight`, a factor on the result.
        elementwise: whether the loss is wanted for each element; else their sum.
        gradient: whether the derivative is wanted; it is kept in float32 at least, because a half-precision gradient
            that is scaled later (as gradient scalers do) has already lost its small values.
        slopes: whether the sums of absolute derivatives are wanted.
    """
    result = Result(logits, elementwise, gradient, slopes)
    if logits.numel():
        rows = as_rows(logits, targets, hyperparameters)
        places = _places_with_targets(formula, rows.targets)
        if places is None:
            _run_dense(formula, rows, result)
        else:
            _run_sparse(formula, rows, places, result)
    return result.finish()


def as_rows(logits: Tensor, targets: Tensor, hyperparameters: Hyperparameters) -> Rows:
    """See operands of one shape, not empty, as rows wide enough to work along; ConfigError if a shape does not fit."""
    width = logits.shape[-1] if logits.dim() else 1
    rows = logits.numel() // width
    fold = math.gcd(rows, 16) if width < NARROW else 1
    shape = (rows // fold, width * fold)

    def reshape(name: str, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        try:
            spread = value.to(logits.device).expand(logits.shape)
        except RuntimeError:
            raise ConfigError(
                f"{name} of shape {tuple(value.shape)} does not broadcast against logits of shape "
                f"{tuple(logits.shape)}; give one number, or one for each class (last dimension)"
            ) from None
        same_in_all_rows = value.numel() == (value.shape[-1] if value.dim() else 1)
        return spread.reshape(-1, width)[:1].repeat(1, fold) if same_in_all_rows else spread.reshape(shape)

    return Rows(
        logits.reshape(shape),
        targets.reshape(shape),
        {name: reshape(name, value) for name, value in hyperparameters.items()},
    )


def _places_with_targets(formula: Formula, targets: Tensor) -> Tensor | None:
    """Positions of the targets that are not 0; None where treating them apart is impossible or would not pay."""
    if formula.background is None or not targets.is_cpu:  # elsewhere, asking which elements they are stalls
        return None
    flat = targets.reshape(-1)
    hits = flat != 0  # unlike bool() always a new tensor, as view() needs it
    if flat.numel() % PROBE:
        places = hits.nonzero()[:, 0]
    else:
        hit = hits.view(torch.int64).nonzero()[:, 0]
        group, offset = flat.view(-1, PROBE).index_select(0, hit).nonzero(as_tuple=True)
        places = hit.index_select(0, group).mul_(PROBE).add_(offset)
    return None if len(places) > DENSE * targets.numel() else places


def _parts(rows: Rows) -> list[slice]:
    """The chunks of rows that are worked on together; equally many for each thread."""
    elements = CHUNK_ELEMENTS_CPU if rows.logits.is_cpu else CHUNK_ELEMENTS_GPU
    threads = torch.get_num_threads() if _threaded(rows) else 1
    count, width = rows.logits.shape
    chunks = threads * math.ceil(count * width / (threads * elements))
    step = math.ceil(count / chunks)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _threaded(rows: Rows) -> bool:
    return rows.logits.is_cpu and rows.logits.numel() >= THREADED_ELEMENTS


def _each(run: Callable[[Part], Result], rows: Rows, parts: Sequence[Part]) -> Iterable[Result]:
    """What `run` gives for every part, in their order."""
    return in_threads(run, parts) if _threaded(rows) else map(run, parts)


def _run_dense(formula: Formula, rows: Rows, result: Result) -> None:
    def run(part: slice) -> Result:
        partial = result.partial()
        x, t = rows.logits[part].to(result.dtype), rows.targets[part].to(result.dtype)
        _run_exact(formula, x, t, rows.hyperparameters_of(part, result.dtype), partial, part, rows.logits.shape)
        return partial

    parts = _parts(rows)
    for partial in _each(run, rows, parts):
        result.add(partial)


def _run_sparse(formula: Formula, rows: Rows, places: Tensor, result: Result) -> None:
    """The formula for target 0 on all elements, then the exact one at the `places` where the target is another."""
    width, parts = rows.logits.shape[1], _parts(rows)
    ends = torch.tensor([part.stop * width for part in parts[:-1]], device="cpu")
    inside = places.tensor_split(torch.searchsorted(places, ends))
    chunks = list(zip(parts, inside, strict=True))
    for partial in _each(functools.partial(_run_background, formula, rows, result), rows, chunks):
        result.add(partial)
    logits, targets = rows.logits.reshape(-1), rows.targets.reshape(-1)
    for some in torch.split(places, CHUNK_ELEMENTS_CPU):
        # Several times as fast as indexing with brackets.
        x, t = (operand.index_select(0, some).to(result.dtype) for operand in (logits, targets))
        _run_exact(formula, x, t, rows.hyperparameters_at(some, result.dtype), result, some, (-1,))


def _run_background(formula: Formula, rows: Rows, result: Result, chunk: tuple[slice, Tensor]) -> Result:
    """The formula for target 0 on one part of the rows, in which `places` are to be left out."""
    assert formula.background is not None
    part, places = chunk
    partial, shape = result.partial(), rows.logits.shape
    x, hyperparameters = rows.logits[part], rows.hyperparameters_of(part, result.dtype)
    weight = hyperparameters.pop("weight")
    scratch = _scratch(x, result.dtype)
    if result.gradients is not None:
        scratch[-1] = result.gradients.view(shape)[part]  # where the background writes its derivative
    pieces = background_pieces(x, scratch, places - part.start * shape[1])
    # Of target 0 neither derivative is ever below 0. The cross-entropy's is p, over which the loss's is written.
    sums = [] if partial.slopes is None else [_total(pieces.p, weight)]
    loss = formula.background(pieces, **hyperparameters)
    if partial.slopes is not None:
        partial.slopes.append(torch.stack([*sums, _total(loss.gradient, weight)]))
    partial.store_value(part, shape, scaled(loss, weight).value)
    return partial


def _run_exact(
    formula: Formula,
    x: Tensor,
    t: Tensor,
    hyperparameters: Hyperparameters,
    result: Result,
    where: Any,
    shape: Sequence[int],
) -> None:
    """The exact formula, stored at `where` of the operands viewed as `shape`."""
    weight = hyperparameters.pop("weight")
    pieces = logistic_pieces(x)
    loss = formula.value_and_grad(pieces, t, **hyperparameters)
    if result.slopes is not None:
        stock = cross_entropy_slope(pieces, t, hyperparameters["pos_weight"])
        result.slopes.append(torch.stack([_total(slope.abs(), weight) for slope in (stock, loss.gradient)]))
    result.store(where, shape, scaled(loss, weight))


def _total(slope: Tensor, weight: Tensor | None) -> Tensor:
    """The sum of `slope`, nowhere below 0, times |weight|."""
    if weight is None:
        return slope.sum()
    if slope.dim() == 2 and len(weight) == 1:
        return (slope.sum(0) * weight[0].abs()).sum()
    return (slope * weight.abs()).sum()


def _scratch(like: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Temporaries of this thread in the shape of `like`; kept, since fresh memory costs more than the mathematics."""
    buffers: dict[torch.dtype, Tensor] = _thread.__dict__.setdefault("buffers", {})
    count = like.numel()
    if dtype not in buffers or buffers[dtype].shape[1] < count:
        with torch.inference_mode(False):
            buffers[dtype] = torch.empty(SCRATCH_TENSORS, count, dtype=dtype, device="cpu")
    return list(buffers[dtype][:, :count].view(SCRATCH_TENSORS, *like.shape).unbind())
