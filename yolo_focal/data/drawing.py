"""One image of the set `shapes`: objects that partly hide each other, on cluttered ground."""

import math
from typing import NamedTuple

import cv2
import numpy as np

__all__ = ["DrawnImage", "IMAGE_SIZE", "SHAPE_NAMES", "draw_image"]

SHAPE_NAMES = ("disc", "square", "triangle", "cross", "ring", "diamond", "star", "hexagon", "crescent", "arrow")
IMAGE_SIZE = 128  # pixels, width and height
RADIUS_RANGE = (7.0, 24.0)  # pixels, log-uniform: half of the objects are below 26 px across
HUE_SPREAD = 6.0  # standard deviation around the hue of the class, where 180 is the circle: colour alone does not tell
LEAST_VISIBLE = 0.4  # share of an object's pixels that later objects must leave uncovered


class DrawnImage(NamedTuple):
    """A drawn image and, for each object, the box of its visible pixels and their number.

    Attributes:
        pixels: (IMAGE_SIZE, IMAGE_SIZE, 3) uint8, BGR.
        boxes_xywh: left, top, width, height in pixels.
        visible_areas: pixels.
    """

    pixels: np.ndarray
    boxes_xywh: list[tuple[int, int, int, int]]
    visible_areas: list[int]


def draw_image(classes: list[int], random: np.random.Generator) -> DrawnImage:
    """An image with one object per entry of `classes` (indices into SHAPE_NAMES); later objects hide earlier ones."""
    image = _background(random)
    owner = np.full((IMAGE_SIZE, IMAGE_SIZE), -1, np.int16)  # which object each pixel shows
    full_areas: list[int] = []
    for number, kind in enumerate(classes):
        mask = _place(kind, owner, full_areas, random)
        visible = mask > 127
        owner[visible] = number
        full_areas.append(int(visible.sum()))
        _paint(image, mask, kind, random)
    noise = random.uniform(2, 9) * random.standard_normal(image.shape, np.float32)
    boxes, areas = [], []
    for number in range(len(classes)):
        visible = (owner == number).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(visible)
        boxes.append((int(x), int(y), int(width), int(height)))
        areas.append(int(visible.sum()))
    return DrawnImage(np.clip(image + noise, 0, 255).astype(np.uint8), boxes, areas)


def _place(kind: int, owner: np.ndarray, full_areas: list[int], random: np.random.Generator) -> np.ndarray:
    """The anti-aliased mask of an object that leaves enough of every earlier object visible."""
    smallest, largest = RADIUS_RANGE
    while True:
        radius = math.exp(random.uniform(math.log(smallest), math.log(largest)))
        centre = random.uniform(radius, IMAGE_SIZE - radius, 2)
        mask = _shape_mask(kind, centre, radius, random.uniform(-0.5, 0.5), random.uniform(0.8, 1.25))
        left = owner[mask <= 127]
        counts = np.bincount(left[left >= 0], minlength=len(full_areas))
        if all(count >= LEAST_VISIBLE * area for count, area in zip(counts, full_areas, strict=True)):
            return mask
        largest = max(smallest, 0.95 * largest)  # a crowded image gets smaller objects, so that the search ends


def _shape_mask(kind: int, centre: np.ndarray, radius: float, angle: float, aspect: float) -> np.ndarray:
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    stretch = np.array([math.sqrt(aspect), 1 / math.sqrt(aspect)])
    mask = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    contours = [(outline * stretch @ rotation.T) * radius + centre for outline in _outlines(SHAPE_NAMES[kind])]
    fixed_point = [np.round(contour * 16).astype(np.int32) for contour in contours]
    cv2.fillPoly(mask, fixed_point, 255, cv2.LINE_AA, shift=4)  # even-odd: the second contour of a ring is its hole
    return mask


