"""From what a user writes after `data=` to the dataset it means: a file, a folder, `shapes`, or a bare name."""

import contextlib
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo_focal.data.shapes import SHAPE_NAMES, ensure_shapes
from yolo_focal.data.usable import refuse_unusable
from yolo_focal.data.yolo import YoloDataset, read_data_yaml, whole_number
from yolo_focal.errors import DataError, YoloFocalError, reason_of
from yolo_focal.foreign_text import first_names
from yolo_focal.paths import exists, is_file, is_folder
from yolo_focal.resources import cfg_file, cfg_names
from yolo_focal.spelling import did_you_mean
from yolo_focal.ultra import host

__all__ = [
    "BOX_TASKS",
    "UPRIGHT_BOX_TASKS",
    "check_data_exists",
    "class_count",
    "class_folder_count",
    "data_file",
    "datasets_folder",
    "explained_dataset_errors",
    "find_data_yaml",
    "learns_one_class",
    "local_yaml",
    "read_dataset",
    "refuse_unusable_data",
    "refuse_without_validation",
    "resolve_data",
]

BOX_TASKS = ("detect", "segment", "pose", "obb")
UPRIGHT_BOX_TASKS = ("detect", "segment", "pose")  # those that can be evaluated
_READERS = (
    "cache_labels",
    "check_cls_dataset",
    "check_det_dataset",
    "get_img_files",
    "get_labels",
)  # functions of ultralytics.data


def datasets_folder() -> Path:
    """Ultralytics' `datasets_dir` setting."""
    return Path(host.SETTINGS["datasets_dir"])


def find_data_yaml(data: str | Path) -> Path:
    """The data YAML meant by `data`: a file, a folder with one, `shapes` (drawn on first use), or a bare name.

    Bare names are those of this package's cfg/data and of Ultralytics' own dataset files, with or without `.yaml`.
    Nothing is downloaded.

    Raises:
        DataError: there is no such file or name, or the folder has none or several.
    """
    if str(data) == "shapes":  # before a folder of that name, as a training takes it
        return ensure_shapes(datasets_folder())
    path = Path(data)
    if is_file(path):
        return path
    if is_folder(path):
        return _yaml_in(path)
    name = str(data).removesuffix(".yaml")
    if name == "shapes":
        return ensure_shapes(datasets_folder())
    own = cfg_file("data", name)
    if own is not None:
        return own
    shipped = {file.stem: file for file in (Path(host.ROOT) / "cfg" / "datasets").glob("*.yaml")}
    if name in shipped:
        return shipped[name]
    known = ["shapes", *cfg_names("data"), *shipped]
    hint = did_you_mean(name, known, "give the path of a data YAML, or shapes")
    raise DataError(f"the data file {str(data)[:200]} does not exist; {hint}")


def read_dataset(data: str | Path) -> YoloDataset:
    """The dataset that `find_data_yaml` finds; DataError where there is none."""
    return read_data_yaml(find_data_yaml(data), datasets_folder())


def _yaml_in(folder: Path) -> Path:
    """The data YAML in a folder or below it, by Ultralytics' rule: of several the one that is called as the folder."""
    patterns = ("*.yaml", "*.yml")
    found = next((f for each in patterns if (f := sorted(folder.glob(each)) or sorted(folder.rglob(each)))), [])
    if len(found) > 1:
        found = [file for file in found if file.stem == folder.name] or found
    if len(found) != 1:
        names = first_names((file.relative_to(folder) for file in found), 5) or "none"
        raise DataError(f"the folder {folder} must have exactly one data YAML, it has {names}; name the file")
    return found[0]


def resolve_data(data: Any, draw: bool = True) -> Any:
    """The data YAML of a built-in dataset's name; anything else as it is.

    Args:
        data: as given by the user.
        draw: whether `shapes` is drawn where it is not yet; a check of arguments leaves the name as it is.
    """
    if data == "shapes":
        return str(ensure_shapes(datasets_folder())) if draw else data
    if isinstance(data, str) and not exists(Path(data)) and (found := cfg_file("data", data)) is not None:
        return str(found)
    return data


