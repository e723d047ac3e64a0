"""The layout of the datasets this package writes: images/, labels/, annotations/ by split, and data.yaml."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from yolo_focal.errors import DataError
from yolo_focal.files import write_text
from yolo_focal.foreign_text import printable

__all__ = ["WrittenCheck", "refuse_clashes", "unchecked", "write_data_yaml", "write_labels"]

WrittenCheck = Callable[[Path], list[str]]
"""Reads a dataset that was just written, given its data YAML, as a training would: a sentence about each split of which
something would be left out. It raises DataError where nothing is left to train on, and the set is not written then."""


def unchecked(data_yaml: Path) -> list[str]:
    """No check."""
    return []


def write_labels(
    path: Path, objects: Iterable[tuple[int, tuple[float, float, float, float]]], width: int, height: int
) -> None:
    """Write a label file from (class index, (left, top, right, bottom) in pixels); nothing where there is no object.

    Raises:
        DataError: `path` is there, or its folder cannot be made; nothing is written through a link.
    """
    rows = []
    for index, (left, top, right, bottom) in objects:
        shares = (
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        )
        rows.append(f"{index} " + " ".join(f"{share:.7f}" for share in shares))
    if rows:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write("\n".join(rows) + "\n")
        except (FileExistsError, NotADirectoryError) as error:
            raise DataError(
                f"cannot write the labels {path} ({error.strerror}); rename the image they are of"
            ) from error


def write_data_yaml(path: Path, purpose: Sequence[str], splits: Mapping[str, str], names: Sequence[str]) -> None:
    """Write a data YAML without `path:`, so that Ultralytics takes its folder as the root.

    Args:
        path: the file to write.
        purpose: comment lines that open it: what the set is and the command that uses it.
        splits: split -> folder relative to the YAML.
        names: class names by index.
    """
    lines = [*purpose, "No `path:` key: the folder of this file is the root."]
    comments = ["# " + printable(" ".join(line.split())) for line in lines]  # a class name may hold a line break
    body = yaml.safe_dump(
        {**splits, "names": dict(enumerate(names))}, sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    write_text(path, "\n".join(comments) + "\n" + body)


def refuse_clashes(file_names: Iterable[str], source: Path) -> None:
    """Raise where two images would share one label file, which is named after the image without its suffix."""
    seen: dict[Path, str] = {}
    for name in file_names:
        stem = Path(name).with_suffix("")
        if stem in seen:
            raise DataError(f"{source}: images {seen[stem]} and {name} would share one label file; rename one of them")
        seen[stem] = name
