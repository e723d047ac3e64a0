"""The confidence threshold at which F1 is best, of one class and of all classes together."""

from dataclasses import dataclass

import numpy as np

from yolo_focal.evaluation.boxes import Bools, Floats
from yolo_focal.evaluation.matching import ImageMatches

__all__ = ["OperatingPoint", "ThresholdCurve", "best_f1", "best_f1_per_class", "operating_point", "threshold_curve"]


@dataclass(frozen=True)
class OperatingPoint:
    """What a model does at IoU 0.5 when detections with score >= `threshold` are kept.

    Attributes:
        threshold: least score kept; 1 where no threshold finds anything.
        precision: true positives / detections kept; NaN where none is kept.
        recall: true positives / objects.
        f1: 2 x true positives / (detections kept + objects).
    """

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """The operating points of all N thresholds that tell detections apart, highest threshold first.

    Attributes:
        threshold: (N,) falling scores.
        precision: (N,).
        recall: (N,) rising.
        f1: (N,).
    """

    threshold: Floats
    precision: Floats
    recall: Floats
    f1: Floats

    @property
    def best(self) -> OperatingPoint:
        """The point of best F1; of equally good ones that of the highest threshold."""
        if not self.f1.any():
            return OperatingPoint(threshold=1.0, precision=float("nan"), recall=0.0, f1=0.0)
        columns = (self.threshold, self.precision, self.recall, self.f1)
        return OperatingPoint(*(float(column[np.argmax(self.f1)]) for column in columns))


def threshold_curve(matches: ImageMatches) -> ThresholdCurve | None:
    """Precision, recall and F1 at every threshold, all classes together; None where there is no object."""
    return _curve(matches.scores, matches.true_positive[0], ~matches.ignored[0], len(matches.object_category))


def best_f1(matches: ImageMatches) -> OperatingPoint | None:
    """The threshold of best F1 over the detections of all classes together; None where there is no object."""
    curve = threshold_curve(matches)
    return curve.best if curve is not None else None


def best_f1_per_class(matches: ImageMatches) -> list[OperatingPoint | None]:
    """The threshold of best F1 of every class by itself; None for a class without objects."""
    true, counted = matches.true_positive[0], ~matches.ignored[0]
    points = []
    for index, objects in enumerate(matches.objects_per_class.tolist()):
        rows = slice(*matches.class_start[index : index + 2])
        curve = _curve(matches.scores[rows], true[rows], counted[rows], objects)
        points.append(curve.best if curve is not None else None)
    return points


def operating_point(matches: ImageMatches, threshold: float) -> OperatingPoint | None:
    """What the model does, all classes together, at a given threshold; None where there is no object."""
    objects = len(matches.object_category)
    if not objects:
        return None
    kept = (matches.scores >= threshold) & ~matches.ignored[0]
    true, count = int(matches.true_positive[0][kept].sum()), int(kept.sum())
    return OperatingPoint(
        threshold, true / count if count else float("nan"), true / objects, 2 * true / (count + objects)
    )


def _curve(scores: Floats, true: Bools, counted: Bools, objects: int) -> ThresholdCurve | None:
    if not objects:
        return None
    order = np.argsort(-scores[counted], kind="stable")
    ordered, found = scores[counted][order], np.cumsum(true[counted][order])
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True][: len(ordered)])  # equal scores stay or go together
    kept = last + 1
    return ThresholdCurve(
        threshold=ordered[last],
        precision=found[last] / kept,
        recall=found[last] / objects,
        f1=2 * found[last] / (kept + objects),
    )
