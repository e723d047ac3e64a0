"""The thin class around every element-wise sigmoid loss, and the checks of its arguments."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from yolo_focal.errors import ConfigError
from yolo_focal.losses.pieces import Formula, Terms
from yolo_focal.losses.run import REDUCTIONS, evaluate

__all__ = ["Alpha", "SigmoidLoss", "as_alpha", "as_exponent"]

Alpha = float | Sequence[float] | Tensor | None


def as_exponent(name: str, value: float) -> float:
    """`value` as a float, checked to be finite and >= 0."""
    number = float(value)
    if not (math.isfinite(number) and number >= 0):
        raise ConfigError(f"{name} must be a finite number >= 0, got {value}")
    return number


def as_alpha(alpha: Alpha) -> float | Tensor | None:
    """`alpha` as a float, a tensor, or None where it is None or a negative number (off)."""
    if alpha is None:
        return None
    if isinstance(alpha, (int, float)):
        if alpha < 0:
            return None
        if not alpha <= 1:
            raise ConfigError(f"alpha must be in [0, 1], or negative or None to switch it off, got {alpha}")
        return float(alpha)
    tensor = alpha if isinstance(alpha, Tensor) else torch.tensor([float(a) for a in alpha])
    wrong = tensor[~((tensor >= 0) & (tensor <= 1))]
    if wrong.numel():
        raise ConfigError(f"every alpha must be in [0, 1], got {wrong.flatten()[0].item():g}")
    return tensor


class SigmoidLoss(nn.Module):
    """A loss on independent sigmoid logits that can stand in for `nn.BCEWithLogitsLoss`.

    Stateless: no parameters, nothing in the state dict, the same result for the same input. `gamma` may be changed
    between calls.

    Args:
        loss_fcn: a criterion whose `reduction`, `weight` and `pos_weight` are taken over; it is not changed.
        gamma: focusing exponent, >= 0.
        alpha: balance in [0, 1]; one number, one per class (last dimension), or None or negative for off.
        reduction: none, mean or sum; without it that of `loss_fcn`.
        weight: factor on the loss, broadcast against the logits.
        pos_weight: factor on the positive term of the cross-entropy, broadcast against the logits.

    Shapes: logits and targets (..., classes), targets in [0, 1]; the result has that shape, or none when reduced.
    """

    name: str
    weight: Tensor | None
    pos_weight: Tensor | None
    alpha: float | Tensor | None

    def __init__(
        self,
        loss_fcn: nn.BCEWithLogitsLoss | None = None,
        gamma: float = 1.5,
        alpha: Alpha = None,
        *,
        reduction: str | None = None,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
    ):
        super().__init__()
        wrapped = nn.BCEWithLogitsLoss() if loss_fcn is None else loss_fcn
        if not isinstance(wrapped, nn.BCEWithLogitsLoss):
            raise ConfigError(f"loss_fcn must be an nn.BCEWithLogitsLoss, got {type(wrapped).__name__}")
        self.gamma = as_exponent("gamma", gamma)
        self.reduction = wrapped.reduction if reduction is None else reduction
        if self.reduction not in REDUCTIONS:
            raise ConfigError(f"reduction must be one of none, mean, sum, got {self.reduction!r}")
        self._hold("alpha", as_alpha(alpha))
        self._hold("weight", wrapped.weight if weight is None else weight)
        self._hold("pos_weight", wrapped.pos_weight if pos_weight is None else pos_weight)

    def _hold(self, name: str, value: float | Tensor | None) -> None:
        if isinstance(value, Tensor):
            self.register_buffer(name, value.detach().clone(), persistent=False)
        else:
            setattr(self, name, value)

    def formula(self) -> tuple[Formula, Terms]:
        """The formula and its hyperparameters as they are now."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of logits `inputs` against `targets` of the same shape."""
        formula, terms = self.formula()
        return evaluate(formula, inputs, targets, self.reduction, self.weight, terms)

    def extra_repr(self) -> str:
        return f"gamma={self.gamma:g}, alpha={describe(self.alpha)}"

    def __repr__(self) -> str:
        return f"{self.name}({self.extra_repr()})"


def describe(alpha: float | Tensor | None) -> str:
    """`alpha` in a few characters."""
    if isinstance(alpha, Tensor):
        return f"[{', '.join(f'{a:g}' for a in alpha.flatten()[:3].tolist())}{', ...' if alpha.numel() > 3 else ''}]"
    return "off" if alpha is None else f"{alpha:g}"
