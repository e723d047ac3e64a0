"""A model on a dataset: its detections collected by Ultralytics' validator, measured by COCO's rules."""

import dataclasses
import functools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from yolo_focal.data.coco import CocoDataset
from yolo_focal.data.images import refuse_wrong_size
from yolo_focal.data.usable import lacking_end_marker, refuse_repeated, refuse_unusable
from yolo_focal.errors import DataError
from yolo_focal.evaluation.agreement import Agreement, compare_with_ultralytics
from yolo_focal.evaluation.boxes import Detections, GroundTruth, Ints
from yolo_focal.evaluation.buckets import BucketRule
from yolo_focal.evaluation.classes import ClassMatch, ClassRule, match_classes
from yolo_focal.evaluation.coco_source import ground_truth_from_coco, write_yolo_view
from yolo_focal.evaluation.evaluation import Evaluation, evaluate_detections
from yolo_focal.evaluation.training_counts import (
    TrainingCounts,
    missing_training_images,
    training_counts_from_yolo,
)
from yolo_focal.evaluation.yolo_source import ground_truth_from_yolo
from yolo_focal.ultra.datasets import read_dataset, refuse_unusable_data
from yolo_focal.ultra.drivers.predictions import Predictions, collect_predictions

__all__ = ["ModelEvaluation", "detections_from_predictions", "evaluate_model", "evaluate_model_on_coco"]


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """An evaluation together with what it was made from.

    Attributes:
        evaluation: the measured quality.
        ground_truth: the objects of the split.
        detections: the model's detections in the classes of the dataset, clipped to their images.
        predictions: what Ultralytics' validator returned: speed, candidates, its own metrics.
        classes: how the model's classes map to the dataset's.
        notes: sentences about the dataset that a reader of the numbers should know.
    """

    evaluation: Evaluation
    ground_truth: GroundTruth = field(repr=False)
    detections: Detections = field(repr=False)
    predictions: Predictions = field(repr=False)
    classes: ClassMatch = field(repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    @functools.cached_property
    def agreement(self) -> Agreement:
        """COCO's AP beside Ultralytics' mAP; made when it is asked for, since it matches the unclipped boxes too."""
        return compare_with_ultralytics(
            self.ground_truth,
            self.evaluation.matches,
            detections_from_predictions(self.predictions, self.ground_truth, self.classes, clip=False),
            self.predictions.ultralytics_metrics,
            _remaining_reason(self.ground_truth, self.classes),
        )


def evaluate_model(
    model: Any,
    data: str | Path,
    *,
    split: str = "val",
    annotations: CocoDataset | None = None,
    training: TrainingCounts | None = None,
    class_rule: ClassRule = "match",
    bucket_rule: BucketRule = "thirds",
    **settings: Any,
) -> ModelEvaluation:
    """Evaluate a model on a split of a YOLO dataset.

    Args:
        model: an `ultralytics.YOLO`, or anything it loads.
        data: a data YAML, `shapes`, or the name of a dataset that Ultralytics ships.
        split: `train`, `val` or `test`.
        annotations: ground truth in place of the label files, with crowds, segment areas and exact pixels.
        training: class frequencies; those of the training split of `data` where None.
        class_rule: see `match_classes`.
        bucket_rule: see `frequency_buckets`.
        settings: imgsz, conf, iou, max_det, batch, device, nms of `collect_predictions`.

    Raises:
        DataError, CheckpointError, UnsupportedModelError: as the functions called.
    """
    dataset = read_dataset(data)
    unended: list[Path] = []
    if Path(data).exists():  # what Ultralytics ships under a name it also downloads; a file's download: is never run
        refuse_unusable(dataset, split, labelled=annotations is None)
        refuse_repeated(dataset, split)
        refuse_unusable_data(dataset.yaml_file, (split,), ())
        unended = lacking_end_marker(dataset.image_files(split))
    predictions = collect_predictions(model, dataset.yaml_file, split=split, **settings)
    if annotations is not None:
        ground_truth = ground_truth_from_coco(annotations)
        _refuse_other_sizes(predictions, annotations, ground_truth)
    else:
        files = (str(file.absolute()) for file in predictions.image_files)
        sizes = dict(zip(files, predictions.image_sizes, strict=True))
        ground_truth = ground_truth_from_yolo(dataset, split, sizes)
    notes = []
    if training is None and (counted := training_counts_from_yolo(dataset)) is not None:
        training = counted.in_order_of(ground_truth.names, class_rule)  # the classes of `data` are those of the model
    elif training is None and (missing := missing_training_images(dataset)) is not None:
        notes.append(f"no class frequencies: {missing}")
    if anew := sorted(set(unended) - set(lacking_end_marker(unended))):
        notes.append(f"Ultralytics wrote {len(anew)} JPEG files of {split} without an end marker anew: {anew[0]}")
    measured = _measured(predictions, ground_truth, training, class_rule, bucket_rule, settings.get("conf", 0.0))
    return dataclasses.replace(measured, notes=tuple(notes))


def evaluate_model_on_coco(
    model: Any,
    annotations: CocoDataset,
    images: Path,
    *,
    training: TrainingCounts | None = None,
    class_rule: ClassRule = "match",
    bucket_rule: BucketRule = "thirds",
    **settings: Any,
) -> ModelEvaluation:
    """Evaluate a model on a COCO annotation file and its folder of images.

    Args:
        model: an `ultralytics.YOLO`, or anything it loads.
        annotations: the annotation file, read.
        images: the folder that its `file_name`s are relative to.
        training: class frequencies of the training split; no frequency buckets where None.
        class_rule: see `match_classes`.
        bucket_rule: see `frequency_buckets`.
        settings: imgsz, conf, iou, max_det, batch, device, nms of `collect_predictions`.

    Raises:
        DataError, CheckpointError, UnsupportedModelError: as the functions called.
    """
    ground_truth = ground_truth_from_coco(annotations)
    with tempfile.TemporaryDirectory(prefix="yolo_focal_") as folder:
        data_yaml = write_yolo_view(annotations, images, Path(folder).resolve())
        predictions = collect_predictions(model, data_yaml, **settings)
    return _measured(predictions, ground_truth, training, class_rule, bucket_rule, settings.get("conf", 0.0))


def detections_from_predictions(
    predictions: Predictions, ground_truth: GroundTruth, classes: ClassMatch, *, clip: bool = True
) -> Detections:
    """A model's predictions as detections on the images and in the classes of `ground_truth`.

    Args:
        predictions: from `collect_predictions`.
        ground_truth: the objects of the same images.
        classes: detections of classes it maps to -1 are left out.
        clip: whether boxes end where their image ends, as in every results file Ultralytics writes.

    Raises:
        DataError: an image of the ground truth that was not among those the model saw.
    """
    image = _image_index(predictions.image_files, ground_truth)
    kept = (image[predictions.image] >= 0) & (classes.index[predictions.category] >= 0)
    corners = predictions.boxes_xyxy[kept]
    if clip:
        ends = np.tile(np.array(predictions.image_sizes, dtype=np.float64).reshape(-1, 2), 2)
        corners = np.clip(corners, 0.0, ends[predictions.image[kept]])
    return Detections(
        image=image[predictions.image[kept]],
        category=classes.index[predictions.category[kept]],
        boxes_xywh=np.c_[corners[:, :2], corners[:, 2:] - corners[:, :2]],
        scores=predictions.scores[kept],
    )


def _measured(
    predictions: Predictions,
    ground_truth: GroundTruth,
    training: TrainingCounts | None,
    class_rule: ClassRule,
    bucket_rule: BucketRule,
    conf: float,
) -> ModelEvaluation:
    classes = match_classes(predictions.names, ground_truth.names, class_rule)
    detections = detections_from_predictions(predictions, ground_truth, classes)
    evaluation = evaluate_detections(ground_truth, detections, training=training, bucket_rule=bucket_rule, conf=conf)
    return ModelEvaluation(evaluation, ground_truth, detections, predictions, classes)


def _refuse_other_sizes(predictions: Predictions, annotations: CocoDataset, ground_truth: GroundTruth) -> None:
    """Raise where an image has not the size that the annotations state, as after it was made smaller."""
    index = _image_index(predictions.image_files, ground_truth)
    for place, file, size in zip(index, predictions.image_files, predictions.image_sizes, strict=True):
        if place >= 0:
            number = ground_truth.image_ids[place]
            stated = annotations.images[number]["width"], annotations.images[number]["height"]
            refuse_wrong_size(file, stated, f"images id {number} of {annotations.source}", size)


def _remaining_reason(ground_truth: GroundTruth, classes: ClassMatch) -> str:
    if not classes.same_order:
        return "Ultralytics compares classes by index, though the model and the dataset number them differently"
    if ground_truth.crowd.any():
        return "crowd regions are not in YOLO labels, so a detection inside one counts as false; 32-bit boxes"
    return "IoU of 32-bit boxes in pixels of the network's input; 300 boxes an image instead of 100 an image and class"


def _image_index(files: Sequence[Path], ground_truth: GroundTruth) -> Ints:
    """Index into the ground truth's images of each file the model saw, -1 where it has no such image."""
    place = {PurePath(name).parts: index for index, name in enumerate(ground_truth.image_files)}
    lengths = sorted({len(parts) for parts in place}, reverse=True)
    index = np.full(len(files), -1, dtype=np.int64)
    for position, file in enumerate(files):
        parts = file.absolute().parts
        index[position] = next((place[end] for n in lengths if (end := parts[-n:]) in place), -1)
    found = index[index >= 0]
    if len(np.unique(found)) < len(ground_truth.image_ids):
        unseen = sorted(set(range(len(ground_truth.image_ids))) - set(found.tolist()))
        raise DataError(
            f"{len(unseen)} images of the annotations are not among those the model was run on, the first is "
            f"{ground_truth.image_files[unseen[0]]}; their objects would count as missed: give the matching split, or "
            "repair the images if they cannot be read"
        )
    if len(found) > len(ground_truth.image_ids):
        raise DataError(
            "several images of the dataset have the same file name as one image of the annotations; "
            "give annotations whose file_name includes the folder"
        )
    return index
