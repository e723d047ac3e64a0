"""The class around every element-wise sigmoid loss, and the checks of its arguments."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Literal

from torch import Tensor, nn

from yolo_focal.errors import ConfigError
from yolo_focal.losses.pieces import Formula, Hyperparameters
from yolo_focal.losses.run import Measured, Observe, as_factor, check_constants, check_reduction, run

__all__ = [
    "AUTO",
    "Alpha",
    "Gain",
    "MeasuredLoss",
    "SigmoidLoss",
    "as_alpha",
    "as_exponent",
    "as_fraction",
    "as_fractions",
    "as_gain",
    "as_number",
    "describe",
    "focusing",
]

Alpha = float | Sequence[float] | Tensor | None
Gain = float | Literal["auto"]
AUTO: Final = "auto"


def as_exponent(name: str, value: float) -> float:
    """`value` as a float; ConfigError unless it is finite and >= 0."""
    return as_number(name, value, lambda number: 0 <= number < math.inf, "a finite number >= 0")


def as_fraction(name: str, value: float) -> float:
    """`value` as a float; ConfigError unless it is in [0, 1]."""
    return as_number(name, value, lambda number: 0 <= number <= 1, "in [0, 1]")


def as_number(name: str, value: float, accepts: Callable[[float], bool], expected: str) -> float:
    """`value` as a float; ConfigError, which says what is `expected`, unless it is a number that `accepts`."""
    number = _number(name, value, expected)
    if not accepts(number):
        raise ConfigError(f"{name} must be {expected}, got {value}")
    return number


def _number(name: str, value: Any, expected: str) -> float:
    check_constants(**{name: value})
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{name} must be {expected}, got {value!r}") from error


def as_fractions(name: str, values: Any) -> Tensor:
    """`values`, one for each class, as a tensor in [0, 1]; else ConfigError."""
    classes = as_factor(name, values)
    if classes is None:
        raise ConfigError(f"{name} must be a tensor or numbers, one or one for each class, got None")
    wrong = classes[~((classes >= 0) & (classes <= 1))]
    if wrong.numel():
        raise ConfigError(f"{name} for each class must be in [0, 1], got {wrong[0].item():g}")
    return classes


def as_alpha(alpha: Alpha) -> float | Tensor | None:
    """`alpha` as a float or a tensor in [0, 1], or None where it is None or a negative number; else ConfigError."""
    if alpha is None:
        return None
    if isinstance(alpha, list | tuple) or getattr(alpha, "ndim", False):  # a tensor or array, also of NumPy
        return as_fractions("alpha", alpha)
    number = _number("alpha", alpha, "in [0, 1], one number or one for each class, or None to switch it off")
    if not number <= 1:
        raise ConfigError(f"alpha must be in [0, 1], or negative or None to switch it off, got {alpha}")
    return None if number < 0 else number


def as_gain(gain: Gain) -> Gain:
    """`gain` as a finite float >= 0, or "auto"; else ConfigError."""
    if isinstance(gain, str):
        if gain != AUTO:
            raise ConfigError(f"gain must be a finite number >= 0, or {AUTO}, got {gain!r}")
        return AUTO
    return as_exponent("gain", gain)


def focusing(gamma: float, alpha: Alpha, pos_weight: Tensor | None) -> Hyperparameters:
    """The hyperparameters that most of the family have, checked; else ConfigError."""
    return {"gamma": as_exponent("gamma", gamma), "alpha": as_alpha(alpha), "pos_weight": pos_weight}


def describe(alpha: float | Tensor | None) -> str:
    """`alpha` in a few characters, as it stands in a criterion's repr."""
    if isinstance(alpha, Tensor):
        shown = [f"{number:g}" for number in alpha.flatten()[:3].tolist()]
        return f"[{', '.join(shown)}{', ...' if alpha.numel() > 3 else ''}]"
    return "off" if alpha is None else f"{alpha:g}"