@contextlib.contextmanager
def explained_dataset_errors(
    data: Any, splits: Sequence[str] = ("train", "val"), *, task: str = "detect", single_class: bool = False
) -> Iterator[None]:
    """Errors of Ultralytics about a dataset, with the first thing that is wrong with it as the reader should know.

    Args:
        data: as given by the user.
        splits: those that are read.
        task: of the model; nothing is looked for where its datasets have no boxes.
        single_class: whether all classes are taken for one.

    Raises:
        DataError: in place of Ultralytics' error, where the dataset explains it or is where the error comes from.
    """
    try:
        yield
    except YoloFocalError:
        raise
    except Exception as error:
        _refuse_undecodable(error)
        if task in BOX_TASKS:
            refuse_unusable_data(data, splits, (), task=task, single_class=single_class)
        if not _raised_over_a_dataset(error):
            raise
        reason = reason_of(error.__cause__ or error)
        raise DataError(f"data={data} cannot be used by Ultralytics: {reason[:500]}") from error


def _refuse_undecodable(error: Exception) -> None:
    """Raise DataError where an error, perhaps of a data loader's process, is about an image that passed the checks."""
    found = re.search(r"^(?:FileNotFoundError: )?Image Not Found (.+)$", str(error), re.MULTILINE)
    if isinstance(error, FileNotFoundError) and found is not None:
        fault = "cannot be decoded, though its header can be read" if exists(Path(found[1])) else "is no longer there"
        raise DataError(f"the image {found[1]} {fault}; replace the file or take it out of the set") from error


