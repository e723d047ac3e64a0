"""A monotone map of scores, fitted so that a score of 0.7 means that 7 in 10 such detections are right.

A detector's score is a sigmoid, or, with anchors, a product of two: objectness and class. Scaling and shifting each
logit can be done by the convolution that makes it, so the map costs nothing once it is folded in.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from yolo_focal.errors import DataError
from yolo_focal.evaluation.boxes import Bools, Floats, Ints

__all__ = ["ScoreMap", "fit_score_map", "logits_of_scores"]

STEPS = 100  # of Newton's method, which needs about ten
FLAT = 1e-10  # gradient of the mean loss at which it has arrived
LEAST_DAMPING, MOST_DAMPING = 1e-9, 1e9
LARGEST_SCALE = 10.0  # a map is no flatter than the inverse and no steeper: else a factor of the score would be erased
SMALLEST_GAP = float(np.finfo(np.float32).epsneg) / 2  # 32-bit scores: 1 stands for all that is nearer to 1 than this
SMALLEST_SCORE = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class ScoreMap:
    """New score = product over the P factors of sigmoid(scale * logit + shift); P is 1, or 2 with objectness.

    The shift of a class is added to the last factor. With one factor and no class shifts the map is strictly
    increasing: it changes no order, and with it no AP.

    Attributes:
        scale: of each factor, from 1 / 10 to 10.
        shift: of each factor.
        class_shifts: one per class, on top; None for a map that is the same for all classes.
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    class_shifts: tuple[float, ...] | None = None

    @property
    def keeps_order(self) -> bool:
        """Whether any two detections keep their order, across classes too."""
        return len(self.scale) == 1 and self.class_shifts is None

    def scores(self, logits: Floats, category: Ints) -> Floats:
        """(D,) new scores of detections.

        Args:
            logits: (D, P) of each factor, before the map.
            category: (D,) class indices.
        """
        mapped = logits * np.array(self.scale) + np.array(self.shift)
        if self.class_shifts is not None:
            mapped[:, -1] += np.array(self.class_shifts)[category]
        return np.asarray(np.exp(-np.logaddexp(0, -mapped).sum(1)))

    def score(self, score: float) -> float:
        """The new value of one score, such as a confidence threshold, under a map that keeps the order."""
        if not self.keeps_order:
            raise ValueError("this map has no single new value for a score")
        return float(self.scores(logits_of_scores(np.array([score])), np.zeros(1, dtype=np.int64))[0])


def logits_of_scores(scores: Floats) -> Floats:
    """(D, 1) logits of a detector whose score is one sigmoid; scores that 32 bits round to 1 stay finite."""
    inside = np.clip(scores.astype(np.float64), SMALLEST_SCORE, 1 - SMALLEST_GAP)
    return np.asarray((np.log(inside) - np.log1p(-inside))[:, None])


def fit_score_map(
    logits: Floats, true: Bools, category: Ints, number_of_classes: int, *, per_class: bool = False
) -> ScoreMap:
    """The map under which being a true positive is most likely.

    Maximises sum_d t_d log s_d + (1 - t_d) log(1 - s_d), with s the new score and t the smoothed targets
    (T + 1) / (T + 2) of T true and 1 / (F + 2) of F false positives, which keep the map finite where a threshold
    parts them. What the data need not determine, class shifts and a second factor, has a standard normal prior.

    Source: J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999.

    Args:
        logits: (D, P) of each factor of the score; P is 1, or 2 for objectness and class.
        true: (D,) whether each detection is a true positive.
        category: (D,) class indices below `number_of_classes`.
        number_of_classes: K.
        per_class: whether each class gets a shift of its own.

    Raises:
        DataError: no true or no false positive, or scores that are no higher for the true ones.
    """
    _check(logits, true)
    x, target = torch.from_numpy(logits.astype(np.float64)), torch.from_numpy(_targets(true))
    rows = torch.from_numpy(category)
    factors = x.shape[1]
    sizes = [factors, factors, number_of_classes if per_class else 0]

    def loss(parameters: Tensor) -> Tensor:
        log_scale, shift, class_shifts = torch.split(parameters, sizes)
        log_scale = _bounded(log_scale)
        mapped = x * log_scale.exp() + shift
        if per_class:
            mapped = torch.cat((mapped[:, :-1], mapped[:, -1:] + class_shifts[rows, None]), 1)
        free = torch.cat((class_shifts, log_scale[1:], shift[1:]))
        return (_negative_log_likelihood(mapped, target) + free.square().sum() / 2) / len(x)

    log_scale, shift, class_shifts = torch.split(_minimum(loss, sum(sizes)), sizes)
    return ScoreMap(
        scale=tuple(_bounded(log_scale).exp().tolist()),
        shift=tuple(shift.tolist()),
        class_shifts=tuple(class_shifts.tolist()) if per_class else None,
    )


def _bounded(log_scale: Tensor) -> Tensor:
    """Between the logarithms of the least and the largest scale, smoothly; 0 stays 0."""
    bound = math.log(LARGEST_SCALE)
    return bound * torch.tanh(log_scale / bound)


def _check(logits: Floats, true: Bools) -> None:
    positives = int(true.sum())
    if not 0 < positives < len(true):
        raise DataError(
            f"{positives} of {len(true)} detections are true positives at IoU 0.5, and a map of scores needs both true "
            "and false ones; fit on a split with more labelled images, or train the model first"
        )
    score = -np.logaddexp(0, -logits).sum(1)
    if score[true].mean() <= score[~true].mean():
        raise DataError(
            "true positives score no higher than false ones, so that no increasing map makes the scores "
            "probabilities; train the model longer, or check that the labels belong to these images"
        )


def _targets(true: Bools) -> Floats:
    positives = true.sum()
    return np.asarray(np.where(true, (positives + 1) / (positives + 2), 1 / (len(true) - positives + 2)))


def _negative_log_likelihood(logits: Tensor, target: Tensor) -> Tensor:
    log_true = logsigmoid(logits).sum(1)
    if logits.shape[1] == 1:
        log_false = logsigmoid(-logits).sum(1)
    else:  # log(1 - product): the product is 1 - tiny where its logits are large
        log_false = torch.log(-torch.expm1(log_true.clamp(max=-1e-15)))
    return -(target * log_true + (1 - target) * log_false).sum()


def _minimum(loss: Callable[[Tensor], Tensor], size: int) -> Tensor:
    """Where `loss` is least, by Newton's method from 0, damped wherever a full step would not go down."""
    place = torch.zeros(size, dtype=torch.float64)
    value, damping = loss(place), LEAST_DAMPING
    for _ in range(STEPS):
        gradient = torch.autograd.functional.jacobian(loss, place)  # type: ignore[no-untyped-call]
        if gradient.abs().max() < FLAT:
            break
        hessian = torch.autograd.functional.hessian(loss, place)  # type: ignore[no-untyped-call]
        while damping < MOST_DAMPING:
            step = torch.linalg.lstsq(hessian + damping * torch.eye(size).double(), -gradient[:, None]).solution[:, 0]
            new_value = loss(place + step)
            if new_value < value:
                break
            damping *= 10
        else:
            break  # no step goes down: this is as far as 64 bits reach
        place, value, damping = place + step, new_value, max(damping / 100, LEAST_DAMPING)
    return place
