"""The class terms of a criterion, element by element: what each logit adds to the total loss, and pulls at it with.

A recorder stands before each class loss while one batch passes through the real criterion. The derivative of the total
by every logit then comes out of the ordinary backward pass, with every normaliser, gain, class weight and branch weight
that training has; nothing of that is computed a second time here.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from yolo_focal.errors import UnsupportedModelError
from yolo_focal.losses import LOSSES
from yolo_focal.losses.module import SigmoidLoss
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.criterion import AnchorCriterion
from yolo_focal.ultra.class_losses import OBJECTNESS, class_losses
from yolo_focal.ultra.criteria.focal_term import FocalTerm

__all__ = ["ClassTerm", "Floats", "Ints", "Recorder", "record_class_terms", "sum_by_class"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class _Call(NamedTuple):
    """One call of a class loss: logits and targets (..., classes), hard labels where it takes them, result and gain."""

    logits: Tensor
    targets: Tensor
    labels: Tensor | None
    output: Tensor
    gain: float


class Recorder(nn.Module):
    """Stands in for a class loss: passes everything on to it, and keeps it for `sum_by_class`.

    Args:
        criterion: the loss, called with logits and targets and, in RT-DETR, hard labels.
        columns: number of classes; 1 for objectness, whose logits have no class dimension.
        floor: targets above it are positives; not 0 under label smoothing.
    """

    def __init__(self, criterion: nn.Module, columns: int, floor: float = 0.0):
        super().__init__()
        self.criterion = criterion
        self.columns = columns
        self.floor = floor
        self.calls: list[_Call] = []

    def forward(self, logits: Tensor, targets: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the criterion gives, cut off from the network: only the logits get a derivative."""
        leaf = logits.detach().clone().requires_grad_()
        given = (leaf, targets) if labels is None else (leaf, targets, labels)
        output: Tensor = self.criterion(*given)
        output.retain_grad()
        gain = self.criterion.gain if isinstance(self.criterion, FocalTerm) else None
        self.calls.append(_Call(leaf, targets.detach(), labels, output, 1.0 if gain is None else float(gain)))
        return output.clone()  # upstream multiplies it in place, and its own derivative is wanted


@dataclass(frozen=True, eq=False)
class ClassTerm:
    """One class term in one batch, by class. Everything is a part of the total loss that training would minimise.

    Attributes:
        positives: (C,) logits with a target above 0.
        negatives: (C,) all others.
        loss_positives: (C,) what the positives add to the total loss.
        loss_negatives: (C,) what the negatives add.
        gradient_positives: (C,) sum of |d total / d logit| over the positives.
        gradient_negatives: (C,) the same over the negatives.
        weight_positives: (C,) the loss of an undecided (p = 1/2) hard positive, plain BCE's being 1.
        weight_negatives: (C,) that of an undecided negative.
        soft_share: share of the positives with a target below 1.
        median_target: median target of the positives; NaN where there are none.
    """

    positives: Ints
    negatives: Ints
    loss_positives: Floats
    loss_negatives: Floats
    gradient_positives: Floats
    gradient_negatives: Floats
    weight_positives: Floats
    weight_negatives: Floats
    soft_share: float
    median_target: float

    @property
    def effective_alpha(self) -> Floats:
        """(C,) weight of positives / (weight of positives + weight of negatives); NaN where both are 0."""
        total = self.weight_positives + self.weight_negatives
        return np.divide(self.weight_positives, total, out=np.full_like(total, math.nan), where=total > 0)


def record_class_terms(criterion: Any, number_of_classes: int) -> dict[str, list[Recorder]]:
    """Put a recorder before every class loss of `criterion`, in place; the recorders by branch of `class_losses`.

    Raises:
        UnsupportedModelError: a criterion without a class loss that is known here.
    """
    branches = class_losses(criterion)
    if not branches:
        raise UnsupportedModelError(f"{type(criterion).__name__} has no class loss that can be measured")
    floor = 0.0
    if isinstance(criterion, AnchorCriterion) and criterion.config.cls_smoothing:
        floor = criterion.config.cls_smoothing / 2 + 1e-6  # targets are float32
    recorders: dict[str, list[Recorder]] = {}
    for branch, places in branches.items():
        columns, least = (1, 0.0) if branch == OBJECTNESS else (number_of_classes, floor)
        recorders[branch] = [Recorder(place.loss, columns, least) for place in places]
        for place, recorder in zip(places, recorders[branch], strict=True):
            setattr(place.owner, place.name, recorder)
    return recorders


