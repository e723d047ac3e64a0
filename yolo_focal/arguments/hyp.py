"""Hyperparameter files given as `cfg=`: found by path or bare name, read without executing anything."""

from pathlib import Path
from typing import Any

import yaml

from yolo_focal.errors import ConfigError, reason_of
from yolo_focal.plain_yaml import load_yaml
from yolo_focal.resources import cfg_file, cfg_names

__all__ = ["find_hyp", "read_hyp"]

_FOLDERS = {"cfg": "hyp", "space": "search"}
_LARGEST_FILE = 1_000_000  # bytes; a hyperparameter file has a few thousand
_MOST_VALUES = 100_000  # with those that aliases repeat; a list with a number per class has the most


def find_hyp(name: str | Path, argument: str = "cfg") -> Path:
    """The file at a path, or the one of this package with this bare name: of cfg/hyp, or as `space` of cfg/search.

    Raises:
        ConfigError: there is neither; the message lists the bare names.
    """
    if Path(name).is_file():
        return Path(name)
    folder = _FOLDERS[argument]
    found = cfg_file(folder, str(name))
    if found is None:
        raise ConfigError(
            f"{argument}={name} does not exist; give a YAML file or one of {', '.join(cfg_names(folder))}"
        )
    return found


def read_hyp(path: Path, argument: str = "cfg") -> dict[str, Any]:
    """The arguments in a hyperparameter file, or in another file of such lines that was given as `argument`.

    Raises:
        ConfigError: the file is too large, no YAML, or not a list of `key: value`.
    """
    if path.stat().st_size > _LARGEST_FILE:
        raise ConfigError(
            f"{argument}={path} has {path.stat().st_size:,} bytes; a hyperparameter file has a few thousand"
        )
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{argument}={path} is not YAML ({reason_of(error)})") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ConfigError(f"{argument}={path} must hold lines of 'key: value', got {type(content).__name__}")
    if _holds_more_than(_MOST_VALUES, content):
        raise ConfigError(f"{argument}={path} holds more than {_MOST_VALUES:,} values, with those that aliases repeat")
    # As Ultralytics reads it: None, which YAML writes null, is taken for what was meant.
    return {name: None if value == "None" else value for name, value in content.items()}


def _holds_more_than(most: int, value: Any) -> bool:
    """Whether there are more than so many values in lists and mappings; aliases make a short file hold billions."""
    waiting, seen = [value], 0
    while waiting and seen <= most:
        each = waiting.pop()
        seen += 1
        if isinstance(each, list | dict):
            waiting += each.values() if isinstance(each, dict) else each
    return seen > most
