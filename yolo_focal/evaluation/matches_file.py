"""The per-image results of a trial as a file, so that nothing is evaluated twice."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from yolo_focal.errors import DataError, reason_of
from yolo_focal.evaluation.matching import ImageMatches
from yolo_focal.files import replace_file

__all__ = ["load_matches", "save_matches"]

_FLAGS = ("matched", "ignored")
_ROWS = ("image", "category", "rank", "scores", "object_image", "object_category")


def save_matches(path: Path, matches: ImageMatches) -> None:
    """Write `matches` as a compressed .npz, whole or not at all; flags take one bit each."""
    arrays: dict[str, Any] = {name: getattr(matches, name) for name in _ROWS}
    arrays |= {name: np.packbits(getattr(matches, name), axis=1) for name in _FLAGS}
    arrays["shape"] = np.array([matches.images, matches.classes])
    with replace_file(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def load_matches(path: Path) -> ImageMatches:
    """Read what `save_matches` wrote; nothing in the file is executed.

    Raises:
        DataError: the file is missing or not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            rows = {name: arrays[name] for name in _ROWS}
            images, classes = (int(number) for number in arrays["shape"])
            count = len(rows["scores"])
            flags = {name: np.unpackbits(arrays[name], axis=1, count=count).astype(bool) for name in _FLAGS}
        _check(images, classes, rows, flags)
    except (OSError, ValueError, KeyError, EOFError, IndexError, TypeError, OverflowError, MemoryError) as error:
        raise _unreadable(path, error) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:  # flipped bits
        raise _unreadable(path, error) from error
    return ImageMatches(images=images, classes=classes, **rows, **flags)


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"cannot read the per-image results {path} ({reason_of(error)})")


def _check(images: int, classes: int, rows: dict[str, Any], flags: dict[str, Any]) -> None:
    """Raise ValueError where the arrays do not fit together, or name an image or a class that there is not."""
    for several in (("image", "category", "rank", "scores"), ("object_image", "object_category")):
        lengths = {name: rows[name].shape for name in several}
        if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
            raise ValueError(f"the lengths of its arrays differ: {lengths}")
    if len({array.shape for array in flags.values()}) > 1:
        raise ValueError("its flags have different shapes")
    limits = {"image": images, "object_image": images, "category": classes, "object_category": classes}
    for name, limit in limits.items():
        if rows[name].size and not (rows[name].min() >= 0 and rows[name].max() < limit):
            raise ValueError(f"{name} has values outside of [0, {limit})")
    if not np.isfinite(rows["scores"]).all():
        raise ValueError("its scores are not all finite")
