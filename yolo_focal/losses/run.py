"""How a loss runs: the backend is chosen, the reduction applied, and the gradient handed to autograd."""

import functools
import os
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from yolo_focal.errors import ConfigError, YoloFocalError
from yolo_focal.losses.chunked import Outcome, run_chunked
from yolo_focal.losses.compiled import run_compiled
from yolo_focal.losses.pieces import Formula, Hyperparameters

__all__ = [
    "BACKENDS",
    "Measured",
    "Observe",
    "REDUCTIONS",
    "as_factor",
    "backend",
    "check_constants",
    "check_reduction",
    "evaluate",
    "fuse",
    "run",
    "set_backend",
]

REDUCTIONS = ("none", "mean", "sum")
BACKENDS = ("auto", "compile", "eager", "triton")
BACKEND_VARIABLE = "YOLO_FOCAL_BACKEND"

Run = Callable[..., Outcome]
Backward = Callable[[Tensor, Tensor, Tensor], Tensor]
Observe = Callable[[Tensor, Tensor], None]
"""Is shown the derivative of every element, before reduction and in float32 at least, and the targets."""


class Measured(NamedTuple):
    """A loss, and the total absolute derivatives of it and of the cross-entropy in its place: detached scalars.

    Attributes:
        loss: the loss, reduced as it was asked for.
        stock: sum over all logits of |derivative| of the cross-entropy, with its weights; scaled as the reduction does.
        own: the same of the loss.
    """

    loss: Tensor
    stock: Tensor
    own: Tensor

    @property
    def gain(self) -> Tensor:
        """Stock / own: the factor that gives the loss the total of the cross-entropy; 1 where own is 0.

        It is as the normaliser of the normalised focal loss (Sofiiuk et al., AdaptIS, 2019, appendix A), which
        divides by the sum of the focal weights instead.
        """
        ratio = self.stock / self.own
        return torch.where((self.own > 0) & ratio.isfinite(), ratio, 1.0)

    def times(self, gain: Tensor) -> Tensor:
        """The loss times its `gain`, rounded to the loss's dtype only then: a gain may be beyond half precision."""
        wide = torch.promote_types(self.loss.dtype, gain.dtype)
        return (self.loss.to(wide) * gain.to(wide)).to(self.loss.dtype)


def backend() -> str:
    """The backend in force: that of `set_backend`, which reaches child processes too, else `auto`."""
    return _known_backend(os.environ.get(BACKEND_VARIABLE) or "auto")


def set_backend(name: str) -> None:
    """Choose how losses are computed from now on, in this process and those it starts.

    Args:
        name: `auto` and `eager`: chunks of ordinary operations. `compile`: one kernel by torch.compile; eager, after a
            warning, if there is no compiler. `triton`: the Triton kernel for the losses it has, on CPU tensors too in
            Triton's interpreter; before a process first uses it on a kind of device, it is held against eager on a
            small tensor, and left alone, after a warning, if they differ.

    The results agree within rounding. The environment variable YOLO_FOCAL_BACKEND is the same setting.

    Raises:
        ConfigError: an unknown name.
    """
    os.environ[BACKEND_VARIABLE] = _known_backend(name)


def _known_backend(name: str) -> str:
    if name not in BACKENDS:
        raise ConfigError(f"the backend of losses must be one of {', '.join(BACKENDS)}, got {name!r}")
    return name


def evaluate(
    formula: Formula,
    logits: Tensor,
    targets: Tensor,
    reduction: str,
    weight: Tensor | None = None,
    hyperparameters: Hyperparameters | None = None,
) -> Tensor:
    """Run `formula` on `logits` and `targets` of one shape and reduce; once differentiable in the logits.

    Args:
        formula: the loss.
        logits: any shape, any floating dtype; computed in float32 at least.
        targets: the same shape, any dtype, values in [0, 1].
        reduction: none (in the dtype of the logits), or mean or sum (float32 at least; 0 for no elements).
        weight: multiplies the loss; broadcasts against the logits.
        hyperparameters: the formula's hyperparameters; tensors broadcast against the logits.

    Raises:
        ConfigError: shapes differ, the reduction is unknown, logits are not floating, or targets require a gradient.
        YoloFocalError: a second derivative is asked for.
    """
    return run(formula, logits, targets, reduction, weight, hyperparameters, slopes=False)[0]


