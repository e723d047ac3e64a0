"""YOLO label files: a class with a box, a box and keypoints, or a polygon a line, in shares of the image."""

import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo_focal.errors import DataError
from yolo_focal.paths import is_file

__all__ = ["LabelProblem", "Labels", "read_labels"]

MOST_LABEL_BYTES = 64 * 2**20  # about a million boxes in one image


class LabelProblem(NamedTuple):
    """Something wrong with an image or its labels.

    Attributes:
        kind: a short fixed phrase, the same for all problems of a sort.
        file: the image or label file.
        line: line of the label file from 1, 0 for the file as a whole.
        detail: the offending value.
        drops_image: Ultralytics leaves the whole image out of training because of it.
    """

    kind: str
    file: Path
    line: int
    detail: str
    drops_image: bool

    def __str__(self) -> str:
        """`file:line: kind (detail)`."""
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{place}: {self.kind} ({self.detail})" if self.detail else f"{place}: {self.kind}"


class Labels(NamedTuple):
    """The usable labels of one image.

    Attributes:
        classes: (n,) int64.
        boxes_xywh: (n, 4) float64, centre and size in shares of the image, as written; duplicates removed.
        polygons: for each box its polygon, (corners, 2) in shares of the image, or None where the line was a box.
        problems: lines left out, and lines kept that deserve a look.
        found: whether the file exists.
    """

    classes: np.ndarray
    boxes_xywh: np.ndarray
    polygons: list[np.ndarray | None]
    problems: list[LabelProblem]
    found: bool

    def in_pixels(self, width: float, height: float) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (n, 4) as left, top, width, height, not clipped; areas (n,), of the polygon where there is one."""
        scale = np.array([width, height], dtype=np.float64)
        centres, sides = np.split(self.boxes_xywh, 2, axis=1)
        boxes = np.c_[centres - sides / 2, sides] * np.tile(scale, 2)
        areas = boxes[:, 2] * boxes[:, 3]
        for row, polygon in enumerate(self.polygons):
            if polygon is not None and len(polygon) > 2:
                areas[row] = _area(polygon * scale)
        return boxes, areas


def read_labels(
    path: Path, classes: int | None, kpt_shape: tuple[int, int] | None = None, *, pose: bool = False
) -> Labels:
    """Read one label file as Ultralytics does; a missing file is an image without objects.

    Lines that cannot be used are left out and listed in `problems`, never raised, since Ultralytics trains on without
    them; a caller who needs all of them checks `problems`. The four corners of an oriented box are a polygon.

    Args:
        path: the label file.
        classes: number of classes of the dataset; None where every class number will do.
        kpt_shape: number of keypoints and numbers of each (2 or 3), of a dataset that has keypoints. A line with as
            many columns is a box followed by its keypoints, never a polygon.
        pose: read as for a pose model, which needs keypoints in every line and drops the image where one lies outside;
            models of other tasks take the box and do not look at the keypoints.

    Raises:
        DataError: the file is larger than any real label file.
    """
    try:
        lines = _lines(path)
    except (OSError, UnicodeDecodeError) as error:
        kind = "not UTF-8 text" if isinstance(error, UnicodeError) else "unreadable label file"
        return _nothing(found=True, problems=[LabelProblem(kind, path, 0, "", True)])
    if lines is None:
        return _nothing(found=False)
    expected = _expected(lines, kpt_shape, pose)
    rows: dict[tuple[float, ...] | bytes, tuple[int, list[float]]] = {}
    problems: list[LabelProblem] = []
    for number, words in lines:
        problem = _problem(words, classes, expected)
        if problem is None or problem[0] in KEPT:
            values = [float(word) for word in words]
            key = _identity(values, expected)
            if key not in rows:
                rows[key] = number, values
            else:
                problem = problem or ("duplicate of another line", f"line {rows[key][0]}", False)
        if problem is not None:
            problems.append(LabelProblem(problem[0], path, number, *problem[1:]))
    if expected.polygons and any(len(words) == 5 for _, words in lines):
        problems.append(LabelProblem("boxes and polygons in one file", path, 0, "", True))
    return _labels([values for _, values in rows.values()], expected, problems)


def _nothing(*, found: bool, problems: list[LabelProblem] | None = None) -> Labels:
    return Labels(np.zeros(0, np.int64), np.zeros((0, 4)), [], problems or [], found)


_LARGEST_CLASS = 2**62  # what an array holds; without a number of classes any may be written
KEPT = frozenset({"box without area", "box reaches outside the image"})


class _Expected(NamedTuple):
    """What the lines of a file are: its columns after the box and what they are, or polygons."""

    keypoints: int  # numbers that follow the box
    dimensions: int  # of them, as many belong to one keypoint
    polygons: bool
    columns: str  # the expectation in words


def _lines(path: Path) -> list[tuple[int, list[str]]] | None:
    """The words of every line that has any, with its number; None if there is no file."""
    if not is_file(path):
        return None
    if path.stat().st_size > MOST_LABEL_BYTES:
        raise DataError(f"{path} is larger than {MOST_LABEL_BYTES // 2**20} MiB; a label file has a line per object")
    text = path.read_text(encoding="utf-8-sig")
    return [(number, words) for number, line in enumerate(text.splitlines(), 1) if (words := line.split())]


def _expected(lines: list[tuple[int, list[str]]], kpt_shape: tuple[int, int] | None, pose: bool) -> _Expected:
    """What kind of lines a file has; keypoints that only a pose model reads are cut off `lines`."""
    columns = "5 or a class and a polygon"
    if kpt_shape is not None:
        keypoints = kpt_shape[0] * kpt_shape[1]
        with_keypoints = f"{5 + keypoints} by kpt_shape [{kpt_shape[0]}, {kpt_shape[1]}]"
        if pose:
            return _Expected(keypoints, kpt_shape[1], False, with_keypoints)
        columns = f"5, {with_keypoints}, or a class and a polygon"
        for _, words in lines:
            if len(words) == 5 + keypoints:
                del words[5:]
    return _Expected(0, 0, any(len(words) > 6 for _, words in lines), columns)


def _problem(words: list[str], classes: int | None, expected: _Expected) -> tuple[str, str, bool] | None:
    """Kind, detail and whether Ultralytics drops the image, of the first problem of a line."""
    try:
        written = [float(word) for word in words]
    except ValueError:
        return "not numbers", " ".join(words)[:60], True
    if len(written) != 5 + expected.keypoints and not (expected.polygons and len(written) >= 3 and len(written) % 2):
        return "wrong number of columns", f"{len(written)}, expected {expected.columns}", True
    if not all(math.isfinite(value) for value in written):
        return "not finite", " ".join(words)[:60], True
    values = _single(written)
    if not values[0].is_integer():
        return "class is not an integer", words[0], True
    if values[0] < 0 or (classes is not None and values[0] >= classes):
        expected_classes = "0 or more" if classes is None else f"0 to {classes - 1}"
        return "class out of range", f"{words[0][:20]}, expected {expected_classes}", True
    box = _single(_box(values, expected))
    if min(box[2:]) < 0:
        return "negative size", " ".join(words[3:5]), True
    points = [
        value for position, value in enumerate(values[5 : 5 + expected.keypoints]) if position % expected.dimensions < 2
    ] or box
    if max(points) > 1.01 or min(*box, *values[5 : 5 + expected.keypoints]) < -0.01:
        return "coordinates not in 0 to 1", " ".join(words[1:])[:60], True
    if min(box[2:]) == 0:
        return "box without area", " ".join(words[1:])[:60], False
    if max(abs(box[0] - 0.5) + box[2] / 2, abs(box[1] - 0.5) + box[3] / 2) > 0.5 + 1e-3:
        return "box reaches outside the image", " ".join(words[1:])[:60], False
    return None


def _single(values: Sequence[float]) -> list[float]:
    """The values as Ultralytics holds them, in single precision."""
    return array("f", values).tolist()


def _identity(values: list[float], expected: _Expected) -> tuple[float, ...] | bytes:
    """Equal where Ultralytics takes two lines for the same object: boxes by value, polygons bit by bit."""
    return array("f", values).tobytes() if expected.polygons else tuple(_single(values))


def _box(values: list[float], expected: _Expected) -> tuple[float, float, float, float]:
    """Centre and size of a line's box, or of the box around its polygon."""
    if len(values) == 5 + expected.keypoints:
        return values[1], values[2], values[3], values[4]
    left, right = min(values[1::2]), max(values[1::2])
    top, bottom = min(values[2::2]), max(values[2::2])
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _labels(rows: list[list[float]], expected: _Expected, problems: list[LabelProblem]) -> Labels:
    return Labels(
        classes=np.array([min(round(row[0]), _LARGEST_CLASS) for row in rows], np.int64),
        boxes_xywh=np.array([_box(row, expected) for row in rows], np.float64).reshape(-1, 4),
        polygons=[np.array(row[1:]).reshape(-1, 2) if expected.polygons and len(row) != 5 else None for row in rows],
        problems=problems,
        found=True,
    )


def _area(corners: np.ndarray) -> float:
    """What (n, 2) corners enclose, by the shoelace formula."""
    following = np.roll(corners, -1, axis=0)
    return float(abs((corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]).sum()) / 2)
