"""Datasets as arguments: built-in ones by name, missing ones refused, the number of classes before training starts."""

from pathlib import Path
from typing import Any

from yolo_focal.data.locate import datasets_folder
from yolo_focal.data.shapes import ensure_shapes
from yolo_focal.errors import DataError
from yolo_focal.resources import cfg_file
from yolo_focal.ultra.patching import resolve

__all__ = ["check_data_exists", "class_count", "data_file", "resolve_data"]


def resolve_data(data: Any) -> Any:
    """The data YAML of a built-in dataset's name; anything else as it is."""
    if data == "shapes":
        return str(ensure_shapes(datasets_folder()))
    if isinstance(data, str) and not Path(data).exists() and (found := cfg_file("data", data)) is not None:
        return str(found)
    return data


def check_data_exists(data: Any) -> None:
    """Raise DataError where `data` is a name or path that Ultralytics will neither find nor download."""
    if isinstance(data, str | Path) and "://" not in str(data) and data_file(data) is None:
        raise DataError(
            f"data={data} does not exist; give a data YAML, the name of an Ultralytics dataset, or data=shapes"
        )


def class_count(data: str | Path) -> int:
    """Number of classes that the data YAML `data` declares.

    Raises:
        DataError: the file is no data YAML.
    """
    found = data_file(data)
    content = resolve("ultralytics.utils:YAML").load(found) if found is not None else {}
    names = content.get("names") or range(content.get("nc", 0)) if isinstance(content, dict) else ()
    if not names:
        raise DataError(f"data={data} declares no classes; a data YAML has 'names:'")
    return len(names)


def data_file(data: str | Path) -> Path | None:
    """The file that Ultralytics' trainers will read for `data`, which may be a bare name such as coco8."""
    if Path(data).exists():
        return Path(data)
    check_file = resolve("ultralytics.utils.checks:check_file")
    hits = (check_file(name, hard=False) for name in (str(data), f"{data}.yaml", f"{data}.yml"))
    return next((Path(hit) for hit in hits if hit), None)
