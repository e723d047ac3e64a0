"""Equalized focal loss: a gamma of its own for each class, larger where negatives have had most of the gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed, nn

from yolo_focal.errors import ConfigError
from yolo_focal.losses.focal import miss
from yolo_focal.losses.module import Alpha, Gain, SigmoidLoss, as_exponent, as_fractions, focusing
from yolo_focal.losses.pieces import (
    BackgroundPieces,
    Formula,
    Hyperparameters,
    LogisticPieces,
    ValueAndGradient,
    background,
    balance,
    cross_entropy,
    modulate,
)
from yolo_focal.losses.run import Observe, check_operands, evaluate

__all__ = ["ClassGradients", "EQUALIZED", "EqualizedFocalLoss", "equalized_focal_loss"]


def _product(first: float | Tensor | None, second: float | Tensor | None) -> float | Tensor | None:
    """None stands for 1."""
    if first is None or second is None:
        return second if first is None else first
    return first * second


def _value_and_grad(
    pieces: LogisticPieces,
    t: Tensor,
    *,
    gamma: float | Tensor,
    alpha: float | Tensor | None,
    emphasis: Tensor | None,
    pos_weight: Tensor | None,
) -> ValueAndGradient:
    factor = _product(balance(t, alpha), emphasis)
    return modulate(cross_entropy(pieces, t, pos_weight), miss(pieces, t), gamma, factor)


def _background(
    pieces: BackgroundPieces,
    *,
    gamma: float | Tensor,
    alpha: float | Tensor | None,
    emphasis: Tensor | None,
    pos_weight: Tensor | None,
) -> ValueAndGradient:
    return background(pieces, gamma, _product(None if alpha is None else 1 - alpha, emphasis))


EQUALIZED = Formula("efl", _value_and_grad, _background)


def _equalized(gamma: float, scale: float, ratio: Tensor | None) -> Hyperparameters:
    """The hyperparameters gamma_j and gamma_j / gamma; those of the focal loss where every ratio is 1 or gamma is 0."""
    if ratio is None or gamma == 0 or scale == 0 or bool((ratio == 1).all()):
        return {"gamma": gamma, "emphasis": None}
    gammas = gamma + scale * (1 - ratio)
    return {"gamma": gammas, "emphasis": gammas / gamma}


def equalized_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    ratio: Tensor | Sequence[float],
    alpha: Alpha = 0.25,
    gamma: float = 2.0,
    scale: float = 8.0,
    reduction: str = "none",
    *,
    pos_weight: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """The focal loss with an exponent and a weight for each class j, by its balance g_j of positive gradients.

    F = (gamma_j / gamma) a u^gamma_j l with gamma_j = gamma + scale (1 - g_j), p = sigmoid(x),
    u = 1 - p_t = t (1-p) + (1-t) p, a = t alpha + (1-t)(1-alpha) and l = -w t log p - (1-t) log(1-p). Where g_j is 1 it
    is the focal loss exactly, and so it is for gamma = 0. The minimum for a soft target is further from 1/2 than p = t.

    Args:
        inputs: logits x, shape (..., classes), any floating dtype; computed in float32 at least.
        targets: t in [0, 1], hard or soft, in the shape of `inputs`; no gradient flows into them. Outside [0, 1] the
            value is that of the formula, which is no loss; a NaN gives NaN.
        ratio: g in [0, 1], one number for each class: the sum of |gradient| on its positives over that on its
            negatives, at most 1. `EqualizedFocalLoss` keeps it.
        alpha: weight of positives in [0, 1] (negatives have 1 - alpha); a tensor or sequence has one for each class
            (last dimension); None or a negative number: off.
        gamma: focusing exponent of a balanced class, any finite number >= 0; the paper's gamma_b.
        scale: what is added to it for a class whose positives have no gradient, any finite number >= 0; the paper's s.
        reduction: none (in the dtype of `inputs`), mean or sum (float32 at least).
        pos_weight: w, factor on the positive term of l, broadcast against `inputs`.
        weight: factor on the loss, broadcast against `inputs`.

    Raises:
        ConfigError: an argument is out of range or a shape does not fit. A second derivative: YoloFocalError.

    Source: Li et al., Equalized Focal Loss for Dense Long-Tailed Object Detection, 2022.
    """
    check_operands(inputs, targets, reduction)
    hyperparameters, balances = focusing(gamma, alpha, pos_weight), as_fractions("ratio", ratio)
    classes = inputs.shape[-1] if inputs.dim() else 1
    if balances.numel() not in (1, classes):
        raise ConfigError(f"ratio has {balances.numel()} numbers, but the logits have {classes} classes")
    hyperparameters |= _equalized(hyperparameters["gamma"], as_exponent("scale", scale), balances.flatten())
    return evaluate(EQUALIZED, inputs, targets, reduction, weight, hyperparameters)


class ClassGradients:
    """What the equalized focal loss remembers: sums of |gradient| on positives and on negatives of each class.

    What `add` was given counts from `commit` on, so that all calls of a step see the same state. Under
    torch.distributed the sums are those over all ranks, which therefore have to commit equally often.

    Args:
        classes: their number, where it is known before the first call.

    Attributes:
        ratio: g_j = sum on positives / sum on negatives, at most 1, shape (classes,), float32; None at the start, where
            it is 1 for all classes. A class without any gradient has 1.
    """

    def __init__(self, classes: int | None = None):
        self.ratio: Tensor | None = None
        # On the CPU, where float64 is always there: a float32 sum stops growing after some million batches.
        self._sums = None if classes is None else torch.zeros(2, classes, dtype=torch.float64, device="cpu")
        self._pending: Tensor | None = None

    def add(self, gradient: Tensor, targets: Tensor) -> None:
        """Note the gradient of one call, (..., classes) in float32 at least; positives are the targets above 0.

        Sums that are not finite are left out.
        """
        slopes = gradient.reshape(-1, gradient.shape[-1] if gradient.dim() else 1)
        positives = torch.where(targets.reshape(slopes.shape) > 0, slopes, 0.0)
        total, on_positives = (torch.linalg.vector_norm(part, 1, dim=0) for part in (slopes, positives))
        sums = torch.stack((on_positives, (total - on_positives).clamp_min(0)))
        if self._sums is None:
            self._sums = torch.zeros(sums.shape, dtype=torch.float64, device="cpu")
        self.check_classes(sums.shape[1])
        sums = torch.where(sums.isfinite().all(0), sums, 0.0)
        self._pending = sums if self._pending is None else self._pending + sums

    def check_classes(self, classes: int) -> None:
        """Raise ConfigError where gradients of another number of classes have been added."""
        if self._sums is not None and self._sums.shape[1] != classes:
            raise ConfigError(
                f"this equalized focal loss has seen {self._sums.shape[1]} classes, got logits with {classes} in the "
                "last dimension; make another one for them"
            )

    def commit(self) -> None:
        """Let what was added since the last commit count, on all ranks."""
        shared = distributed.is_available() and distributed.is_initialized()
        if self._sums is None or (self._pending is None and not shared):
            return
        pending = torch.zeros_like(self._sums) if self._pending is None else self._pending
        if shared:
            pending = pending.to("cuda" if "nccl" in distributed.get_backend() else "cpu", torch.float64)
            distributed.all_reduce(pending)
        self._set(self._sums + pending.cpu().double())
        self._pending = None

    def state(self) -> list[list[float]]:
        """The sums on positives and on negatives, as plain numbers."""
        sums: list[list[float]] = [[], []] if self._sums is None else self._sums.tolist()
        return sums

    def load(self, state: Sequence[Sequence[float]]) -> None:
        """Go on from a `state`, without what was added since the last commit; an empty one has seen nothing.

        Raises:
            ConfigError: it is no state, or one of another number of classes.
        """
        try:
            sums = torch.tensor(state, dtype=torch.float64, device="cpu")
        except (TypeError, ValueError, RuntimeError):
            sums = torch.full((1,), -1.0)
        if sums.shape == (2, 0) and self._sums is not None:
            sums = torch.zeros_like(self._sums)
        expected = (2, sums.shape[-1]) if self._sums is None else self._sums.shape
        if sums.shape != expected or not (sums.isfinite() & (sums >= 0)).all():
            raise ConfigError(
                "the gradients of classes must be two lists of finite numbers >= 0 "
                f"with {'one number for each class' if self._sums is None else f'{expected[1]} numbers each'}, "
                f"got {str(state)[:80]}"
            )
        self._pending = None
        if sums.numel():  # what has seen nothing does not know how many classes there are
            self._set(sums)

    def _set(self, sums: Tensor) -> None:
        on_positives, on_negatives = sums
        ratio = torch.where(on_positives < on_negatives, on_positives / on_negatives, 1.0).float()
        self._sums, self.ratio = sums, ratio


class EqualizedFocalLoss(SigmoidLoss):
    """`equalized_focal_loss` as a criterion that keeps the ratios itself; see `SigmoidLoss` for the other arguments.

    In training mode each call with a gradient adds the loss's own |gradient| (before reduction and gain) to the sums of
    its class: positives are the targets above 0. A call without one, or in evaluation mode, uses the ratios and changes
    nothing. Like every criterion here it leaves nothing in a state dict: `gradients.state()` is what to save.

    Args:
        scale: the paper's s, any finite number >= 0.

    Attributes:
        gradients: the sums and ratios.
        commits: whether each call counts from its end on; where it is False, `gradients.commit()` is left to the
            caller, once a step.
    """

    formula = EQUALIZED

    def __init__(
        self,
        loss_fcn: nn.BCEWithLogitsLoss | None = None,
        gamma: float = 2.0,
        alpha: Alpha = 0.25,
        scale: float = 8.0,
        *,
        reduction: str | None = None,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        gain: Gain = 1.0,
    ):
        super().__init__(loss_fcn, gamma, alpha, reduction=reduction, weight=weight, pos_weight=pos_weight, gain=gain)
        self.scale = as_exponent("scale", scale)
        self.gradients = ClassGradients()
        self.commits = True

    def hyperparameters(self) -> Hyperparameters:
        """The hyperparameters of the formula as they are now."""
        return {**super().hyperparameters(), **_equalized(float(self.gamma), float(self.scale), self.gradients.ratio)}

    def observer(self, inputs: Tensor) -> Observe | None:
        """What notes the gradient of a call; None where it does not count."""
        if inputs.dim():
            self.gradients.check_classes(inputs.shape[-1])
        counts = self.training and torch.is_grad_enabled() and inputs.requires_grad and inputs.numel()
        return self._note if counts else None

    def _note(self, gradient: Tensor, targets: Tensor) -> None:
        self.gradients.add(gradient, targets)
        if self.commits:
            self.gradients.commit()

    def extra_repr(self) -> str:
        """The hyperparameters."""
        return f"{super().extra_repr()}, scale={self.scale:g}"
