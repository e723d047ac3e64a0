"""Why Ultralytics' own mAP differs from COCO's AP for the same detections: each reason with its measured share."""

from dataclasses import dataclass

import numpy as np

from yolo_focal.evaluation.boxes import Detections, GroundTruth
from yolo_focal.evaluation.coco_eval import average_precision_from_matches, mean_of_defined
from yolo_focal.evaluation.matching import ImageMatches, match_detections
from yolo_focal.ultra.drivers.predictions import ultralytics_average_precision

__all__ = ["Agreement", "Step", "compare_with_ultralytics"]


@dataclass(frozen=True)
class Step:
    """One difference between the two measures.

    Attributes:
        reason: what Ultralytics does otherwise.
        ap: how much that adds to AP (IoU 0.50:0.95).
        ap50: how much that adds to AP at IoU 0.5.
    """

    reason: str
    ap: float
    ap50: float


@dataclass(frozen=True)
class Agreement:
    """COCO's AP, Ultralytics' mAP, and the way from one to the other.

    Attributes:
        coco: AP and AP50.
        ultralytics: mAP50-95 and mAP50.
        steps: the reasons in order; their shares add up to the difference.
    """

    coco: tuple[float, float]
    ultralytics: tuple[float, float]
    steps: tuple[Step, ...]


def compare_with_ultralytics(
    ground_truth: GroundTruth,
    matches: ImageMatches,
    unclipped: Detections,
    ultralytics_metrics: dict[str, float],
    remaining_reason: str,
) -> Agreement:
    """Change COCO's measure into Ultralytics' one step at a time.

    Args:
        ground_truth: the objects.
        matches: of the detections as evaluated, all object sizes.
        unclipped: the same detections before they were clipped to their images.
        ultralytics_metrics: `mAP50-95` and `mAP50` of Ultralytics' validator.
        remaining_reason: what explains the rest.
    """
    loose = match_detections(ground_truth, unclipped)["all"]
    interpolated = ultralytics_average_precision(
        np.ascontiguousarray(loose.true_positive.T), loose.scores, loose.category, loose.object_category
    )
    theirs = (ultralytics_metrics["mAP50-95"], ultralytics_metrics["mAP50"])
    stations = [
        _coco(matches),
        _coco(loose),
        (interpolated.get("mAP50-95", float("nan")), interpolated.get("mAP50", float("nan"))),
        theirs,
    ]
    reasons = (
        "boxes are compared before they are clipped to the image",
        "the precision-recall curve is integrated by trapezoids instead of its best precision at 101 recalls",
        remaining_reason,
    )
    steps = tuple(
        Step(reason, after[0] - before[0], after[1] - before[1])
        for reason, before, after in zip(reasons, stations[:-1], stations[1:], strict=True)
    )
    return Agreement(stations[0], theirs, steps)


def _coco(matches: ImageMatches) -> tuple[float, float]:
    ap = average_precision_from_matches(matches)
    return mean_of_defined(ap), mean_of_defined(ap[0])
