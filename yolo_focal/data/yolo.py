"""YOLO-format datasets: the data YAML, the image lists of its splits, and the label files, by Ultralytics' own rules.

Nothing is executed or downloaded: a `download:` entry is never run, and YAML tags are refused.
"""

import glob
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from yolo_focal.data.images import IMAGE_SUFFIXES
from yolo_focal.data.labels import Labels, read_labels
from yolo_focal.errors import DataError, reason_of
from yolo_focal.paths import exists, is_file, is_folder
from yolo_focal.plain_yaml import load_yaml

__all__ = ["SPLITS", "YoloDataset", "label_file", "read_data_yaml", "whole_number"]

SPLITS = ("train", "val", "test")
_BESIDE_IMAGES = frozenset([".cache", ".csv", ".json", ".md", ".npy", ".txt", ".xml", ".yaml", ".yml"])
MOST_YAML_BYTES = 16 * 2**20  # the largest published data YAML (ImageNet-21k's names) is below 1 MiB


@dataclass(frozen=True)
class YoloDataset:
    """A data YAML, read and resolved.

    Attributes:
        yaml_file: the file it was read from.
        names: class names; the index is the class number in the label files.
        sources: for each split of the YAML, its folders and list files as absolute paths.
        kpt_shape: number of keypoints of an object and numbers of each (2 or 3); None if the set has none.
        keys: what the YAML has, empty entries among them.
    """

    yaml_file: Path
    names: tuple[str, ...]
    sources: dict[str, tuple[Path, ...]]
    kpt_shape: tuple[int, int] | None = None
    keys: frozenset[str] = frozenset()

    def image_files(self, split: str) -> list[Path]:
        """Images of `split`, sorted: everything below a folder, or the lines of a text file.

        Raises:
            DataError: the YAML has no such split, a source does not exist, or there is no image at all.
        """
        if split not in self.sources:
            present = ", ".join(self.sources)
            raise DataError(f"{self.yaml_file} has no split '{split}'; it has {present or 'none'}")
        files: list[str] = []
        for source in self.sources[split]:
            if is_folder(source):
                files += glob.glob(f"{glob.escape(str(source))}/**/*.*", recursive=True)  # noqa: PTH207 (skips hidden files)
            elif is_file(source):
                files += _listed_files(source)
            else:
                raise DataError(f"{self.yaml_file}: {split} names {source}, which does not exist; correct the path")
        images = [Path(file) for file in sorted(files) if _is_image(file)]
        if not images:
            where = ", ".join(str(source) for source in self.sources[split])
            raise DataError(f"{self.yaml_file}: no images for {split} in {where}; expected jpg, png, ... files there")
        return images

    def passed_over(self, split: str) -> list[str]:
        """A line for everything in the folders and lists of `split` that is no image to Ultralytics.

        That are files of other suffixes and hidden ones, unless they are of the kinds that stand beside images; and
        label files of which there is no image.
        """
        lines: list[str] = []
        images = {label_file(image).absolute() for image in self.image_files(split)}
        for source in self.sources[split]:
            if not is_folder(source):
                lines += [f"{source}: '{line}' is no image" for line in _listed_files(source) if not _is_image(line)]
                continue
            for file in sorted(source.rglob("*")):
                if not file.is_file() or file.suffix.lower() in _BESIDE_IMAGES:
                    continue
                if any(part.startswith(".") for part in file.relative_to(source).parts):
                    lines.append(f"{file}: hidden by its name")
                elif not _is_image(str(file)):
                    lines.append(f"{file}: no image that Ultralytics reads")
            labels = label_file(source / "any.png").parent
            if labels != source and is_folder(labels):
                lines += [
                    f"{file}: no image of this name"
                    for file in sorted(labels.rglob("*.txt"))
                    if file.absolute() not in images
                ]
        return lines

    def labels(self, image: Path, *, pose: bool = False, single_class: bool = False) -> Labels:
        """The labels of an image, with `pose` as for a pose model; see `read_labels`.

        With `single_class`, as for a training with `single_cls`, no class number is out of range.

        Raises:
            DataError: the label file is larger than any real one.
        """
        classes = None if single_class else len(self.names)
        return read_labels(label_file(image), classes, self.kpt_shape, pose=pose)


def read_data_yaml(path: Path, datasets_dir: Path | None = None) -> YoloDataset:
    """Read a data YAML without running anything in it.

    The root of relative paths is `path:` of the YAML, else the YAML's own folder; a relative root that does not exist
    from the working directory is looked up below `datasets_dir`, as Ultralytics does with its setting of that name.

    Raises:
        DataError: the file is missing, not a plain YAML mapping, or lacks usable `names` and at least one split, or
            its `kpt_shape` or `channels` is none.
    """
    content = _load_mapping(path)
    if "validation" in content:
        content.setdefault("val", content["validation"])
    names = _class_names(path, content)
    given_root = content.get("path")
    if given_root is not None and (not isinstance(given_root, str) or "\0" in given_root):
        raise DataError(f"{path}: path must be a folder name, got {_brief(given_root)}")
    root = Path(given_root) if given_root else path.parent
    if not root.is_absolute() and not exists(root) and datasets_dir is not None:
        root = datasets_dir / root
    sources = {split: _sources(path, root, split, content[split]) for split in SPLITS if content.get(split)}
    if not sources:
        raise DataError(f"{path} names no images; it needs train: and val: (folders or list files)")
    _check_channels(path, content)
    return YoloDataset(path, names, sources, _kpt_shape(path, content), frozenset(map(str, content)))


