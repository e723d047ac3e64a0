"""How often each class occurs in the training split: what the frequency buckets are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo_focal.data.coco import CocoDataset
from yolo_focal.data.label_statistics import split_statistics
from yolo_focal.data.yolo import YoloDataset
from yolo_focal.evaluation.classes import ClassRule, match_classes

__all__ = ["TrainingCounts", "training_counts_from_coco", "training_counts_from_yolo"]


@dataclass(frozen=True)
class TrainingCounts:
    """How often each of K classes occurs in training.

    Attributes:
        names: (K,) class names.
        instances: (K,) boxes.
        images: (K,) images with at least one of them.
    """

    names: Sequence[str]
    instances: Sequence[int]
    images: Sequence[int]

    def in_order_of(self, names: Sequence[str], rule: ClassRule = "match") -> "TrainingCounts":
        """The counts of the classes called `names`, in that order; 0 for a class that training does not have.

        Args:
            names: of the classes.
            rule: see `match_classes`.

        Raises:
            DataError: no name in common, or a name that several classes share; with `index` other numbers of classes.
        """
        place = match_classes(names, self.names, rule).index
        return TrainingCounts(
            names=names,
            instances=[self.instances[index] if index >= 0 else 0 for index in place],
            images=[self.images[index] if index >= 0 else 0 for index in place],
        )


def training_counts_from_yolo(dataset: YoloDataset) -> TrainingCounts | None:
    """Count the training split of a YOLO dataset as training sees it; None where it has none."""
    if "train" not in dataset.sources:
        return None
    counted = split_statistics(dataset, "train")
    return TrainingCounts(counted.names, counted.instances.tolist(), counted.images_with.tolist())


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
