"""What is in a dataset: instances and images per class, sizes, empty images, and everything wrong with its labels."""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo_focal.data.labels import LabelProblem, Labels
from yolo_focal.data.progress_bar import progress_bar
from yolo_focal.data.usable import checked_image, repeated_images
from yolo_focal.data.yolo import YoloDataset

__all__ = ["SIZE_LIMITS", "SplitStatistics", "class_counts", "split_statistics"]

SIZE_LIMITS = {"small": 32**2, "medium": 96**2}  # COCO's area limits in pixels; above them is large


@dataclass(frozen=True)
class SplitStatistics:
    """One split of a dataset as training sees it: images that Ultralytics would drop count only as dropped.

    Attributes:
        split: its name.
        names: class names by index.
        images: images that training uses.
        images_without_objects: of those, images that are background only.
        images_without_label_file: of those, images whose label file does not exist (they are background, too).
        images_dropped: images that cannot be used because of themselves or their labels.
        instances: (classes,) boxes per class.
        images_with: (classes,) images that have at least one box of the class.
        box_images: (n,) number of the image of every box, in [0, images).
        box_classes: (n,) class of every box.
        box_sizes: (n, 2) width and height of every box in pixels of the original image.
        image_sizes: (n, 2) width and height in pixels of the image each box is in.
        problems: everything wrong, in the order of the images.
    """

    split: str
    names: tuple[str, ...]
    images: int
    images_without_objects: int
    images_without_label_file: int
    images_dropped: int
    instances: np.ndarray
    images_with: np.ndarray
    box_images: np.ndarray
    box_classes: np.ndarray
    box_sizes: np.ndarray
    image_sizes: np.ndarray
    problems: list[LabelProblem]

    @property
    def imbalance(self) -> float:
        """Instances of the most over those of the least frequent class that has any; 1 where there are none."""
        present = self.instances[self.instances > 0]
        return float(present.max() / present.min()) if len(present) else 1.0

    def problem_counts(self) -> dict[str, int]:
        """Number of problems of each kind, most frequent first."""
        return dict(Counter(problem.kind for problem in self.problems).most_common())

    def size_counts(self) -> dict[str, int]:
        """Boxes that are small (below 32 x 32 pixels), medium (below 96 x 96) and large, by COCO's limits."""
        areas = self.box_sizes.prod(1)
        small, medium = (int((areas < limit).sum()) for limit in SIZE_LIMITS.values())
        return {"small": small, "medium": medium - small, "large": len(areas) - medium}

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain types; problems as one line each."""
        return {
            "split": self.split,
            "images": self.images,
            "images_without_objects": self.images_without_objects,
            "images_without_label_file": self.images_without_label_file,
            "images_dropped": self.images_dropped,
            "instances": int(self.instances.sum()),
            "imbalance": self.imbalance,
            "sizes": self.size_counts(),
            "classes": [
                {"index": index, "name": name, "instances": int(boxes), "images": int(images)}
                for index, (name, boxes, images) in enumerate(
                    zip(self.names, self.instances, self.images_with, strict=True)
                )
            ],
            "problem_counts": self.problem_counts(),
            "problems": [str(problem) for problem in self.problems],
        }


def class_counts(
    dataset: YoloDataset,
    split: str = "train",
    *,
    pose: bool = False,
    fraction: float = 1.0,
    classes: Container[int] | None = None,
) -> list[int]:
    """Boxes per class in the labels of `split`, images that Ultralytics would drop for their labels left out.

    Reads label files only; images themselves are not opened.

    Args:
        dataset: with the split.
        split: its name.
        pose: leave out the images that it would drop in training a pose model.
        fraction: share of the images, or as an `int` their number, that is read: the first ones, as it takes them.
        classes: those that it keeps; None for all.
    """
    counts = np.zeros(len(dataset.names), np.int64)
    images = dataset.image_files(split)
    number = fraction if isinstance(fraction, int) else max(1, round(len(images) * fraction))
    for image in images[:number]:
        labels = dataset.labels(image, pose=pose)
        if not any(problem.drops_image for problem in labels.problems):
            counts += np.bincount(labels.classes, minlength=len(counts))
    return [int(count) if classes is None or index in classes else 0 for index, count in enumerate(counts)]


def split_statistics(
    dataset: YoloDataset, split: str = "train", *, kept: Container[str] | None = None
) -> SplitStatistics:
    """Read every label file of `split` and check every image as Ultralytics does before a training.

    Args:
        dataset: with the split.
        split: its name.
        kept: the images that a trainer has kept, if that is known; all others count as dropped.

    Raises:
        DataError: the split has no images, or a label file is larger than any real one.
    """
    images = dataset.image_files(split)
    used: list[tuple[Labels, tuple[int, int]]] = []
    problems: list[LabelProblem] = []
    for image in progress_bar(images, f"reading {split}"):
        labels = dataset.labels(image)
        size, faults = checked_image(image)
        found = [*faults, *labels.problems]
        if kept is not None and str(image) not in kept and not any(problem.drops_image for problem in found):
            found.append(LabelProblem("dropped by Ultralytics", image, 0, "its log says why", True))
        problems += found
        if size is not None and not any(problem.drops_image for problem in found):
            used.append((labels, size))
    problems += [LabelProblem("image listed more than once", image, 0, "", False) for image in repeated_images(images)]
    return _summary(split, dataset.names, len(images), used, problems)


def _summary(
    split: str,
    names: tuple[str, ...],
    images: int,
    used: list[tuple[Labels, tuple[int, int]]],
    problems: list[LabelProblem],
) -> SplitStatistics:
    instances, images_with = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    classes, boxes, sizes = [np.zeros(0, np.int64)], [np.zeros((0, 2))], [np.zeros((0, 2))]
    for labels, size in used:
        counts = np.bincount(labels.classes, minlength=len(names))
        instances += counts
        images_with += counts > 0
        classes.append(labels.classes)
        boxes.append(labels.boxes_xywh[:, 2:] * size)
        sizes.append(np.tile(np.array(size, float), (len(labels.classes), 1)))
    return SplitStatistics(
        split=split,
        names=names,
        images=len(used),
        images_without_objects=sum(not len(labels.classes) for labels, _ in used),
        images_without_label_file=sum(not labels.found for labels, _ in used),
        images_dropped=images - len(used),
        instances=instances,
        images_with=images_with,
        box_images=np.repeat(np.arange(len(used)), [len(labels.classes) for labels, _ in used]),
        box_classes=np.concatenate(classes),
        box_sizes=np.concatenate(boxes),
        image_sizes=np.concatenate(sizes),
        problems=problems,
    )
