"""An evaluation as a JSON document, a CSV table and lines for people; docs/evaluation.md describes the document."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo_focal import __version__
from yolo_focal.evaluation.agreement import Agreement
from yolo_focal.evaluation.calibration import Calibration
from yolo_focal.evaluation.evaluation import BucketResult, ClassResult, Evaluation
from yolo_focal.evaluation.model import ModelEvaluation
from yolo_focal.evaluation.thresholds import OperatingPoint
from yolo_focal.foreign_text import first_names, printable
from yolo_focal.numbers import null_for_nan
from yolo_focal.text_table import aligned, as_csv, three_decimals
from yolo_focal.ultra.drivers.predictions import Predictions

__all__ = ["Report", "evaluation_document", "per_class_csv", "per_class_rows", "point_cells", "summary_lines"]

SCHEMA = 1
_COLUMNS = (  # of per_class.csv
    *("id", "name", "bucket", "training_instances", "objects", "detections", "AP", "AP50", "AP75", "AR100"),
    *(f"best_f1_{each.name}" for each in dataclasses.fields(OperatingPoint)),
)
_SHOWN = ("AP", "AP50", "AP75", "AR100")  # means over classes in the table


@dataclass(frozen=True, eq=False)
class Report:
    """What there is to tell about an evaluation.

    Attributes:
        title: one line: what was evaluated on what.
        source: the arguments that made it, by name.
        evaluation: the measured quality.
        model: the run it came from; None for a results file.
        notes: sentences about what was left out or looks wrong.
    """

    title: str
    source: Mapping[str, Any]
    evaluation: Evaluation
    model: ModelEvaluation | None
    notes: Sequence[str]


def evaluation_document(report: Report) -> dict[str, Any]:
    """The content of evaluation.json; undefined numbers are null, but for COCO's own -1 in `coco`."""
    evaluation, model = report.evaluation, report.model
    content = {
        "schema": SCHEMA,
        "yolo_focal": __version__,
        "source": dict(report.source),
        "images": evaluation.images,
        "objects": evaluation.objects,
        "detections": evaluation.detections,
        "coco": evaluation.stats,
        "classes": [_class_record(result) for result in evaluation.classes],
        "bucket_rule": evaluation.bucket_rule if evaluation.buckets else None,
        "buckets": [_bucket_record(bucket) for bucket in evaluation.buckets],
        "best_f1": _point_record(evaluation.best_f1),
        "at_default_conf": _point_record(evaluation.at_default_conf),
        "calibration": _calibration_record(evaluation.calibration),
        "calibration_of_all": _calibration_record(evaluation.calibration_of_all),
        "ultralytics": _ultralytics_record(model) if model else None,
        "nms": _nms_record(model.predictions) if model else None,
        "speed_ms_per_image": model.predictions.speed_ms if model else None,
        "notes": list(report.notes),
    }
    return {key: null_for_nan(value) for key, value in content.items()}


