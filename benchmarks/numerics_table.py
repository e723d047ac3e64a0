"""Print where sigmoid losses go wrong: NaN, false infinities, lost gradients and relative errors, ours and others'.

    python benchmarks/numerics_table.py

Every loss is evaluated forward and backward on the grid GAMMAS x LOGITS x TARGETS in each dtype and compared with a
reference of plain formulas in 100-digit arithmetic, whose derivative is a numerical one.
"""

import functools
import itertools
import math
import platform
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import mpmath  # type: ignore[import-untyped]
import torch
from torch import Tensor

from yolo_focal.losses import LOSSES

GAMMAS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
MAGNITUDES = (1e-3, 1.0, 10.0, 20.0, 50.0, 88.0, 100.0, 1e3, 1e4, math.inf)
LOGITS = (0.0, *MAGNITUDES, *(-x for x in MAGNITUDES))
TARGETS = (0.0, 1.0, 0.3, 0.999)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
# Stands for an infinite logit in the reference: every exponential of it is beyond all dtypes.
ALMOST_INFINITE = 1e9

Loss = Callable[[Tensor, Tensor, float], Tensor]


def reference_loss(name: str, x: Any, t: Any, gamma: Any, alpha: Any) -> Any:
    """The definition of the loss `name` for one logit, written as in its paper, in arbitrary precision."""
    p, q = 1 / (1 + mpmath.exp(-x)), 1 / (1 + mpmath.exp(x))
    log_p, log_q = -mpmath.log1p(mpmath.exp(-x)), -mpmath.log1p(mpmath.exp(x))
    entropy = -t * log_p - (1 - t) * log_q
    u = t * q + (1 - t) * p
    a = 1 if alpha is None else t * alpha + (1 - t) * (1 - alpha)
    if name == "bce":
        return entropy
    if name in ("focal", "efl"):  # at the start, where all classes are balanced
        return a * u**gamma * entropy
    if name == "poly":
        return a * (u**gamma * entropy + u ** (gamma + 1))
    if name == "qfl":
        return a * abs((1 - t) * p - t * q) ** gamma * entropy
    if name in ("vfl", "mal") and t == 0:
        return (1 if alpha is None else alpha) * p**gamma * -log_q
    if name == "vfl":
        return t * entropy
    if name == "mal":
        return -(t**gamma) * log_p - (1 - t**gamma) * log_q
    if name == "asl":
        clip = mpmath.mpf(0.05)
        p_m, q_m = (p - clip, q + clip) if p > clip else (mpmath.mpf(0), mpmath.mpf(1))
        u = t * q + (1 - t) * p_m
        exponent = gamma * (1 - t)
        return (1 if exponent == 0 else u**exponent) * (-t * log_p - (1 - t) * mpmath.log(q_m))
    raise ValueError(f"no reference for {name}")


@functools.cache
def reference(name: str, x: float, t: float, gamma: float, alpha: float | None) -> tuple[Any, Any]:
    """The reference's value and derivative at logit `x`; at an infinite one, their limits."""
    with mpmath.workdps(100):
        logit = mpmath.mpf(math.copysign(ALMOST_INFINITE, x) if math.isinf(x) else x)
        rest = mpmath.mpf(t), mpmath.mpf(gamma), None if alpha is None else mpmath.mpf(alpha)
        step = mpmath.mpf(10) ** -20
        before, value, after = (reference_loss(name, logit + shift, *rest) for shift in (-step, 0, step))
        if math.isinf(x) and value > mpmath.mpf(10) ** -1000:  # linear in x, however small the factor
            value = mpmath.inf
        return value, (after - before) / (2 * step)


class Tally(NamedTuple):
    """What a loss did on the grid in one dtype.

    Attributes:
        cases: evaluations.
        nan: values and gradients that are NaN.
        infinite: infinite values or gradients where the true one fits the dtype.
        lost: gradients that are 0 though the dtype can hold the true one.
        value_error: largest relative error of a normal value at a finite logit.
        gradient_error: the same of the gradient.
    """

    cases: int
    nan: int
    infinite: int
    lost: int
    value_error: float
    gradient_error: float


def tally(
    name: str, loss: Loss, dtype: torch.dtype, alpha: float | None = 0.25, gammas: Iterable[float] = GAMMAS
) -> Tally:
    """Run `loss(logits, targets, gamma)`, which gives one value for each logit, over the grid and compare."""
    limits = torch.finfo(dtype)
    x, t = (torch.tensor(column) for column in zip(*itertools.product(LOGITS, TARGETS), strict=True))
    x, t = x.to(dtype), t.to(torch.float32)
    nan = infinite = lost = cases = 0
    errors = {"value": 0.0, "gradient": 0.0}
    for gamma in gammas:
        logits = x.clone().requires_grad_()
        values = loss(logits, t, gamma)
        (gradients,) = torch.autograd.grad(values.float().sum(), logits)
        for logit, target, *found in zip(x.tolist(), t.tolist(), values.tolist(), gradients.tolist(), strict=True):
            cases += 1
            nan += any(map(math.isnan, found))
            expected = [float(number) for number in reference(name, logit, target, gamma, alpha)]
            lost += found[1] == 0 and abs(expected[1]) > limits.smallest_normal * limits.eps
            for kind, got, true in zip(("value", "gradient"), found, expected, strict=True):
                infinite += math.isinf(got) and abs(true) < limits.max
                if not math.isinf(logit) and limits.smallest_normal < abs(true) < limits.max:
                    errors[kind] = max(errors[kind], abs(got - true) / abs(true))
    return Tally(cases, nan, infinite, lost, errors["value"], errors["gradient"])


def ours(name: str, alpha: float | None = 0.25) -> Loss:
    """A row of LOSSES as `tally` takes it."""
    return lambda x, t, gamma: LOSSES[name].make(gamma=gamma, alpha=alpha, reduction="none")(x, t)


def print_row(label: str, dtype: torch.dtype, row: Tally) -> None:
    """One line of the table."""
    errors = f"{row.value_error:.1e} | {row.gradient_error:.1e}"
    name = str(dtype).removeprefix("torch.")
    print(f"| {label} | {name} | {row.cases} | {row.nan} | {row.infinite} | {row.lost} | {errors} |")


def main() -> None:
    """Print the table for every element-wise row of LOSSES and for torchvision's loss, where it is installed."""
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}\n")
    print("| loss | dtype | cases | NaN | false inf | lost gradients | worst value error | worst gradient error |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in LOSSES.items():
        for dtype in DTYPES if row.elementwise else ():
            print_row(name, dtype, tally(name, ours(name), dtype))
    try:
        from torchvision.ops import sigmoid_focal_loss
    except ImportError:
        return
    for dtype in DTYPES:

        def theirs(x: Tensor, t: Tensor, gamma: float) -> Tensor:
            loss: Tensor = sigmoid_focal_loss(x, t.to(x.dtype), alpha=0.25, gamma=gamma, reduction="none")
            return loss

        print_row("torchvision's focal", dtype, tally("focal", theirs, dtype))


if __name__ == "__main__":
    main()
