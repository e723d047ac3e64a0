"""How often each class occurs in the training split: what the frequency buckets are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo_focal.data.coco import CocoDataset
from yolo_focal.data.label_statistics import split_statistics
from yolo_focal.data.yolo import YoloDataset
from yolo_focal.errors import DataError
from yolo_focal.evaluation.classes import ClassRule, match_classes

__all__ = ["TrainingCounts", "missing_training_images", "training_counts_from_coco", "training_counts_from_yolo"]


@dataclass(frozen=True)
class TrainingCounts:
    """How often each of K classes occurs in training.

    Attributes:
        names: (K,) class names.
        instances: (K,) boxes.
        images: (K,) images with at least one of them.
        source: what they were counted in, for messages.
    """

    names: Sequence[str]
    instances: Sequence[int]
    images: Sequence[int]
    source: str = "the training split"

    def in_order_of(self, names: Sequence[str], rule: ClassRule | None = None) -> "TrainingCounts":
        """The counts of the classes called `names`, in that order; 0 for a class that training does not have.

        Args:
            names: of the classes.
            rule: see `match_classes`; None for `match` where the user cannot choose another.

        Raises:
            DataError: no name in common, or a name that several classes share; with `index` other numbers of classes.
        """
        sides = "the evaluated dataset", self.source
        place = match_classes(names, self.names, rule or "match", sides=sides, by_number=rule is not None).index
        return TrainingCounts(
            names=names,
            instances=[self.instances[index] if index >= 0 else 0 for index in place],
            images=[self.images[index] if index >= 0 else 0 for index in place],
        )


def training_counts_from_yolo(dataset: YoloDataset) -> TrainingCounts | None:
    """Count the training split of a YOLO dataset as training sees it; None where it has none, or none of its images."""
    if "train" not in dataset.sources or missing_training_images(dataset) is not None:
        return None
    counted = split_statistics(dataset, "train")
    return TrainingCounts(counted.names, counted.instances.tolist(), counted.images_with.tolist())


def missing_training_images(dataset: YoloDataset) -> str | None:
    """What is wrong with a training split of which no image can be found, as where only the others were copied."""
    try:
        if "train" in dataset.sources:
            dataset.image_files("train")
    except DataError as error:
        return str(error)
    return None


def training_counts_from_coco(dataset: CocoDataset) -> TrainingCounts:
    """Count an annotation file, crowds left out; classes by ascending category id."""
    place = {category: index for index, category in enumerate(dataset.categories)}
    instances, images = np.zeros(len(place), np.int64), np.zeros(len(place), np.int64)
    for annotations in dataset.annotations.values():
        present = [place[each["category_id"]] for each in annotations if not each.get("iscrowd")]
        counts = np.bincount(present, minlength=len(place)) if present else np.zeros_like(instances)
        instances += counts
        images += counts > 0
    return TrainingCounts(list(dataset.categories.values()), instances.tolist(), images.tolist())