def label_file(image: Path) -> Path:
    """The label file of an image: the last folder `images` of its path becomes `labels`, the suffix .txt."""
    parts = list(image.parts)
    for position in range(len(parts) - 2, 0, -1):
        if parts[position] == "images":
            parts[position] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _is_image(file: str) -> bool:
    """Whether Ultralytics takes a file for an image, which it tells from what follows the last dot."""
    return f".{file.rpartition('.')[2].lower()}" in IMAGE_SUFFIXES


def _listed_files(source: Path) -> list[str]:
    """Lines of a list file; those that begin with `./` are relative to the file."""
    try:
        lines = source.read_text(encoding="utf-8-sig").strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the image list {source} ({error}); it must be text, one path a line") from error
    return [str(source.parent / line[2:]) if line.startswith("./") else line for line in lines]


def _load_mapping(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_YAML_BYTES:
            raise DataError(f"{path} is larger than {MOST_YAML_BYTES // 2**20} MiB; a data YAML is a short text")
        content = load_yaml(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"the data file {path} does not exist; give the path of a data YAML") from None
    except OSError as error:
        raise DataError(f"cannot read the data file {path} ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a plain YAML file: {reason_of(error)}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must map train:, val: and names:, got {type(content).__name__}")
    return content


def _brief(value: Any) -> str:
    """A bounded `repr`: YAML aliases can make a short file expand without end."""
    shortener = reprlib.Repr()
    shortener.maxlevel = 2
    return shortener.repr(value)


def _class_names(path: Path, content: dict[str, Any]) -> tuple[str, ...]:
    names, number = content.get("names"), whole_number(content.get("nc"))
    if names is None:
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= 100_000:
            raise DataError(
                f"{path} needs names: (a list, or index: name) or an nc: from 1 to 100000, got nc {_brief(number)}"
            )
        return tuple(f"class_{index}" for index in range(number))
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DataError(f"{path}: names must be a list or a mapping from index to name, got {_brief(names)}")
    if not all(isinstance(name, str | int | float) for name in names.values()):
        raise DataError(f"{path}: every class name must be a text, got {_brief(names)}")
    try:
        indexed = {int(index): str(name) for index, name in names.items()}
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{path}: the keys of names must be class indices, got {_brief(list(names))}") from None
    if sorted(indexed) != list(range(len(names))):
        raise DataError(f"{path}: names must have the indices 0 to {len(names) - 1}, got {_brief(sorted(indexed))}")
    if number is not None and number != len(indexed):
        raise DataError(
            f"{path}: nc is {_brief(content['nc'])}, but names has {len(indexed)} classes; correct one of them"
        )
    return tuple(indexed[index] for index in range(len(indexed)))


def whole_number(value: Any) -> Any:
    """The value of `nc:` as Ultralytics reads it: '10' and 10.0 are 10; what is no whole number stays as it is."""
    try:
        number = value if isinstance(value, bool) else int(float(value))
        return number if number == float(value) else value
    except (TypeError, ValueError, OverflowError):
        return value


def _kpt_shape(path: Path, content: dict[str, Any]) -> tuple[int, int] | None:
    shape = content.get("kpt_shape", [0, 0])
    numbers = isinstance(shape, list) and len(shape) == 2 and all(type(number) is int for number in shape)
    if not numbers or not 0 <= shape[0] <= 100_000 or (shape[0] and shape[1] not in (2, 3)):
        raise DataError(
            f"{path}: kpt_shape must be [number of keypoints, 2 or 3 numbers of each], such as [17, 3], "
            f"got {_brief(shape)}"
        )
    return (shape[0], shape[1]) if shape[0] else None


def _check_channels(path: Path, content: dict[str, Any]) -> None:
    channels = content.get("channels", 3)
    if type(channels) is not int or channels < 1:
        raise DataError(
            f"{path}: channels must be a whole number of at least 1, without quotes, got {_brief(channels)}"
        )


def _sources(path: Path, root: Path, split: str, value: Any) -> tuple[Path, ...]:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) and "\0" not in entry for entry in entries):
        raise DataError(f"{path}: {split} must be a folder, a list file or a list of them, got {_brief(value)}")
    resolved = []
    for entry in entries:
        source = root / entry
        if not isinstance(value, list) and not exists(source) and entry.startswith("../"):
            source = root / entry[3:]  # Ultralytics forgives this prefix of old exports
        resolved.append(source.resolve())
    return tuple(resolved)
