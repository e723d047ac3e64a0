"""The objects that may be pasted: which boxes are good crops, and their pixels, cut once and kept within a budget."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

__all__ = ["Crop", "CropBank", "Crops", "LEAST_SIDE", "find_crops"]

LEAST_SIDE = 5.0  # pixels at network size of a pasted object's shorter side; a smaller one has no shape left
MARGIN = 0.08  # of the box's size, on each side: some surroundings, over which the edge fades
_GOOD_SIDE = 8.0  # shorter side of a crop that may still be shrunk to 0.7
_MOST_OVERLAP = 0.2  # share of a good crop's box that other boxes may lie in
_BORDER = 1.0  # pixels from the border of its image at which an object is taken for cut off
_BUDGET = 64 * 2**20  # bytes of pixels that a worker keeps


@dataclass(frozen=True)
class Crops:
    """The boxes that may be pasted, all arrays of one length.

    Attributes:
        image: index of the image each is in.
        box: (n, 4) x, y, w, h in [0, 1].
        number: of the box within the labels of its image.
        category: its class.
    """

    image: np.ndarray
    box: np.ndarray
    number: np.ndarray
    category: np.ndarray

    def __len__(self) -> int:
        """Number of crops."""
        return len(self.image)


@dataclass(frozen=True)
class Crop:
    """The pixels of one object with a margin.

    Attributes:
        pixels: (h, w, channels) as in the dataset's images.
        box: x1, y1, x2, y2 of the object in pixels of the crop.
        polygon: (m, 2) its outline in pixels of the crop; None for a dataset of boxes.
    """

    pixels: np.ndarray
    box: np.ndarray
    polygon: np.ndarray | None


def find_crops(labels: Sequence[dict[str, Any]], wanted: np.ndarray, imgsz: int) -> Crops:
    """The boxes of the `wanted` classes that make good crops; where a class has no good one, any that is large enough.

    Good is: not cut off by the border of the image, its shorter side at least 8 pixels at network size, at most a fifth
    of it inside other boxes (whose objects would be pasted along, without a label).

    Args:
        labels: of an Ultralytics dataset: `shape` (height, width), `cls` (n, 1), `bboxes` (n, 4) x, y, w, h in [0, 1].
        wanted: (classes,) whether crops of the class are wanted.
        imgsz: longer side of an image at network size.
    """
    found: list[tuple[int, int, int, bool]] = []
    boxes = []
    for image, label in enumerate(labels):
        categories = label["cls"].reshape(-1).astype(int)
        if not wanted[categories].any():
            continue
        size = np.array(label["shape"][::-1], float)
        pixels = label["bboxes"] * np.tile(size * (imgsz / size.max()), 2)
        corners = np.concatenate([pixels[:, :2] - pixels[:, 2:] / 2, pixels[:, :2] + pixels[:, 2:] / 2], 1)
        end = size * (imgsz / size.max()) - _BORDER
        whole = (corners[:, :2] >= _BORDER).all(1) & (corners[:, 2:] <= end).all(1)
        shorter = pixels[:, 2:].min(1)
        for number in np.flatnonzero(wanted[categories] & (shorter >= LEAST_SIDE)):
            good = whole[number] and shorter[number] >= _GOOD_SIDE and _overlap(corners, int(number)) <= _MOST_OVERLAP
            found.append((image, int(number), int(categories[number]), bool(good)))
            boxes.append(label["bboxes"][number])
    table = np.array(found, int).reshape(-1, 4)
    good = table[:, 3] > 0
    without = ~np.isin(table[:, 2], table[good, 2])  # of classes that have no good crop at all
    keep = good | without
    stacked = np.array(boxes, np.float32).reshape(-1, 4)
    return Crops(table[keep, 0], stacked[keep], table[keep, 1], table[keep, 2])


def _overlap(corners: np.ndarray, number: int) -> float:
    """Greatest share of box `number` that lies in one of the others."""
    x1, y1, x2, y2 = corners[number]
    others = np.delete(corners, number, 0)
    if not len(others):
        return 0.0
    width = np.minimum(x2, others[:, 2]) - np.maximum(x1, others[:, 0])
    height = np.minimum(y2, others[:, 3]) - np.maximum(y1, others[:, 1])
    return float((width.clip(0) * height.clip(0)).max() / ((x2 - x1) * (y2 - y1)))


class CropBank:
    """Crops with their pixels, from the dataset's own images and its cache; those not used for long are dropped."""

    def __init__(self, crops: Crops):
        self.crops = crops
        self._kept: OrderedDict[int, Crop] = OrderedDict()
        self._bytes = 0

    def get(self, dataset: Any, index: int) -> Crop:
        """Crop number `index`.

        Args:
            dataset: the one that the crops were found in.
            index: in [0, len(crops)).
        """
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        crop = self._cut(dataset, index)
        self._kept[index] = crop
        self._bytes += crop.pixels.nbytes
        while self._bytes > _BUDGET and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].pixels.nbytes
        return crop

    def _cut(self, dataset: Any, index: int) -> Crop:
        image = int(self.crops.image[index])
        pixels = _load(dataset, image)
        height, width = pixels.shape[:2]
        x, y, w, h = self.crops.box[index] * (width, height, width, height)
        box = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        margin = np.array([w, h]) * MARGIN + 1  # at least a pixel to fade over
        left, top = np.floor(box[:2] - margin).clip(0).astype(int)
        right, bottom = np.ceil(box[2:] + margin).clip(0, (width, height)).astype(int)
        corner = np.array([left, top], float)
        segments = dataset.labels[image]["segments"]
        polygon = segments[self.crops.number[index]] * (width, height) - corner if len(segments) else None
        return Crop(pixels[top:bottom, left:right].copy(), box - np.tile(corner, 2), polygon)


def _load(dataset: Any, image: int) -> np.ndarray:
    """The image at network size, from the cache if it is there.

    With augmentation on, Ultralytics puts a loaded image among those its mosaics choose from; this one must not be.
    """
    augment, dataset.augment = dataset.augment, False
    try:
        pixels: np.ndarray = dataset.load_image(image)[0]
    finally:
        dataset.augment = augment
    return pixels if pixels.ndim == 3 else cv2.merge([pixels])
