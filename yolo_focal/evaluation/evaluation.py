"""Everything that is measured about a set of detections, from one matching."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from yolo_focal.evaluation.boxes import Category, Detections, Floats, GroundTruth
from yolo_focal.evaluation.buckets import BUCKETS, BucketRule, frequency_buckets
from yolo_focal.evaluation.calibration import Calibration, calibration
from yolo_focal.evaluation.coco_eval import (
    average_precision_from_matches,
    coco_stats,
    mean_of_defined,
    recall_from_matches,
)
from yolo_focal.evaluation.matching import IOU_THRESHOLDS, MAX_DETECTIONS, ImageMatches, match_detections
from yolo_focal.evaluation.thresholds import OperatingPoint, best_f1, best_f1_per_class, operating_point
from yolo_focal.evaluation.training_counts import TrainingCounts

__all__ = ["BucketResult", "ClassResult", "Evaluation", "evaluate_detections"]

LEAST_CALIBRATED_SCORE = 0.05
DEFAULT_PREDICT_CONF = 0.25  # Ultralytics shows nothing below it unless told


@dataclass(frozen=True)
class ClassResult:
    """The numbers of one class; NaN and None where it has no object in the evaluated images.

    Attributes:
        category: its id and name.
        objects: boxes in the evaluated images that are no crowd.
        detections: boxes evaluated, at most 100 an image.
        training_instances: boxes in the training split; None where not known.
        bucket: `rare`, `common` or `frequent`; None where the training split is not known.
        ap: mean over IoU 0.50:0.95.
        ap50: at IoU 0.5.
        ap75: at IoU 0.75.
        ar: recall with at most 100 detections an image, mean over IoU 0.50:0.95.
        best_f1: the threshold of best F1 at IoU 0.5.
    """

    category: Category
    objects: int
    detections: int
    training_instances: int | None
    bucket: str | None
    ap: float
    ap50: float
    ap75: float
    ar: float
    best_f1: OperatingPoint | None


@dataclass(frozen=True)
class BucketResult:
    """Means over the classes of a bucket that have objects in the evaluated images; NaN where none has.

    Attributes:
        name: `rare`, `common` or `frequent`.
        classes: number of classes in it.
        evaluated: how many of them have objects.
    """

    name: str
    classes: int
    evaluated: int
    ap: float
    ap50: float
    ar: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The measured quality of a set of detections.

    Attributes:
        stats: COCO's twelve numbers by name (AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl); -1 where
            undefined, as COCO has it.
        classes: one result per class, in the order of the ground truth.
        buckets: rare, common and frequent; empty where the training split is not known.
        bucket_rule: how the classes were divided.
        best_f1: threshold of best F1, all classes together; None without objects.
        at_default_conf: the same numbers at confidence 0.25, what a user sees without choosing a threshold; at the
            least score of the detections where that is above.
        calibration: over detections with score >= 0.05.
        calibration_of_all: over all detections.
        images: number of images, those without objects included.
        objects: number of boxes that count.
        detections: number of boxes evaluated.
        matches: what became of every detection, all sizes of objects: the input of a bootstrap over images.
    """

    stats: dict[str, float]
    classes: tuple[ClassResult, ...] = field(repr=False)
    buckets: tuple[BucketResult, ...] = field(repr=False)
    bucket_rule: BucketRule
    best_f1: OperatingPoint | None = field(repr=False)
    at_default_conf: OperatingPoint | None = field(repr=False)
    calibration: Calibration = field(repr=False)
    calibration_of_all: Calibration = field(repr=False)
    images: int
    objects: int
    detections: int
    matches: ImageMatches = field(repr=False)

    @property
    def default_conf(self) -> str:
        """The confidence of `at_default_conf` in words."""
        if self.at_default_conf is None or self.at_default_conf.threshold == DEFAULT_PREDICT_CONF:
            return f"Ultralytics' default conf={DEFAULT_PREDICT_CONF:g}"
        return f"conf={self.at_default_conf.threshold:g}, the least of this run,"


def evaluate_detections(
    ground_truth: GroundTruth,
    detections: Detections,
    *,
    training: TrainingCounts | None = None,
    bucket_rule: BucketRule = "thirds",
    conf: float = 0.0,
) -> Evaluation:
    """Measure `detections` against `ground_truth`; AP and AR are those of COCO's reference implementation.

    Args:
        ground_truth: the objects of the evaluated images.
        detections: scored boxes on the same images and classes.
        training: class frequencies of the training split, for the frequency buckets; classes found by name.
        bucket_rule: `thirds` or `lvis`, see `frequency_buckets`.
        conf: score below which detections were left out when they were made.
    """
    by_size = match_detections(ground_truth, detections)
    matches = by_size["all"]
    ap = average_precision_from_matches(matches)
    training = training.in_order_of(ground_truth.names) if training is not None else None
    classes = _class_results(ground_truth, matches, ap, training, bucket_rule)
    return Evaluation(
        stats=coco_stats(by_size, ap),
        classes=classes,
        buckets=_bucket_results(classes) if training is not None else (),
        bucket_rule=bucket_rule,
        best_f1=best_f1(matches),
        at_default_conf=operating_point(matches, max(DEFAULT_PREDICT_CONF, conf)),
        calibration=calibration(matches, least_score=LEAST_CALIBRATED_SCORE),
        calibration_of_all=calibration(matches),
        images=matches.images,
        objects=len(matches.object_category),
        detections=len(matches.scores),
        matches=matches,
    )


def _class_results(
    ground_truth: GroundTruth,
    matches: ImageMatches,
    ap: Floats,
    training: TrainingCounts | None,
    rule: BucketRule,
) -> tuple[ClassResult, ...]:
    recall = recall_from_matches(matches, MAX_DETECTIONS)
    names = frequency_buckets(rule, training.instances, training.images) if training is not None else None
    at_75 = int(np.flatnonzero(np.isclose(IOU_THRESHOLDS, 0.75))[0])
    return tuple(
        ClassResult(
            category=category,
            objects=int(matches.objects_per_class[index]),
            detections=int(matches.class_start[index + 1] - matches.class_start[index]),
            training_instances=int(training.instances[index]) if training is not None else None,
            bucket=names[index] if names is not None else None,
            ap=float(ap[:, index].mean()),
            ap50=float(ap[0, index]),
            ap75=float(ap[at_75, index]),
            ar=float(recall[:, index].mean()),
            best_f1=point,
        )
        for index, (category, point) in enumerate(zip(ground_truth.categories, best_f1_per_class(matches), strict=True))
    )


def _bucket_results(classes: Sequence[ClassResult]) -> tuple[BucketResult, ...]:
    results = []
    for name in BUCKETS:
        members = [result for result in classes if result.bucket == name]
        results.append(
            BucketResult(
                name=name,
                classes=len(members),
                evaluated=sum(member.objects > 0 for member in members),
                ap=mean_of_defined(np.array([member.ap for member in members])),
                ap50=mean_of_defined(np.array([member.ap50 for member in members])),
                ar=mean_of_defined(np.array([member.ar for member in members])),
            )
        )
    return tuple(results)
