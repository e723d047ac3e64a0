"""Ground truth from the label files of a YOLO dataset."""

from collections.abc import Mapping, Sequence

import numpy as np

from yolo_focal.data.labels import LabelProblem
from yolo_focal.data.yolo import YoloDataset
from yolo_focal.errors import DataError
from yolo_focal.evaluation.boxes import Category, GroundTruth

__all__ = ["ground_truth_from_yolo"]


def ground_truth_from_yolo(dataset: YoloDataset, split: str, image_sizes: Mapping[str, tuple[int, int]]) -> GroundTruth:
    """The objects of a split in pixels; image ids count from 1 in file order, category ids are the class numbers.

    Args:
        dataset: a data YAML, read.
        split: `train`, `val` or `test`.
        image_sizes: (width, height) by absolute path of every image that could be read.

    Raises:
        DataError: an image that could not be read, or a label for which Ultralytics leaves the whole image out.
    """
    files = dataset.image_files(split)
    labels = [dataset.labels(file) for file in files]
    _refuse([problem for each in labels for problem in each.problems if problem.drops_image])
    unread = [file for file in files if str(file.absolute()) not in image_sizes]
    if unread:
        if dataset.kpt_shape is not None:  # a pose model, which needs keypoints in every line
            found = [dataset.labels(file, pose=True).problems for file in unread]
            _refuse([problem for problems in found for problem in problems if problem.drops_image])
        raise DataError(
            f"{len(unread)} of {len(files)} images of {dataset.yaml_file} ({split}) could not be read, the first is "
            f"{unread[0]}; repair or remove them, their objects would count as missed"
        )
    pixels = [each.in_pixels(*image_sizes[str(file.absolute())]) for each, file in zip(labels, files, strict=True)]
    boxes, areas = (np.concatenate(each) for each in zip(*pixels, strict=True))
    return GroundTruth(
        image_ids=tuple(range(1, len(files) + 1)),
        image_files=tuple(str(file.absolute()) for file in files),
        categories=tuple(Category(index, name) for index, name in enumerate(dataset.names)),
        image=np.repeat(np.arange(len(files)), [len(each.classes) for each in labels]),
        category=np.concatenate([each.classes for each in labels]),
        boxes_xywh=boxes,
        areas=areas,
        crowd=np.zeros(len(boxes), dtype=bool),
    )


def _refuse(problems: Sequence[LabelProblem]) -> None:
    if problems:
        raise DataError(
            f"{problems[0]}; {len(problems)} labels are like this and Ultralytics would leave their images out: "
            "correct them"
        )
