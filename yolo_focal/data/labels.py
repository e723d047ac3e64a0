"""YOLO label files: one `class x y width height` (or polygon) a line, in shares of the image, with their problems."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo_focal.errors import DataError

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


def read_labels(path: Path, classes: int) -> Labels:
    """Read one label file of a dataset with `classes` classes; a missing file is an image without objects.

    Lines that cannot be used are left out and listed in `problems`, never raised, since Ultralytics trains on without
    them; a caller who needs all of them checks `problems`.

    Raises:
        DataError: the file cannot be read at all, or is larger than any real label file.
    """
    try:
        if path.stat().st_size > MOST_LABEL_BYTES:
            raise DataError(
                f"{path} is larger than {MOST_LABEL_BYTES // 2**20} MiB; a label file has a line per object"
            )
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return Labels(np.zeros(0, np.int64), np.zeros((0, 4)), [], [], False)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the label file {path} ({error}); expected text, one object a line") from error
    rows: dict[tuple[float, ...], int] = {}
    problems: list[LabelProblem] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        problem = _problem(words, classes)
        values = tuple(float(word) for word in words) if problem is None or problem[0] in KEPT else None
        if problem is None and values in rows:
            problem = ("duplicate of another line", f"line {rows[values]}", False)
            values = None
        if problem is not None:
            problems.append(LabelProblem(problem[0], path, number, *problem[1:]))
        if values is not None:
            rows[values] = number
    if len({len(row) == 5 for row in rows}) == 2:
        problems.append(LabelProblem("boxes and polygons in one file", path, 0, "", True))
    return _labels(list(rows), problems)


KEPT = frozenset({"box without area", "box reaches outside the image"})


def _problem(words: list[str], classes: int) -> tuple[str, str, bool] | None:
    """Kind, detail and whether Ultralytics drops the image, of the first problem of a line."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        return "not numbers", " ".join(words)[:60], True
    if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
        return "wrong number of columns", f"{len(values)}, expected 5 or a class and a polygon", True
    if not all(math.isfinite(value) for value in values):
        return "not finite", " ".join(words)[:60], True
    if values[0] != int(values[0]):
        return "class is not an integer", words[0], True
    if not 0 <= values[0] < classes:
        return "class out of range", f"{int(values[0])}, expected 0 to {classes - 1}", True
    if len(values) == 5 and min(values[3:]) < 0:
        return "negative size", " ".join(words[3:]), True
    box = _box(values)
    if max(box) > 1.01 or min(box) < -0.01:
        return "coordinates not in 0 to 1", " ".join(words[1:])[:60], True
    if min(box[2:]) == 0:
        return "box without area", " ".join(words[1:])[:60], False
    if max(abs(box[0] - 0.5) + box[2] / 2, abs(box[1] - 0.5) + box[3] / 2) > 0.5 + 1e-3:
        return "box reaches outside the image", " ".join(words[1:])[:60], False
    return None


def _box(values: tuple[float, ...] | list[float]) -> tuple[float, float, float, float]:
    """Centre and size of a line's box, or of the box around its polygon."""
    if len(values) == 5:
        return values[1], values[2], values[3], values[4]
    left, right = min(values[1::2]), max(values[1::2])
    top, bottom = min(values[2::2]), max(values[2::2])
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _labels(rows: list[tuple[float, ...]], problems: list[LabelProblem]) -> Labels:
    return Labels(
        classes=np.array([int(row[0]) for row in rows], np.int64),
        boxes_xywh=np.array([_box(row) for row in rows], np.float64).reshape(-1, 4),
        polygons=[None if len(row) == 5 else np.array(row[1:]).reshape(-1, 2) for row in rows],
        problems=problems,
        found=True,
    )