def run(
    formula: Formula,
    logits: Tensor,
    targets: Tensor,
    reduction: str,
    weight: Tensor | None,
    hyperparameters: Hyperparameters | None,
    observe: Observe | None = None,
    *,
    slopes: bool,
) -> tuple[Tensor, Tensor | None]:
    """The loss, and with `slopes` also the two sums of absolute derivatives of `Measured`, which need no autograd.

    `observe` is called once with the derivative where one is wanted; not with the Triton kernel, which keeps none.
    """
    check_operands(logits, targets, reduction)
    if logits.shape != targets.shape:
        raise ConfigError(
            f"targets must have the shape of the logits, {tuple(logits.shape)}, got {tuple(targets.shape)}"
        )
    hyperparameters = {**(hyperparameters or {}), "weight": weight}
    check_constants(**hyperparameters)
    hyperparameters |= {
        name: as_factor(name, hyperparameters[name]) for name in ("weight", "pos_weight") if name in hyperparameters
    }
    scale = 1 / max(logits.numel(), 1) if reduction == "mean" else 1.0
    forward, backward = _choose(formula, logits, hyperparameters)
    if observe is not None:
        forward = _observed(forward, observe)
    wanted = functools.partial(forward, elementwise=reduction == "none", slopes=slopes)
    return fuse(wanted, logits, targets, scale, backward)


def _observed(run: Run, observe: Observe) -> Run:
    seen = False  # a second backward pass over the same graph runs again

    def running(logits: Tensor, targets: Tensor, *, gradient: bool, **wanted: bool) -> Outcome:
        nonlocal seen
        outcome = run(logits, targets, gradient=gradient, **wanted)
        if gradient and not seen and outcome.gradient is not None:
            observe(outcome.gradient, targets)
            seen = True
        return outcome

    return running


def check_reduction(reduction: str) -> str:
    """`reduction`; ConfigError where it is unknown."""
    if reduction not in REDUCTIONS:
        raise ConfigError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
    return reduction


def check_operands(logits: Tensor, targets: Tensor, reduction: str) -> None:
    """Raise ConfigError for an unknown reduction, logits that are no floats, and targets that require a gradient."""
    check_reduction(reduction)
    if not logits.is_floating_point():
        raise ConfigError(f"logits must be floating point, got {logits.dtype}; call .float() on them")
    if targets.requires_grad:
        raise ConfigError("targets require a gradient, which this loss does not give; call .detach() on them")


def check_constants(**hyperparameters: Any) -> None:
    """Raise ConfigError for a hyperparameter that is to be learnt: no loss gives it a gradient."""
    for name, value in hyperparameters.items():
        if isinstance(value, Tensor) and value.requires_grad:
            raise ConfigError(f"{name} requires a gradient, which this loss does not give; call .detach() on it")


def as_factor(name: str, value: Any) -> Tensor | None:
    """`value` as a tensor, or None where it is None; ConfigError unless it is numbers that need no gradient."""
    if value is None:
        return None
    check_constants(**{name: value})
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{name} must be a tensor or numbers, one or one for each class, got {value!r}") from error


def _choose(formula: Formula, logits: Tensor, hyperparameters: Hyperparameters) -> tuple[Run, Backward | None]:
    name = backend()
    # Not under auto: no GPU has shown yet that the kernel is right there, and faster.
    if name == "triton" and _triton_agrees(logits.device.type):
        kernel = _triton_kernel(formula, logits, hyperparameters)
        if kernel is not None:
            return kernel
    execute = run_compiled if name == "compile" else run_chunked
    return functools.partial(execute, formula, hyperparameters=hyperparameters), None


def _triton_kernel(formula: Formula, logits: Tensor, hyperparameters: Hyperparameters) -> tuple[Run, Backward] | None:
    try:
        from yolo_focal.losses import triton_kernel
    except ImportError:
        return None
    kernel = triton_kernel.kernel_for(formula, logits, hyperparameters)
    return None if kernel is None else (kernel.run, kernel.backward)


