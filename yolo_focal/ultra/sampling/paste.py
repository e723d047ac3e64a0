"""Pasting crops into an image and its labels: place, blend, and the boxes that say where."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from yolo_focal.ultra.sampling.crops import LEAST_SIDE, Crop

__all__ = ["LARGEST_COVER", "Pasted", "free_place", "paste_crop", "transformed"]

LARGEST_COVER = 0.2  # share of a box that a crop pasted over it may cover
SCALES = (0.7, 1.3)  # of a crop's size
_TRIES = 10


@dataclass(frozen=True)
class Pasted:
    """Where an object was pasted.

    Attributes:
        box: x1, y1, x2, y2 in pixels of the image.
        polygon: (m, 2) in pixels of the image; None for a dataset of boxes.
        area: x1, y1, x2, y2 outside of which no pixel was changed.
    """

    box: np.ndarray
    polygon: np.ndarray | None
    area: np.ndarray


def transformed(crop: Crop, scale: float, flip: bool) -> Crop | None:
    """The crop in another size, flipped left to right or not; None where its object would be below LEAST_SIDE."""
    height, width = crop.pixels.shape[:2]
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    ratio = np.array(size) / (width, height)
    box = crop.box * np.tile(ratio, 2)
    if (box[2:] - box[:2]).min() < LEAST_SIDE:
        return None
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = cv2.resize(crop.pixels, size, interpolation=interpolation)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    polygon = crop.polygon * ratio if crop.polygon is not None else None
    if flip:
        pixels = pixels[:, ::-1]
        box = np.array([size[0] - box[2], box[1], size[0] - box[0], box[3]])
        polygon = np.stack([size[0] - polygon[:, 0], polygon[:, 1]], 1) if polygon is not None else None
    return Crop(pixels, box, polygon)


def free_place(
    size: tuple[int, int],
    image_size: tuple[int, int],
    boxes: np.ndarray,
    areas: Sequence[np.ndarray],
    generator: np.random.Generator,
) -> tuple[int, int] | None:
    """Left and top of a random place where an area of `size`, with those before it, covers little of every box.

    Args:
        size: width and height of the area in pixels.
        image_size: width and height of the image in pixels.
        boxes: (n, 4) x1, y1, x2, y2 in pixels; of each, LARGEST_COVER may be covered.
        areas: those pasted before, x1, y1, x2, y2; the objects of the later boxes lie on top of the earlier areas.
        generator: makes the choice.

    Returns:
        None where the area is larger than the image, or some tries found no place.
    """
    free = [whole - part for whole, part in zip(image_size, size, strict=True)]
    if min(free) < 0:
        return None
    places = generator.integers(0, np.array(free) + 1, (_TRIES, 2))
    covered = _shared(np.concatenate([places, places + size], 1), boxes)
    first = len(boxes) - len(areas)  # box first + k was pasted with areas[k]
    for k, area in enumerate(areas):
        covered[:, : first + k] += _shared(area[None], boxes[: first + k])
    fits = (covered <= LARGEST_COVER * (boxes[:, 2:] - boxes[:, :2]).prod(1)).all(1)
    return (int(places[fits.argmax(), 0]), int(places[fits.argmax(), 1])) if fits.any() else None


def _shared(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m) pixels that each of n boxes shares with each of m."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    shared: np.ndarray = (high - low).clip(0).prod(2)
    return shared


def paste_crop(image: np.ndarray, crop: Crop, place: tuple[int, int]) -> Pasted:
    """Blend a crop into `image`, which is changed, with its left top corner at `place`; it has to fit."""
    left, top = place
    height, width = crop.pixels.shape[:2]
    weight = _opacity(crop)[..., None]
    target = image[top : top + height, left : left + width]
    target[:] = np.rint(weight * crop.pixels + (1 - weight) * target).astype(image.dtype)
    corner = np.array([left, top], float)
    return Pasted(
        box=crop.box + np.tile(corner, 2),
        polygon=crop.polygon + corner if crop.polygon is not None else None,
        area=np.array([left, top, left + width, top + height]),
    )


def _opacity(crop: Crop) -> np.ndarray:
    """(h, w) in [0, 1]: 1 on the object, falling to 0 over the margin around its box, or at its outline."""
    height, width = crop.pixels.shape[:2]
    if crop.polygon is not None:
        mask = np.zeros((height, width), np.float32)
        cv2.fillPoly(mask, [np.rint(crop.polygon).astype(np.int32)], 1.0)
        return cv2.blur(mask, (3, 3))
    x1, y1, x2, y2 = crop.box
    return np.outer(_ramp(height, y1, y2), _ramp(width, x1, x2)).astype(np.float32)


def _ramp(length: int, start: float, end: float) -> np.ndarray:
    """Rises over the pixels before `start`, is 1 up to `end`, and falls after it."""
    middle = np.arange(length) + 0.5
    rise = middle / max(start, 0.5)
    fall = (length - middle) / max(length - end, 0.5)
    ramp: np.ndarray = np.minimum(np.minimum(rise, fall), 1.0)
    return ramp
