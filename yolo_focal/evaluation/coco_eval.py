"""Average precision and recall as COCO defines them, from matches computed once.

AP of a class at one IoU threshold is the mean, over the recalls 0, 0.01, ..., 1, of the best precision reached at that
recall or beyond it. Precision only falls between two true positives, so the true positives alone decide it: each
brings the recalls between its predecessor's and its own. That makes a reweighting of the images cheap.

Source: T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", 2014, and its evaluation server's rules.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from yolo_focal.evaluation.boxes import Floats, Ints
from yolo_focal.evaluation.matching import IOU_THRESHOLDS, ImageMatches

__all__ = [
    "PrecisionSchedule",
    "RECALLS",
    "STATS",
    "average_precision_from_matches",
    "coco_stats",
    "mean_of_defined",
    "recall_from_matches",
]

RECALLS: Floats = np.linspace(0.0, 1.0, 101)
STATS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


class PrecisionSchedule:
    """What does not depend on the image weights: where the true positives stand and what precedes each of them.

    Build it once per `ImageMatches` and call `average_precision` for every resample's image weights.
    """

    def __init__(self, matches: ImageMatches):
        thresholds, rows = matches.matched.shape
        threshold, row = np.nonzero(matches.true_positive)
        ignored = np.flatnonzero(matches.ignored)
        class_first_row = matches.class_start[matches.category[row]]
        segment = threshold * matches.classes + matches.category[row]

        self._matches = matches
        self._thresholds = thresholds
        self._row, self._class_first_row = row, class_first_row
        self._ignored_row = ignored % max(rows, 1)
        self._ignored_from = np.searchsorted(ignored, threshold * rows + class_first_row)
        self._ignored_to = np.searchsorted(ignored, threshold * rows + row)
        self._segment = segment
        self._category = matches.category[row]
        self._segment_first = np.searchsorted(segment, segment)
        self._lead = np.flatnonzero(np.r_[True, segment[1:] != segment[:-1]][: len(segment)])

    def average_precision(self, image_weights: npt.ArrayLike | None = None) -> Floats:
        """(T, K) AP at each IoU threshold of each class, NaN where no object has weight.

        Args:
            image_weights: (I,) how often each image counts; >= 0; every image once where None. Whole numbers
                (a bootstrap resample) are exact: the result is that of a dataset with the images so often in it.
        """
        matches = self._matches
        weights = np.ones(matches.images) if image_weights is None else np.asarray(image_weights, dtype=np.float64)
        objects = np.bincount(matches.object_category, weights[matches.object_image], minlength=matches.classes)
        row_weight = weights[matches.image]

        running = np.r_[0.0, np.cumsum(row_weight)]
        running_ignored = np.r_[0.0, np.cumsum(row_weight[self._ignored_row])]
        running_true = np.r_[0.0, np.cumsum(row_weight[self._row])]
        counted = running[self._row + 1] - running[self._class_first_row]
        counted -= running_ignored[self._ignored_to] - running_ignored[self._ignored_from]
        true = running_true[1:] - running_true[self._segment_first]

        precision = true / (counted + np.spacing(1))
        recall = np.divide(true, objects[self._category], out=np.zeros_like(true), where=true > 0)
        reached = np.searchsorted(RECALLS, recall, side="right")
        newly_reached = np.diff(reached, prepend=0)
        newly_reached[self._lead] = reached[self._lead]

        # One running maximum from the back over all segments: each is lifted above the ones behind it.
        lift = 2.0 * (self._thresholds * matches.classes - self._segment)
        envelope = np.maximum.accumulate((precision + lift)[::-1])[::-1] - lift
        total = np.bincount(self._segment, envelope * newly_reached, minlength=self._thresholds * matches.classes)
        ap = total.reshape(self._thresholds, matches.classes) / len(RECALLS)
        return np.asarray(np.where(objects > 0, ap, np.nan))


def average_precision_from_matches(matches: ImageMatches) -> Floats:
    """(T, K) COCO average precision at each IoU threshold of each class; NaN for a class without objects.

    For images that count more than once, as in a resample, take a `PrecisionSchedule`.

    Args:
        matches: from `match_detections`.
    """
    return PrecisionSchedule(matches).average_precision()


def recall_from_matches(matches: ImageMatches, max_detections: int) -> Floats:
    """(T, K) share of the objects found by the best `max_detections` of each image and class; NaN without objects."""
    thresholds = matches.matched.shape[0]
    threshold, row = np.nonzero(matches.true_positive & (matches.rank < max_detections))
    segment = threshold * matches.classes + matches.category[row]
    found = np.bincount(segment, minlength=thresholds * matches.classes).reshape(thresholds, matches.classes)
    objects = matches.objects_per_class
    return np.asarray(np.divide(found, objects, out=np.full(found.shape, np.nan), where=objects > 0))


def coco_stats(matches: Mapping[str, ImageMatches], average_precision: Floats) -> dict[str, float]:
    """COCO's twelve numbers by name; -1, as COCO writes it, where no class has an object.

    Args:
        matches: for each of `AREA_RANGES`.
        average_precision: (T, K) of all sizes.
    """
    by_size = {area: average_precision_from_matches(matches[area]) for area in ("small", "medium", "large")}
    values = (
        average_precision,
        average_precision[_at(0.5)],
        average_precision[_at(0.75)],
        *by_size.values(),
        *(recall_from_matches(matches["all"], limit) for limit in (1, 10, 100)),
        *(recall_from_matches(matches[area], 100) for area in by_size),
    )
    return {name: mean_of_defined(value, otherwise=-1.0) for name, value in zip(STATS, values, strict=True)}


def mean_of_defined(values: Floats, otherwise: float = float("nan")) -> float:
    """Mean of the entries that are not NaN, or `otherwise` where there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else otherwise


def _at(iou: float) -> Ints:
    return np.flatnonzero(np.isclose(IOU_THRESHOLDS, iou))