def sum_by_class(recorders: Sequence[Recorder]) -> ClassTerm:
    """The sums over all calls of one branch's recorders, to be made after the total's backward pass."""
    columns = recorders[0].columns
    sums = torch.zeros(6, columns, dtype=torch.float64)
    positive_targets = [torch.zeros(0)]
    for recorder in recorders:
        loss = _elementwise(recorder.criterion)
        for call in recorder.calls:
            targets = call.targets.reshape(-1, columns)
            positive = (targets if call.labels is None else call.labels.reshape(-1, columns)) > recorder.floor
            share = _share_of_total(call, loss(call.logits.detach(), call.targets).detach()).reshape(-1, columns)
            assert call.logits.grad is not None
            pull = call.logits.grad.abs().reshape(-1, columns)
            parts = (positive, ~positive, share * positive, share * ~positive, pull * positive, pull * ~positive)
            sums += torch.stack([part.double().sum(0) for part in parts]).cpu()
            positive_targets.append(targets[positive].float().cpu())
    targets = torch.cat(positive_targets)
    positives, negatives, *parts_of_total = sums.numpy()
    loss_positives, loss_negatives, gradient_positives, gradient_negatives = parts_of_total
    weight_positives, weight_negatives = _weights(recorders)
    return ClassTerm(
        positives=positives.astype(np.int64),
        negatives=negatives.astype(np.int64),
        loss_positives=loss_positives,
        loss_negatives=loss_negatives,
        gradient_positives=gradient_positives,
        gradient_negatives=gradient_negatives,
        weight_positives=weight_positives,
        weight_negatives=weight_negatives,
        soft_share=float((targets < 1 - recorders[0].floor).float().mean()) if len(targets) else 0.0,
        median_target=float(targets.median()) if len(targets) else math.nan,
    )


def _share_of_total(call: _Call, elements: Tensor) -> Tensor:
    """What each element adds to the total: its part of the output, times the total's derivative by the output."""
    assert call.output.grad is not None
    if call.output.dim():
        return elements * call.output.grad
    total = elements.sum()
    return elements * (call.output.grad * call.output.detach() / total if total > 0 else 0.0)


def _weights(recorders: Sequence[Recorder]) -> tuple[Floats, Floats]:
    """Loss of an undecided hard positive and of a negative, by class, over that of plain BCE."""
    recorder = next((each for each in recorders if each.calls), recorders[0])
    loss, columns = _elementwise(recorder.criterion), recorder.columns
    factor = torch.ones(columns, dtype=torch.float64)
    if isinstance(recorder.criterion, FocalTerm):
        factor *= float(np.mean([call.gain for call in recorder.calls] or [1.0]))
    grad = recorder.calls[0].output.grad if recorder.calls else None
    if grad is not None and grad.dim():  # upstream's class weights act outside of the loss, and show in its derivative
        by_class = grad.reshape(-1, columns)[0].double().cpu()
        factor *= by_class / by_class.mean()
    logits = torch.zeros(1, columns, device=recorder.calls[0].logits.device if recorder.calls else None)
    undecided = [loss(logits, torch.full_like(logits, target))[0].double().cpu() for target in (1.0, 0.0)]
    positive, negative = ((each * factor / math.log(2)).detach().numpy() for each in undecided)
    return positive, negative


def _elementwise(criterion: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of every element under `criterion`, before it is reduced."""
    if isinstance(criterion, FocalTerm):
        criterion = criterion.loss
    if isinstance(criterion, SigmoidLoss | nn.BCEWithLogitsLoss):
        twin = copy.copy(criterion)
        twin.reduction = "none"
        return twin
    for name, kind in (("vfl", "VarifocalLoss"), ("focal", "FocalLoss")):  # RT-DETR's own, which only give sums
        if isinstance(criterion, getattr(host.loss, kind)):
            return LOSSES[name].make(gamma=float(criterion.gamma), alpha=float(criterion.alpha), reduction="none")
    raise UnsupportedModelError(f"the class loss {type(criterion).__name__} cannot be measured element by element")