class MeasuredLoss(nn.Module):
    """A criterion times its gain, which is a number, or made from the gradients of each call."""

    gain: Gain

    def run(self, inputs: Tensor, targets: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """The loss without its gain; with `slopes` also the sums of absolute derivatives of `Measured`."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of the logits `inputs` against `targets`."""
        if isinstance(self.gain, str):
            measured = self.measured(inputs, targets)
            return measured.times(measured.gain)
        loss = self.run(inputs, targets, slopes=False)[0]
        return loss if self.gain == 1 else loss * self.gain

    def measured(self, inputs: Tensor, targets: Tensor) -> Measured:
        """The loss without its gain, and what gain="auto" is made of."""
        loss, slopes = self.run(inputs, targets, slopes=True)
        assert slopes is not None
        return Measured(loss, *slopes.unbind())


class SigmoidLoss(MeasuredLoss):
    """A loss on independent sigmoid logits, to stand where `nn.BCEWithLogitsLoss` does.

    The same input gives the same result: there are no parameters, no running state, nothing in the state dict; the
    equalized focal loss, which remembers gradients, is the exception.
    `gamma` may be changed between calls.

    Args:
        loss_fcn: a criterion whose `reduction`, `weight` and `pos_weight` are taken over; it is not changed.
        gamma: focusing exponent, any finite number >= 0.
        alpha: balance in [0, 1], one number or one for each class (last dimension); None or a negative number: off.
        reduction: none, mean or sum; where it is not given, that of `loss_fcn`.
        weight: factor on the loss, broadcast against the logits.
        pos_weight: factor on the positive term of the cross-entropy, broadcast against the logits.
        gain: factor on the result. "auto": in each call sum |d BCE / d x| / sum |d F / d x| over all
            its logits, BCE having the same `weight` and `pos_weight` (detached; 1 where F has no derivative), so that
            the loss only redistributes the gradient of the cross-entropy.

    Shapes: logits and targets (..., classes), targets in [0, 1]; the result has the same shape, or () if reduced.

    Raises:
        ConfigError: an argument is out of range; in the call, a shape does not fit.
    """

    formula: ClassVar[Formula]
    weight: Tensor | None
    pos_weight: Tensor | None
    alpha: float | Tensor | None

    def __init__(
        self,
        loss_fcn: nn.BCEWithLogitsLoss | None = None,
        gamma: float = 2.0,
        alpha: Alpha = None,
        *,
        reduction: str | None = None,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        gain: Gain = 1.0,
    ):
        super().__init__()
        self.gain = as_gain(gain)
        wrapped = nn.BCEWithLogitsLoss() if loss_fcn is None else loss_fcn
        if not isinstance(wrapped, nn.BCEWithLogitsLoss):
            raise ConfigError(f"loss_fcn must be an nn.BCEWithLogitsLoss, got {wrapped!r}; gamma is the next argument")
        self.reduction = check_reduction(wrapped.reduction if reduction is None else reduction)
        self.gamma = as_exponent("gamma", gamma)
        self._hold("alpha", as_alpha(alpha))
        self._hold("weight", as_factor("weight", wrapped.weight if weight is None else weight))
        self._hold("pos_weight", as_factor("pos_weight", wrapped.pos_weight if pos_weight is None else pos_weight))

    def _hold(self, name: str, value: float | Tensor | None) -> None:
        # A buffer follows .to(device); not persistent, because a criterion's numbers have no place in a checkpoint.
        if isinstance(value, Tensor):
            self.register_buffer(name, value.detach().clone(), persistent=False)
        else:
            setattr(self, name, value)

    def hyperparameters(self) -> Hyperparameters:
        """The hyperparameters of the formula as they are now."""
        return {"gamma": float(self.gamma), "alpha": self.alpha, "pos_weight": self.pos_weight}

    def run(self, inputs: Tensor, targets: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """The loss without its gain of logits `inputs` against `targets` in [0, 1], both of one shape."""
        hyperparameters, observer = self.hyperparameters(), self.observer(inputs)
        return run(self.formula, inputs, targets, self.reduction, self.weight, hyperparameters, observer, slopes=slopes)

    def observer(self, inputs: Tensor) -> Observe | None:
        """What is shown the gradient of a call with these logits; None for a loss that remembers nothing."""
        return None

    def extra_repr(self) -> str:
        """The hyperparameters."""
        return f"gamma={self.gamma:g}, alpha={describe(self.alpha)}"

    def __repr__(self) -> str:
        settings = self.extra_repr()
        return f"{self.formula.name}({settings})" if settings else self.formula.name
