"""Objects and detections of a dataset split as flat arrays: one row per box, images and classes by index."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Bools", "Category", "Detections", "Floats", "GroundTruth", "Ints"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Category:
    """One class of a dataset: the id its files use and its name."""

    id: int
    name: str


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The objects of G boxes in a dataset split.

    Boxes are kept as COCO writes them, (left, top, width, height) in pixels of the original image: turning them into
    corners and back would change the last bit, and with it an IoU that lies exactly on a threshold.

    Attributes:
        image_ids: the id of every image, ascending, those without objects included.
        image_files: the file of every image, absolute or relative to its dataset's image folder; same order.
        categories: the classes; all class indices count from 0 in this order.
        image: (G,) index into `image_ids`.
        category: (G,) index into `categories`.
        boxes_xywh: (G, 4) left, top, width, height in pixels.
        areas: (G,) square pixels: the segment's where the dataset has one, else width x height.
        crowd: (G,) regions holding many objects; a detection inside one counts neither for nor against the model.
    """

    image_ids: tuple[int, ...]
    image_files: tuple[str, ...]
    categories: tuple[Category, ...]
    image: Ints
    category: Ints
    boxes_xywh: Floats
    areas: Floats
    crowd: Bools

    @property
    def names(self) -> Sequence[str]:
        """The name of every class."""
        return [category.name for category in self.categories]


@dataclass(frozen=True, eq=False)
class Detections:
    """D scored boxes on the images of a `GroundTruth`.

    Attributes:
        image: (D,) index into the ground truth's `image_ids`.
        category: (D,) index into its `categories`.
        boxes_xywh: (D, 4) left, top, width, height in pixels of the original image.
        scores: (D,) confidence; among equal scores of an image the earlier row ranks higher.
    """

    image: Ints
    category: Ints
    boxes_xywh: Floats
    scores: Floats

    @property
    def areas(self) -> Floats:
        """(D,) width x height in square pixels."""
        return np.asarray(self.boxes_xywh[:, 2] * self.boxes_xywh[:, 3], dtype=np.float64)