def _raised_over_a_dataset(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, comes out of the functions that read a dataset."""
    if error is None:
        return False
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    reading = any(
        frame.f_code.co_name in _READERS and str(frame.f_globals.get("__name__")).startswith("ultralytics.data.")
        for frame in frames
    )
    return reading or _raised_over_a_dataset(error.__cause__)


def refuse_unusable_data(
    data: Any,
    splits: Sequence[str] = ("train", "val"),
    labelled: Sequence[str] = ("train",),
    *,
    task: str = "detect",
    single_class: bool = False,
) -> None:
    """Raise DataError where a split of a dataset with boxes is missing or wholly unusable, or without labels.

    Nothing is said about a dataset that Ultralytics may have to download first.

    Args:
        data: as given by the user.
        splits: those that are needed.
        labelled: those of them that need objects; a training needs a label file in any case, if an empty one.
        task: of the model.
        single_class: whether all classes are taken for one.
    """
    file = local_yaml(data)
    if file is None:
        return
    try:
        dataset = read_dataset(file)
    except DataError:
        if _read_by_ultralytics(file):
            return  # it forgives more, such as bytes that are no UTF-8
        raise
    if "download" in dataset.keys and not all(exists(path) for paths in dataset.sources.values() for path in paths):
        return
    for key in ("train", "val"):
        if key not in dataset.keys and not (key == "val" and "validation" in dataset.keys):
            needed = "without which Ultralytics does not train" if key in splits else "which Ultralytics always demands"
            raise DataError(f"{file} has no '{key}:', {needed}; add it")
    training = {"train", "val"} <= set(splits)
    for split in splits:
        if split in dataset.sources:
            reading = {"pose": task == "pose", "single_class": single_class}
            refuse_unusable(
                dataset, split, labelled=split in labelled, label_files=training and split == "train", **reading
            )
        elif split != "val" or "test" not in dataset.sources:
            raise DataError(f"{file}: '{split}:' is empty; name a folder or a list of images")


def _read_by_ultralytics(data_yaml: Path) -> bool:
    try:
        host.check_det_dataset(str(data_yaml), autodownload=False)
    except Exception:  # it has no error of its own
        return False
    return True


def local_yaml(data: Any) -> Path | None:
    """The data YAML that a training reads for `data`, if it is a file on this machine."""
    found = _data_yaml(data) if isinstance(data, str | Path) else None
    return found if found is not None and found.suffix.lower() in (".yaml", ".yml") else None


def _data_yaml(data: str | Path) -> Path | None:
    """`data_file`, or the data YAML in it where that is a folder."""
    found = data_file(data)
    return find_data_yaml(found) if found is not None and found.is_dir() else found


def check_data_exists(data: Any) -> None:
    """Raise DataError where `data` is a name or path that Ultralytics will neither find nor download."""
    if data != "shapes" and isinstance(data, str | Path) and "://" not in str(data) and data_file(data) is None:
        raise DataError(
            f"data={str(data)[:200]} does not exist; give a data YAML, the name of an Ultralytics dataset, or "
            "data=shapes"
        )


def learns_one_class(given: Mapping[str, Any], task: str, number_of_classes: int | None) -> bool:
    """Whether a training sees objects of a single class, which is neither rarer nor more frequent than anything.

    Args:
        given: the arguments of the call.
        task: of the model.
        number_of_classes: of the dataset; None where it is not known yet.
    """
    seen = given.get("classes") if task != "classify" else None  # a classifier is trained on all
    return number_of_classes == 1 or (seen is not None and len(set(np.ravel(seen).tolist())) == 1)


def class_count(data: str | Path, task: str = "detect") -> int:
    """Number of classes that a model for `task` learns on the data YAML `data`.

    Those that it declares; and, of polygons for semantic segmentation, the background, which Ultralytics adds as the
    last one unless there is a single class.

    Raises:
        DataError: there is no such file, or it is no data YAML.
    """
    if data == "shapes":
        return len(SHAPE_NAMES)
    check_data_exists(data)
    found = _data_yaml(data)
    content = host.YAML.load(found) if found is not None else {}
    content = content if isinstance(content, dict) else {}
    names, number = content.get("names"), whole_number(content.get("nc"))
    if isinstance(names, list | dict) and names:
        number = len(names)
    if not isinstance(number, int) or number < 1:
        raise DataError(f"data={data} declares no classes; a data YAML has 'names:'")
    return number + (task == "semantic" and number > 1 and not content.get("masks_dir"))


def class_folder_count(data: str | Path) -> int | None:
    """Number of classes of a classifier's dataset, one a folder in its `train`; None where it is not told so."""
    root = _class_folders(data)
    train = root / "train"
    if not is_folder(train) or is_file(root / ".ndjson.yaml"):  # which has the names
        return None
    return sum(is_folder(each) for each in train.iterdir())


def refuse_without_validation(data: Any) -> None:
    """Raise DataError where a classifier's dataset has images to train on and none to validate on."""
    if not isinstance(data, str | Path) or not is_folder(_class_folders(data) / "train"):
        return
    names = ("val", "validation", "valid", "test")
    if not any(exists(_class_folders(data) / name) for name in names):
        raise DataError(f"data={data} has a folder 'train' and no {', '.join(names)}; add one to validate on")


def _class_folders(data: str | Path) -> Path:
    """The folder of a classifier's dataset, which may be named below the datasets folder."""
    return Path(data) if is_folder(Path(data)) else datasets_folder() / data


def data_file(data: str | Path) -> Path | None:
    """The file that Ultralytics' trainers will read for `data`, which may be a bare name such as coco8.

    None for an address: what stands there is theirs to download.
    """
    if "://" in str(data):
        return None
    if exists(Path(data)):
        return Path(data)
    check_file = host.check_file
    try:
        hits = (check_file(name, hard=False) for name in (str(data), f"{data}.yaml", f"{data}.yml"))
        return next((Path(hit) for hit in hits if hit), None)
    except (OSError, ValueError):  # a name that no file can have
        return None
