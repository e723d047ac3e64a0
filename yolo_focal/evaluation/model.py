"""A model on a dataset: its detections collected by Ultralytics' validator, measured by COCO's rules."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolo_focal.data.yolo import YoloDataset, read_data_yaml
from yolo_focal.evaluation.boxes import Detections, GroundTruth
from yolo_focal.evaluation.buckets import BucketRule
from yolo_focal.evaluation.classes import ClassMatch, ClassRule, match_classes
from yolo_focal.evaluation.evaluation import Evaluation, evaluate_detections
from yolo_focal.evaluation.yolo_source import ground_truth_from_yolo, training_counts_from_yolo
from yolo_focal.ultra.builtin_data import datasets_folder, resolve_data
from yolo_focal.ultra.predictions import Predictions, collect_predictions

__all__ = ["ModelEvaluation", "detections_of", "evaluate_model"]


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """An evaluation together with what it was made from.

    Attributes:
        evaluation: the measured quality.
        ground_truth: the objects of the split.
        detections: the model's detections in the classes of the dataset.
        predictions: what Ultralytics' validator returned: speed, candidates, its own metrics.
        classes: how the model's classes map to the dataset's.
    """

    evaluation: Evaluation
    ground_truth: GroundTruth
    detections: Detections
    predictions: Predictions
    classes: ClassMatch


def evaluate_model(
    model: Any,
    data: str | Path,
    *,
    split: str = "val",
    class_rule: ClassRule = "names",
    bucket_rule: BucketRule = "thirds",
    **settings: Any,
) -> ModelEvaluation:
    """Evaluate a model on a split of a YOLO dataset.

    Args:
        model: an `ultralytics.YOLO`, or anything it loads.
        data: a data YAML or `shapes`.
        split: `train`, `val` or `test`.
        class_rule: see `match_classes`.
        bucket_rule: see `frequency_buckets`; the training split of `data` is counted.
        settings: imgsz, conf, iou, max_det, batch, device of `collect_predictions`.

    Raises:
        DataError, CheckpointError, UnsupportedModelError: as the functions called.
    """
    dataset = read_data_yaml(Path(resolve_data(str(data))), datasets_folder())
    dataset.image_files(split)  # a missing split is reported before a model is loaded
    predictions = collect_predictions(model, dataset.yaml_file, split=split, **settings)
    ground_truth = ground_truth_from_yolo(dataset, split, image_sizes(predictions))
    return _measured(predictions, ground_truth, dataset, class_rule, bucket_rule)


def _measured(
    predictions: Predictions,
    ground_truth: GroundTruth,
    dataset: YoloDataset,
    class_rule: ClassRule,
    bucket_rule: BucketRule,
) -> ModelEvaluation:
    classes = match_classes(predictions.names, ground_truth.names, class_rule)
    detections = detections_of(predictions, ground_truth, classes)
    evaluation = evaluate_detections(
        ground_truth, detections, training=training_counts_from_yolo(dataset), bucket_rule=bucket_rule
    )
    return ModelEvaluation(evaluation, ground_truth, detections, predictions, classes)


def image_sizes(predictions: Predictions) -> dict[str, tuple[int, int]]:
    """(width, height) of every image by its absolute path."""
    files = (str(file.absolute()) for file in predictions.image_files)
    return dict(zip(files, predictions.image_sizes, strict=True))


def detections_of(predictions: Predictions, ground_truth: GroundTruth, classes: ClassMatch) -> Detections:
    """A model's predictions as detections on the images and in the classes of `ground_truth`."""
    place = {file: index for index, file in enumerate(ground_truth.image_files)}
    image = np.array([place.get(str(file.absolute()), -1) for file in predictions.image_files], dtype=np.int64)
    kept = (image[predictions.image] >= 0) & (classes.index[predictions.category] >= 0)
    corners = predictions.boxes_xyxy[kept]
    return Detections(
        image=image[predictions.image[kept]],
        category=classes.index[predictions.category[kept]],
        boxes_xywh=np.c_[corners[:, :2], corners[:, 2:] - corners[:, :2]],
        scores=predictions.scores[kept],
    )