def _regular(corners: int, radius: float = 1.0, start: float = -math.pi / 2) -> np.ndarray:
    angles = start + 2 * math.pi * np.arange(corners) / corners
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def _outlines(name: str) -> list[np.ndarray]:
    """Closed contours of a shape of radius 1 around the origin, (corners, 2)."""
    if name == "star":
        star = np.empty((10, 2))
        star[::2], star[1::2] = _regular(5), _regular(5, 0.42, -math.pi / 2 + math.pi / 5)
        return [star]
    if name == "crescent":
        angles = np.linspace(0.6, 2 * math.pi - 0.6, 40)
        outer = np.stack([np.cos(angles), np.sin(angles)], 1)
        inner = np.stack([np.cos(angles) * 0.8 + 0.3, np.sin(angles)], 1)[::-1]
        return [np.concatenate([outer, inner])]
    half, arm = 0.32, 0.95
    return {
        "disc": [_regular(40)],
        "square": [_regular(4, 1.1, math.pi / 4)],
        "triangle": [_regular(3, 1.1)],
        "cross": [
            np.array(
                [
                    (-half, -arm), (half, -arm), (half, -half), (arm, -half), (arm, half), (half, half),
                    (half, arm), (-half, arm), (-half, half), (-arm, half), (-arm, -half), (-half, -half),
                ]
            )
        ],
        "ring": [_regular(40), _regular(40, 0.58)],
        "diamond": [_regular(4) * np.array([0.62, 1.1])],
        "hexagon": [_regular(6)],
        "arrow": [np.array([(0, -1), (0.75, 0.05), (0.28, 0.05), (0.28, 1), (-0.28, 1), (-0.28, 0.05), (-0.75, 0.05)])],
    }[name]  # fmt: skip


def _paint(image: np.ndarray, mask: np.ndarray, kind: int, random: np.random.Generator) -> None:
    """Blend one object into `image`, in place, in a colour and shading of its own around the hue of its class."""
    hue = (180 * kind / len(SHAPE_NAMES) + HUE_SPREAD * random.standard_normal()) % 180
    hsv = np.array([[[hue, random.uniform(120, 255), random.uniform(110, 255)]]]).astype(np.uint8)
    colour = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)
    direction = random.uniform(-1, 1, 2)
    left, top, width, height = cv2.boundingRect(mask)
    window = slice(top, top + height), slice(left, left + width)
    rows, columns = np.mgrid[window] / IMAGE_SIZE
    shading = 1 + 0.35 * (direction[0] * rows + direction[1] * columns)
    opacity = random.uniform(0.7, 1.0) * (mask[window] / 255.0)[..., None]
    image[window] += opacity * (colour * shading[..., None] - image[window])


def _dull_colour(random: np.random.Generator) -> tuple[int, ...]:
    """A colour of little saturation, for what is not an object."""
    return tuple(int(value) for value in random.uniform(50, 205) + random.uniform(-25, 25, 3))


def _background(random: np.random.Generator) -> np.ndarray:
    """Soft blotches, strokes, specks and irregular patches: (IMAGE_SIZE, IMAGE_SIZE, 3) float32, BGR."""
    cells = int(random.integers(2, 12))
    blotches = random.uniform(70, 185) + random.uniform(-30, 30, (cells, cells, 3))
    canvas = cv2.resize(blotches, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_CUBIC)
    canvas = np.clip(canvas, 0, 255).astype(np.uint8)
    for _ in range(int(random.integers(2, 8))):
        colour = _dull_colour(random)
        points = random.integers(0, IMAGE_SIZE, (int(random.integers(2, 5)), 2)).astype(np.int32)
        cv2.polylines(canvas, [points], False, colour, int(random.integers(1, 3)), cv2.LINE_AA)
    for _ in range(int(random.integers(1, 6))):
        colour = _dull_colour(random)
        angles = np.sort(random.uniform(0, 2 * math.pi, int(random.integers(4, 8))))
        reach = random.uniform(0.2, 1.0, len(angles)) * random.uniform(4, 16)
        patch = np.stack([np.cos(angles), np.sin(angles)], 1) * reach[:, None] + random.uniform(0, IMAGE_SIZE, 2)
        cv2.fillPoly(canvas, [np.round(patch * 16).astype(np.int32)], colour, cv2.LINE_AA, shift=4)
    return cv2.GaussianBlur(canvas, (0, 0), random.uniform(0.3, 1.0)).astype(np.float32)
