"""A checkpoint whose scores are probabilities: fitted on one split, measured before and after on another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolo_focal.data.usable import refuse_unusable
from yolo_focal.data.yolo import YoloDataset
from yolo_focal.errors import DataError
from yolo_focal.evaluation.boxes import Bools, Detections, Floats, Ints
from yolo_focal.evaluation.matching import ImageMatches
from yolo_focal.evaluation.model import ModelEvaluation, evaluate_model
from yolo_focal.evaluation.recalibration.score_map import ScoreMap, fit_score_map, logits_of_scores
from yolo_focal.evaluation.training_counts import training_counts_from_yolo
from yolo_focal.ultra.anchor.logits import record_anchor_logits
from yolo_focal.ultra.datasets import read_dataset
from yolo_focal.ultra.drivers.predictions import imgsz_of_training
from yolo_focal.ultra.drivers.score_folding import (
    fold_scores,
    load_branch,
    read_checkpoint,
    score_branches,
    write_folded,
)

__all__ = ["LEAST_SCORE", "Recalibration", "harm", "other_split", "recalibrate", "trained_size"]

LEAST_SCORE = 0.001  # the cut-off of Ultralytics' validators, and of AP


@dataclass(frozen=True, eq=False)
class Recalibration:
    """One branch of a head, recalibrated.

    Attributes:
        branch: `one2many`, the only one of most heads, or `one2one`.
        score_map: what was folded in; class shifts in the order of the dataset.
        true: true positives at IoU 0.5 among the detections it was fitted on.
        false: false positives among them.
        before: the original on the evaluated split.
        after: the result on the evaluated split.
        moved_conf: the image of the cut-off 0.001 under a map that keeps the order, else None.
        moved_ap: AP of the result with its cut-off at `moved_conf`, which lets the same detections through as before.
        notes: sentences about the dataset, from both splits.
    """

    branch: str
    score_map: ScoreMap
    true: int
    false: int
    before: ModelEvaluation
    after: ModelEvaluation
    moved_conf: float | None
    moved_ap: float | None
    notes: tuple[str, ...] = ()

    @property
    def before_and_after(self) -> tuple[tuple[str, ModelEvaluation], tuple[str, ModelEvaluation]]:
        """Both evaluations with their names."""
        return ("before", self.before), ("after", self.after)


# What may get worse on the evaluated split without a map being refused: the scatter of a small split.
_MOST_ERROR = 0.005  # of the calibration error over all detections
_MOST_F1 = 0.01  # of the best F1
_MOST_CANDIDATES = 1.25  # times as many before NMS
_MOST_AP = 0.05  # of AP, relative; with anchors a map is not exactly monotone


def harm(result: Recalibration) -> list[str]:
    """What a map makes worse on the split that it is judged on, as `name before -> after`; [] for one to be used."""
    before, after = result.before.evaluation, result.after.evaluation
    worse = []
    errors = before.calibration_of_all.error, after.calibration_of_all.error
    if errors[1] > errors[0] + _MOST_ERROR:
        worse.append(f"calibration error over all detections {errors[0]:.3f} -> {errors[1]:.3f}")
    f1 = [each.best_f1.f1 if each.best_f1 else 0.0 for each in (before, after)]
    if f1[1] < f1[0] - _MOST_F1:
        worse.append(f"best F1 {f1[0]:.3f} -> {f1[1]:.3f}")
    counts = [each.predictions.candidates_per_image for each in (result.before, result.after)]
    if counts[0] is not None and counts[1] is not None:
        means = [float(np.mean(each)) for each in (counts[0], counts[1])]
        if means[1] > max(_MOST_CANDIDATES * means[0], means[0] + 1):
            worse.append(f"candidates before NMS {means[0]:,.0f} -> {means[1]:,.0f} an image")
    ap = before.stats["AP"], after.stats["AP"]
    if ap[1] < (1 - _MOST_AP) * ap[0]:
        worse.append(f"AP {ap[0]:.5f} -> {ap[1]:.5f}")
    return worse


@dataclass(frozen=True, eq=False)
class _Sample:
    """Detections of the split a map is fitted on: their logits, outcomes and classes."""

    logits: Floats
    true: Bools
    category: Ints


def trained_size(checkpoint: Path) -> int:
    """The input size in pixels that a checkpoint was trained with; 640 where it does not say."""
    return imgsz_of_training(read_checkpoint(checkpoint)) or 640


def other_split(data: str, split: str) -> str:
    """The split to judge a map on that was fitted on `split`: test or val of the data YAML, else `split` itself.

    One without labels, or without a folder, is passed over: exports name a test split that they do not have.
    """
    dataset = read_dataset(data)
    return next((name for name in ("test", "val") if name != split and _can_judge(dataset, name)), split)


def _can_judge(dataset: YoloDataset, split: str) -> bool:
    try:
        refuse_unusable(dataset, split)
    except DataError:
        return False
    return True


def recalibrate(
    checkpoint: Path,
    data: str,
    out: Path,
    *,
    split: str,
    evaluate_split: str,
    per_class: bool = False,
    **settings: Any,
) -> list[Recalibration]:
    """Fit a map of scores for each branch of a checkpoint's head, write the result, and measure both.

    Args:
        checkpoint: a .pt file.
        data: a data YAML, or a name as for `evaluate_model`.
        out: where to write the new checkpoint.
        split: the map is fitted on it.
        evaluate_split: the map is judged on it.
        per_class: whether each class gets a shift of its own.
        settings: imgsz, iou, max_det, batch, device of `evaluate_model`.

    Raises:
        CheckpointError, UnsupportedModelError, DataError: the model or the data cannot be used.
    """
    dataset = read_dataset(data)
    for name in (split, evaluate_split):  # reported before anything is run
        refuse_unusable(dataset, name)
    content = read_checkpoint(checkpoint)
    settings = {"data": data, "training": training_counts_from_yolo(dataset), **settings}
    fitted = []
    for branch in score_branches(content["model"]):
        model = load_branch(checkpoint, branch)
        logits = record_anchor_logits(model)
        measured = evaluate_model(model, split=split, conf=LEAST_SCORE, **settings)
        sample = _sample(measured, logits() if logits is not None else None)
        classes = len(measured.ground_truth.categories)
        score_map = fit_score_map(sample.logits, sample.true, sample.category, classes, per_class=per_class)
        class_shifts = _in_model_order(score_map, measured.classes.index)
        fold_scores(content["model"], branch, score_map.scale, score_map.shift, class_shifts)
        fitted.append((branch, sample, score_map, measured))
    write_folded(content, content["model"], out)

    def measured_anew(path: Path, branch: str, conf: float = LEAST_SCORE) -> ModelEvaluation:
        return evaluate_model(load_branch(path, branch), split=evaluate_split, conf=conf, **settings)

    results = []
    for branch, sample, score_map, measured in fitted:
        moved_conf = score_map.score(LEAST_SCORE) if score_map.keeps_order else None
        true = int(sample.true.sum())
        before = measured if evaluate_split == split else measured_anew(checkpoint, branch)
        results.append(
            Recalibration(
                branch=branch,
                score_map=score_map,
                true=true,
                false=len(sample.true) - true,
                before=before,
                after=measured_anew(out, branch),
                moved_conf=moved_conf,
                moved_ap=None if moved_conf is None else measured_anew(out, branch, moved_conf).evaluation.stats["AP"],
                notes=tuple(dict.fromkeys([*measured.notes, *before.notes])),
            )
        )
    return results


def _sample(measured: ModelEvaluation, factor_logits: Floats | None) -> _Sample:
    matches = measured.evaluation.matches
    if factor_logits is None:
        logits = logits_of_scores(matches.scores)
    else:
        known = measured.classes.index[measured.predictions.category] >= 0
        logits = factor_logits[known][_detection_of_match(measured.detections, matches)]
    counted = ~matches.ignored[0]
    return _Sample(logits[counted], matches.true_positive[0][counted], matches.category[counted])


def _detection_of_match(detections: Detections, matches: ImageMatches) -> Ints:
    """(D,) the row of `detections` that each row of `matches` stands for."""
    group = detections.category * matches.images + detections.image
    order = np.lexsort((-detections.scores, group))
    first = np.searchsorted(group[order], matches.category * matches.images + matches.image)
    return np.asarray(order[first + matches.rank], dtype=np.int64)


def _in_model_order(score_map: ScoreMap, class_index: Ints) -> Sequence[float] | None:
    """Class shifts by class of the model; 0 for one that the dataset does not have."""
    if score_map.class_shifts is None:
        return None
    shifts = np.array(score_map.class_shifts)
    in_order: list[float] = np.where(class_index >= 0, shifts[class_index], 0.0).tolist()
    return in_order
