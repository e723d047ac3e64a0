"""The per-image results of a trial as a file, so that nothing is evaluated twice."""

from pathlib import Path
from typing import Any

import numpy as np

from yolo_focal.errors import DataError
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
    except (OSError, ValueError, KeyError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"cannot read the per-image results {path} ({reason}); remove its line from trials.jsonl"
        ) from error
    return ImageMatches(images=images, classes=classes, **rows, **flags)