def per_class_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The rows of per_class.csv: one per class, None where a number is undefined."""
    rows = []
    for result in evaluation.classes:
        record = null_for_nan(_class_record(result))
        record |= {f"best_f1_{name}": value for name, value in (record["best_f1"] or {}).items()}
        rows.append({name: record.get(name) for name in _COLUMNS})
    return rows


def per_class_csv(evaluation: Evaluation) -> str:
    """The content of per_class.csv: empty cells where a number is undefined."""
    return as_csv(_COLUMNS, per_class_rows(evaluation))


def summary_lines(report: Report) -> list[str]:
    """What `yolo-focal evaluate` prints: a table of classes and buckets, then one line for each other finding."""
    evaluation = report.evaluation
    lines = [
        report.title,
        f"{evaluation.images:,} images, {evaluation.objects:,} objects, {evaluation.detections:,} detections "
        "(at most 100 of a class in an image)",
        "",
        *_table(evaluation),
        "",
        *_findings(evaluation),
    ]
    if report.model is not None:
        lines += _model_findings(report.model)
    return lines + [f"Note: {printable(note)}" for note in report.notes]


def _table(evaluation: Evaluation) -> list[str]:
    known = evaluation.classes[0].training_instances is not None
    header = ["class", *(["bucket", "training"] if known else []), "objects", *_SHOWN]
    rows = [
        [
            result.category.name,
            *([str(result.bucket), f"{result.training_instances:,}"] if known else []),
            f"{result.objects:,}",
            *(three_decimals(value) for value in (result.ap, result.ap50, result.ap75, result.ar)),
            *point_cells(result.best_f1),
        ]
        for result in evaluation.classes
        if result.objects
    ]
    blank = ["", ""] if known else []
    rows += [
        [f"{bucket.name} ({bucket.evaluated})", *blank, "", three_decimals(bucket.ap), three_decimals(bucket.ap50), "",
         three_decimals(bucket.ar), "", ""]
        for bucket in evaluation.buckets
    ]  # fmt: skip
    means = ("-" if (value := evaluation.stats[name]) < 0 else f"{value:.3f}" for name in _SHOWN)
    rows.append(["all", *blank, f"{evaluation.objects:,}", *means, *point_cells(evaluation.best_f1)])
    head, *body = aligned([[*header, "best F1", "at conf"], *rows])
    rule = "-" * len(head)
    of_classes = sum(result.objects > 0 for result in evaluation.classes)
    sections = [body[:of_classes], body[of_classes:-1], body[-1:]]  # classes, buckets, all of them
    lines = [head, *(line for section in sections if section for line in (rule, *section))]
    absent = [result.category.name for result in evaluation.classes if not result.objects]
    return lines + ([f"without objects here: {first_names(absent, 12)}"] if absent else [])


def point_cells(point: OperatingPoint | None) -> tuple[str, str]:
    """F1 and threshold of a point, as they stand in a table; a threshold belongs to something found."""
    if point is None:
        return "-", "-"
    return three_decimals(point.f1), three_decimals(point.threshold) if point.f1 > 0 else "-"


def _findings(evaluation: Evaluation) -> list[str]:
    stats = [f"{name} {value:.6f}" if value >= 0 else f"{name} -" for name, value in evaluation.stats.items()]
    lines = ["COCO: " + "  ".join(stats[:6]), "      " + "  ".join(stats[6:])]
    best, default = evaluation.best_f1, evaluation.at_default_conf
    if best is not None and best.f1 == 0:
        lines.append("No detection is right at IoU 0.5: nothing was learnt, or the labels belong to other images")
    elif best is not None and default is not None:
        lines.append(
            f"F1 at IoU 0.5 is best, {best.f1:.3f}, at conf={best.threshold:.3f}; at {evaluation.default_conf} it "
            f"is {default.f1:.3f} (precision {three_decimals(default.precision)}, recall {default.recall:.3f})"
        )
    scores = evaluation.calibration
    if scores.detections:
        side = "too high" if scores.bias > 0 else "too low"
        lines.append(
            f"Calibration error {scores.error:.3f} over {scores.detections:,} detections with score >= "
            f"{scores.least_score:g}: on average scores are {abs(scores.bias):.3f} {side}"
        )
    else:
        lines.append(f"Calibration: no detection has a score of {scores.least_score:g} or more")
    return lines


def _model_findings(model: ModelEvaluation) -> list[str]:
    predictions, lines = model.predictions, []
    if predictions.candidates_per_image is None:
        lines.append("Before NMS: the model selects its boxes itself; there is no NMS in which to lose an image")
    else:
        lost = predictions.lost_images or ()
        counts = np.array(predictions.candidates_per_image)
        lines.append(
            f"Before NMS: {counts.mean():,.0f} candidates an image (most: {counts.max():,}); images lost to an NMS "
            f"time limit: {len(lost) or 'none'}"
        )
    steps = ", ".join(f"{step} {value:.1f}" for step, value in predictions.speed_ms.items())
    lines.append(f"Speed in ms an image: {steps}")
    return lines + _agreement_lines(model.agreement)


def _agreement_lines(agreement: Agreement) -> list[str]:
    (ap, ap50), (map_, map50) = agreement.coco, agreement.ultralytics
    if math.isnan(ap):
        return [f"Ultralytics' own numbers: mAP50-95 {map_:.4f}, mAP50 {map50:.4f}; COCO has none without objects"]
    if not any(round(value, 4) for step in agreement.steps for value in (step.ap, step.ap50)):
        return [f"Ultralytics' own numbers are the same: mAP50-95 {map_:.4f}, mAP50 {map50:.4f}"]
    return [
        f"Ultralytics' own numbers: mAP50-95 {map_:.4f}, mAP50 {map50:.4f}. They differ from COCO's AP {ap:.4f} and "
        f"AP50 {ap50:.4f} because",
        *(f"  {step.ap:+.4f} and {step.ap50:+.4f}: {step.reason}" for step in agreement.steps),
    ]


def _class_record(result: ClassResult) -> dict[str, Any]:
    return {
        "id": result.category.id,
        "name": result.category.name,
        "bucket": result.bucket,
        "training_instances": result.training_instances,
        "objects": result.objects,
        "detections": result.detections,
        "AP": result.ap,
        "AP50": result.ap50,
        "AP75": result.ap75,
        "AR100": result.ar,
        "best_f1": _point_record(result.best_f1),
    }


def _bucket_record(bucket: BucketResult) -> dict[str, Any]:
    return {
        "name": bucket.name,
        "classes": bucket.classes,
        "evaluated": bucket.evaluated,
        "AP": bucket.ap,
        "AP50": bucket.ap50,
        "AR100": bucket.ar,
    }


def _point_record(point: OperatingPoint | None) -> dict[str, float] | None:
    return None if point is None else dataclasses.asdict(point)


def _calibration_record(scores: Calibration) -> dict[str, Any]:
    edges = np.linspace(0, 1, len(scores.counts) + 1).round(6).tolist()
    columns = (scores.counts.tolist(), scores.mean_score.tolist(), scores.precision.tolist())
    return {
        "least_score": scores.least_score,
        "detections": scores.detections,
        "error": scores.error,
        "bias": scores.bias,
        "bins": [
            {"from": edges[index], "to": edges[index + 1], "detections": count, "mean_score": mean, "precision": share}
            for index, (count, mean, share) in enumerate(zip(*columns, strict=True))
        ],
    }


def _ultralytics_record(model: ModelEvaluation) -> dict[str, Any]:
    steps = [{"reason": step.reason, "AP": step.ap, "AP50": step.ap50} for step in model.agreement.steps]
    return {**model.predictions.ultralytics_metrics, "difference": steps}


def _nms_record(predictions: Predictions) -> dict[str, Any] | None:
    if predictions.candidates_per_image is None:
        return None
    counts = np.array(predictions.candidates_per_image)
    return {
        "candidates_per_image": {
            "mean": float(counts.mean()),
            "median": float(np.median(counts)),
            "max": int(counts.max()),
        },
        "images_lost": [str(file) for file in predictions.lost_images or ()],
    }
