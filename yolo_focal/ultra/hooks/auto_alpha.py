"""`fl_alpha=auto`: one alpha per class, counted in the training labels that `fraction` and `classes` leave.

The word stays in the arguments, args.yaml and checkpoints. Every process of a training, a resumed one included, counts
the labels of its dataset once; each epoch logs the numbers.
"""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolo_focal.arguments.focal import AUTO, KEYS, FocalConfig, read_config
from yolo_focal.data.frequencies import alpha_from_frequencies
from yolo_focal.data.label_statistics import class_counts
from yolo_focal.data.usable import refuse_unusable
from yolo_focal.errors import ConfigError, DataError
from yolo_focal.numbers import is_number
from yolo_focal.ultra.datasets import data_file, find_data_yaml, read_dataset
from yolo_focal.ultra.logger import LOGGER

__all__ = ["count_anew", "settled_config"]

_MOST_SHOWN = 20  # classes of the line in the log; results.csv has all


def settled_config(arguments: Mapping[str, Any]) -> FocalConfig | None:
    """The settings in the merged arguments of a training, with numbers for `fl_alpha=auto`; None where focal is off.

    Raises:
        ConfigError: a bad value; or there is no dataset to count, or its objects are no boxes.
        DataError: the dataset cannot be read or has no object.
    """
    config = read_config(arguments)
    if config is None or config.alpha != AUTO:
        return config
    return dataclasses.replace(config, alpha=_alpha(arguments))


def count_anew() -> None:
    """Forget what was counted: the labels may be other ones when the next training begins."""
    _alpha_of.cache_clear()


def _alpha(arguments: Mapping[str, Any]) -> float | tuple[float, ...]:
    if arguments.get("single_cls"):
        return float(KEYS["fl_alpha"].default)  # one class, nothing to balance between classes
    found = data_file(arguments["data"]) if isinstance(arguments.get("data"), str | Path) else None
    if found is not None and found.is_dir() and arguments.get("task") != "classify":
        found = find_data_yaml(found)
    if found is None or found.suffix.lower() not in (".yaml", ".yml"):
        raise ConfigError(
            f"fl_alpha={AUTO} counts the training labels of a data YAML, got data={arguments.get('data')}; "
            "give one, or numbers for fl_alpha"
        )
    pose, fraction, classes = arguments.get("task") == "pose", _fraction(arguments), _classes(arguments)
    return _alpha_of(found.resolve(), pose, fraction, classes)


def _fraction(arguments: Mapping[str, Any]) -> float:
    """Share of the training images, or as an `int` their number, by the rules of Ultralytics, which judges it later."""
    given = arguments.get("fraction", 1.0)
    if isinstance(given, list | tuple) and given:  # one for each split
        given = given[0]
    is_part = is_number(given) and (0 < given < 1 or (isinstance(given, int) and given > 1))
    return given if is_part else 1.0


def _classes(arguments: Mapping[str, Any]) -> tuple[int, ...] | None:
    given = arguments.get("classes")
    return None if given is None else tuple(np.ravel(given).tolist())


@functools.lru_cache(maxsize=8)
def _alpha_of(data_yaml: Path, pose: bool, fraction: float, classes: tuple[int, ...] | None) -> tuple[float, ...]:
    dataset = read_dataset(data_yaml)
    counts = class_counts(dataset, pose=pose, fraction=fraction, classes=classes)
    if not any(counts):
        refuse_unusable(dataset, "train")
        raise DataError(
            f"fl_alpha={AUTO} has nothing to count: fraction={fraction} and classes={classes} leave no label of "
            f"{data_yaml}; give numbers for fl_alpha"
        )
    alpha = tuple(round(value, 4) for value in alpha_from_frequencies(counts, KEYS["fl_alpha"].default))
    shown = [
        f"{name} {value:g} ({count} boxes)"
        for name, value, count in list(zip(dataset.names, alpha, counts, strict=True))[:_MOST_SHOWN]
    ]
    rest = f" and {len(alpha) - len(shown)} more" if len(alpha) > len(shown) else ""
    LOGGER.info(f"focal: fl_alpha={AUTO} -> {', '.join(shown)}{rest}")
    return alpha
