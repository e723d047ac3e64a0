"""The confidence threshold at which F1 is best, of one class and of all classes together."""

from dataclasses import dataclass

import numpy as np

from yolo_focal.evaluation.boxes import Bools, Floats
from yolo_focal.evaluation.matching import ImageMatches

__all__ = ["OperatingPoint", "best_f1", "best_f1_per_class", "operating_point"]


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


def best_f1(matches: ImageMatches) -> OperatingPoint | None:
    """The threshold of best F1 over the detections of all classes together; None where there is no object."""
    return _best(matches.scores, matches.true_positive[0], ~matches.ignored[0], len(matches.object_category))


def best_f1_per_class(matches: ImageMatches) -> list[OperatingPoint | None]:
    """The threshold of best F1 of every class by itself; None for a class without objects."""
    true, counted = matches.true_positive[0], ~matches.ignored[0]
    rows = [slice(lo, hi) for lo, hi in zip(matches.class_start[:-1], matches.class_start[1:], strict=True)]
    return [
        _best(matches.scores[part], true[part], counted[part], int(objects))
        for part, objects in zip(rows, matches.objects_per_class, strict=True)
    ]


def operating_point(matches: ImageMatches, threshold: float) -> OperatingPoint | None:
    """What the model does, all classes together, at a given threshold; None where there is no object."""
    objects = len(matches.object_category)
    kept = (matches.scores >= threshold) & ~matches.ignored[0]
    return _point(threshold, int(matches.true_positive[0][kept].sum()), int(kept.sum()), objects) if objects else None


def _best(scores: Floats, true: Bools, counted: Bools, objects: int) -> OperatingPoint | None:
    """The best of the thresholds that tell detections apart; of equally good ones the highest."""
    if not objects:
        return None
    order = np.argsort(-scores[counted], kind="stable")
    ordered, hits = scores[counted][order], np.cumsum(true[counted][order])
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True][: len(ordered)])  # equal scores stay or go together
    f1 = 2 * hits[last] / (last + 1 + objects)
    if not f1.any():
        return OperatingPoint(threshold=1.0, precision=float("nan"), recall=0.0, f1=0.0)
    best = last[np.argmax(f1)]
    return _point(float(ordered[best]), int(hits[best]), int(best) + 1, objects)


def _point(threshold: float, hits: int, kept: int, objects: int) -> OperatingPoint:
    return OperatingPoint(
        threshold=threshold,
        precision=hits / kept if kept else float("nan"),
        recall=hits / objects,
        f1=2 * hits / (kept + objects),
    )
