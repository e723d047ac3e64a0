"""A recalibration as a JSON document and as one table for people."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from yolo_focal import __version__
from yolo_focal.evaluation.model import ModelEvaluation
from yolo_focal.evaluation.recalibration.recalibrate import LEAST_SCORE, Recalibration
from yolo_focal.evaluation.report import Report, evaluation_document, point_cells
from yolo_focal.foreign_text import printable
from yolo_focal.text_table import aligned, three_decimals

__all__ = ["recalibration_document", "recalibration_lines"]

SCHEMA = 1
SAME_AP = 1e-4


def recalibration_document(results: Sequence[Recalibration], source: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the JSON file: the maps, and before and after as `yolo-focal evaluate` would write them.

    Args:
        results: one per branch.
        source: the arguments they were made with, by name.
    """
    return {
        "schema": SCHEMA,
        "yolo_focal": __version__,
        "source": dict(source),
        "branches": [
            {
                "branch": result.branch,
                "scale": result.score_map.scale,
                "shift": result.score_map.shift,
                "class_shifts": _by_name(result),
                "fitted_on": {"true_positives": result.true, "false_positives": result.false},
                "before": _document(result.before),
                "after": _document(result.after),
                "moved_cut_off": {"conf": result.moved_conf, "AP": result.moved_ap},
            }
            for result in results
        ],
    }


def recalibration_lines(results: Sequence[Recalibration], split: str, evaluate_split: str) -> list[str]:
    """The table of before and after for each branch, and what to know when reading it."""
    lines = []
    for result in results:
        title = f"branch {result.branch}: " if len(results) > 1 else ""
        images = result.after.evaluation.images
        lines += [
            f"{title}fitted on {split} ({result.true:,} true, {result.false:,} false positives), "
            f"measured on {evaluate_split} ({images:,} images)",
            *_map_lines(result),
            "",
            *_table(result),
            "",
            *_notes(result),
            "",
        ]
    lines += [f"Note: {printable(note)}" for note in dict.fromkeys(note for result in results for note in result.notes)]
    if split == evaluate_split:
        lines.append(
            f"Note: measured on the split it was fitted on, which flatters the calibration; give evaluate_split= or "
            f"another split= where the data has more than {split}"
        )
    return lines


def _map_lines(result: Recalibration) -> list[str]:
    score_map = result.score_map
    names = ("objectness", "class") if len(score_map.scale) > 1 else ("class",)
    lines = [
        f"new {name} logit = {scale:.4g} x logit {shift:+.4g}"
        for name, scale, shift in zip(names, score_map.scale, score_map.shift, strict=True)
    ]
    shifts = _by_name(result)
    if shifts is not None:
        lines.append("and by class: " + ", ".join(f"{name} {shift:+.3g}" for name, shift in shifts.items()))
    return lines


def _table(result: Recalibration) -> list[str]:
    columns = [_measures(result.before), _measures(result.after)]
    rows = [(name, *(column[name] for column in columns)) for name in columns[0]]
    if result.moved_conf is not None and result.moved_ap is not None:
        ap = f"{result.before.evaluation.stats['AP']:.6f}"
        rows.append((f"AP, cut-off {LEAST_SCORE:g} moved to {result.moved_conf:.2g}", ap, f"{result.moved_ap:.6f}"))
    rows.insert(0, ("", "before", "after"))
    return aligned(rows)


def _measures(model: ModelEvaluation) -> dict[str, str]:
    evaluation, predictions = model.evaluation, model.predictions
    counts = predictions.candidates_per_image
    best_f1, at_conf = point_cells(evaluation.best_f1)
    return {
        f"calibration error, score >= {evaluation.calibration.least_score:g}": three_decimals(
            evaluation.calibration.error
        ),
        "calibration error, all detections": three_decimals(evaluation.calibration_of_all.error),
        "best F1 at IoU 0.5": best_f1,
        "  at conf": at_conf,
        "F1 at conf=0.25": point_cells(evaluation.at_default_conf)[0],
        f"candidates above {LEAST_SCORE:g}, an image": "no NMS" if counts is None else f"{np.mean(counts):,.0f}",
        "NMS, ms an image": "no NMS" if counts is None else f"{predictions.speed_ms['postprocess']:.1f}",
        f"AP, cut-off {LEAST_SCORE:g}": f"{evaluation.stats['AP']:.6f}",
    }


def _notes(result: Recalibration) -> list[str]:
    best = result.after.evaluation.best_f1
    notes = []
    if best is not None:
        notes.append(
            f"F1 is best at half its value where scores are probabilities (Lipton et al. 2014): {best.f1:.3f} / 2 = "
            f"{best.f1 / 2:.3f}, here at {best.threshold:.3f}"
        )
    change = result.after.evaluation.stats["AP"] - result.before.evaluation.stats["AP"]
    if result.score_map.keeps_order:
        notes.append("The map keeps the order of all detections, so AP only feels which of them pass the cut-off.")
    elif result.score_map.class_shifts is not None:
        notes.append(
            "Shifts by class keep the order within a class, not across classes: the AP of a class only feels which of "
            f"its detections pass the cut-off and the limit of boxes an image ({change:+.6f})"
        )
    if len(result.score_map.scale) > 1:
        notes.append(
            "A score with anchors is objectness x class; scaling both logits is not exactly monotone in their product "
            f"(AP {change:+.6f})"
        )
    if result.score_map.keeps_order and abs(change) > SAME_AP:
        notes.append(
            f"At the fixed cut-off {LEAST_SCORE:g} AP changes by {change:+.6f}: detections crossed it. For the old "
            f"set use conf={result.moved_conf:.2g}"
        )
    return notes


def _by_name(result: Recalibration) -> dict[str, float] | None:
    shifts = result.score_map.class_shifts
    return None if shifts is None else dict(zip(result.after.ground_truth.names, shifts, strict=True))


def _document(model: ModelEvaluation) -> dict[str, Any]:
    content = evaluation_document(Report("", {}, model.evaluation, model, ()))
    return {name: value for name, value in content.items() if name not in ("schema", "yolo_focal", "source", "notes")}