@functools.cache
def _triton_agrees(device: str) -> bool:
    """Whether the kernel gives on a device what the eager path gives, for one formula on a small tensor."""
    from yolo_focal.losses.focal import FOCAL

    logits = torch.linspace(-9, 9, 96, device=device).view(8, 12)
    targets = (torch.arange(96, device=device).view(8, 12) % 5 == 0) * 0.7
    hyperparameters: Hyperparameters = {"gamma": 1.5, "alpha": 0.25, "pos_weight": None, "weight": None}
    wanted = {"elementwise": False, "gradient": True, "slopes": True}
    expected = run_chunked(FOCAL, logits, targets, hyperparameters, **wanted)
    assert expected.gradient is not None and expected.slopes is not None
    try:
        kernel = _triton_kernel(FOCAL, logits, hyperparameters)
        if kernel is None:
            return False
        run, backward = kernel
        found = run(logits, targets, **wanted)
        gradient = backward(logits, targets, torch.ones((), device=device))
        pairs = ((found.result, expected.result), (found.slopes, expected.slopes), (gradient, expected.gradient))
        agrees = all(a is not None and torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)
        problem = "its results differ from the eager ones"
    except Exception as error:  # whatever a compiler or driver raises: training goes on without the kernel
        agrees, problem = False, str(error).strip().partition("\n")[0] or type(error).__name__
    if not agrees:
        warnings.warn(
            f"the Triton kernel is not usable on {device}, losses run eagerly instead: {problem}", stacklevel=2
        )
    return agrees


def fuse(
    run: Run, logits: Tensor, targets: Tensor, scale: float = 1.0, backward: Backward | None = None
) -> tuple[Tensor, Tensor | None]:
    """Make `scale` times the result of `run` differentiable in the logits, with the gradient that `run` gives.

    Its slopes come second, times `scale` too; they have no gradient.

    Args:
        run: `(logits, targets, gradient=whether wanted)` to the outcome, without a gradient where `backward` is given.
        logits: what the result is differentiated in.
        targets: passed on.
        scale: factor on result and gradient.
        backward: `(logits, targets, upstream)` to the finished gradient, where `run` gives none.
    """
    if not (torch.is_grad_enabled() and logits.requires_grad):
        with torch.no_grad():
            return _scaled(run(logits, targets, gradient=False), scale)
    fused: tuple[Tensor, Tensor | None] = _Fused.apply(logits, targets, run, scale, backward)
    return fused


def _scaled(outcome: Outcome, scale: float) -> tuple[Tensor, Tensor | None]:
    result, _, slopes = outcome
    if scale == 1:
        return result, slopes
    return result * scale, None if slopes is None else slopes * scale


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, run: Run, scale: float, backward: Backward | None
    ) -> tuple[Tensor, Tensor | None]:
        outcome = run(logits, targets, gradient=True)
        ctx.gradient = outcome.gradient
        ctx.save_for_backward(logits, targets)
        ctx.dtype, ctx.run, ctx.scale, ctx.backward_kernel = logits.dtype, run, scale, backward
        result, slopes = _scaled(outcome, scale)
        if slopes is not None:
            ctx.mark_non_differentiable(slopes)
        return result, slopes

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        if not torch.is_grad_enabled():
            return _Fused.gradient(ctx, upstream), None, None, None, None
        with torch.no_grad():
            gradient = _Fused.gradient(ctx, upstream)
        # create_graph: without this, the gradient would pass for a constant
        return _OnceDifferentiable.apply(gradient, ctx.saved_tensors[0], upstream), None, None, None, None

    @staticmethod
    def gradient(ctx: Any, upstream: Tensor) -> Tensor:
        factor = upstream.to(torch.promote_types(ctx.dtype, torch.float32))
        factor = factor if ctx.scale == 1 else factor * ctx.scale
        if ctx.backward_kernel is not None:
            finished: Tensor = ctx.backward_kernel(*ctx.saved_tensors, factor)
            return finished
        # The stored gradient is scaled in place and given away; another backward over the same graph computes it anew.
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            gradient = ctx.run(*ctx.saved_tensors, gradient=True).gradient
        scaled: Tensor = gradient.mul_(factor).to(ctx.dtype)
        return scaled


class _OnceDifferentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, logits: Tensor, upstream: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        raise YoloFocalError(
            "a second derivative was asked of a fused loss, which has only the first; "
            "leave create_graph out, or write the loss with torch operations"
        )
