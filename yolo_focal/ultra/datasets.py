"""From what a user writes after `data=` to the dataset it means: a file, a folder, `shapes`, or a bare name."""

import contextlib
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo_focal.data.shapes import ensure_shapes
from yolo_focal.data.usable import refuse_unusable
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.errors import DataError, YoloFocalError
from yolo_focal.resources import cfg_file, cfg_names
from yolo_focal.ultra import host

__all__ = [
    "check_data_exists",
    "class_count",
    "data_file",
    "datasets_folder",
    "explained_dataset_errors",
    "find_data_yaml",
    "refuse_unusable_data",
    "resolve_data",
]


def datasets_folder() -> Path:
    """Ultralytics' `datasets_dir` setting."""
    return Path(host.SETTINGS["datasets_dir"])


def find_data_yaml(data: str | Path, *, progress: bool = True) -> Path:
    """The data YAML meant by `data`: a file, a folder with one, `shapes` (drawn on first use), or a bare name.

    Bare names are those of this package's cfg/data and of Ultralytics' own dataset files, with or without `.yaml`.
    Nothing is downloaded.

    Raises:
        DataError: there is no such file or name, or the folder has none or several.
    """
    if str(data) == "shapes":  # before a folder of that name, as a training takes it
        return ensure_shapes(datasets_folder(), progress=progress)
    path = Path(data)
    if path.is_file():
        return path
    if path.is_dir():
        found = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            raise DataError(f"the folder {path} must have exactly one data YAML, it has {names}; name the file")
        return found[0]
    name = str(data).removesuffix(".yaml")
    if name == "shapes":
        return ensure_shapes(datasets_folder(), progress=progress)
    own = cfg_file("data", name)
    if own is not None:
        return own
    shipped = {file.stem: file for file in (Path(host.ROOT) / "cfg" / "datasets").glob("*.yaml")}
    if name in shipped:
        return shipped[name]
    close = difflib.get_close_matches(name, ["shapes", *cfg_names("data"), *shipped], n=1)
    hint = f"did you mean '{close[0]}'?" if close else "give the path of a data YAML, or shapes"
    raise DataError(f"the data file {data} does not exist; {hint}")


def resolve_data(data: Any) -> Any:
    """The data YAML of a built-in dataset's name; anything else as it is."""
    if data == "shapes":
        return str(ensure_shapes(datasets_folder()))
    if isinstance(data, str) and not Path(data).exists() and (found := cfg_file("data", data)) is not None:
        return str(found)
    return data


@contextlib.contextmanager
def explained_dataset_errors(data: Any, splits: Sequence[str] = ("train", "val")) -> Iterator[None]:
    """Errors of Ultralytics about a dataset, with the first thing that is wrong with it as the reader should know.

    Args:
        data: as given by the user.
        splits: those that are read.

    Raises:
        DataError: in place of Ultralytics' error, where the dataset explains it.
    """
    try:
        yield
    except (RuntimeError, OSError, SyntaxError, ValueError, AssertionError) as error:
        if isinstance(error, YoloFocalError):
            raise
        refuse_unusable_data(data, splits)
        raise


def refuse_unusable_data(
    data: Any, splits: Sequence[str] = ("train", "val"), labelled: Sequence[str] = ("train",)
) -> None:
    """Raise DataError where a split of a dataset for detection is missing or wholly unusable, or without labels.

    Args:
        data: as given by the user.
        splits: those that are needed.
        labelled: those of them that need objects.
    """
    file = Path(data) if isinstance(data, str | Path) else None
    if file is None or not file.is_file():
        return  # a folder of classes, or a name, whose dataset Ultralytics may have to download first
    dataset = read_data_yaml(file, datasets_folder())
    if "train" not in dataset.sources:
        raise DataError(f"{file} has no 'train:', which Ultralytics demands of every data YAML; add it")
    for split in splits:
        if split in dataset.sources:
            refuse_unusable(dataset, split, labelled=split in labelled)
        elif split != "val" or "test" not in dataset.sources:
            raise DataError(f"{file} has no '{split}:', without which Ultralytics does not train; add it")


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
    if found is not None and found.is_dir():
        found = find_data_yaml(found)
    content = host.YAML.load(found) if found is not None else {}
    names = content.get("names") or range(content.get("nc", 0)) if isinstance(content, dict) else ()
    if not names:
        raise DataError(f"data={data} declares no classes; a data YAML has 'names:'")
    return len(names)


def data_file(data: str | Path) -> Path | None:
    """The file that Ultralytics' trainers will read for `data`, which may be a bare name such as coco8."""
    if Path(data).exists():
        return Path(data)
    check_file = host.check_file
    hits = (check_file(name, hard=False) for name in (str(data), f"{data}.yaml", f"{data}.yml"))
    return next((Path(hit) for hit in hits if hit), None)
