"""Where a command writes: `out=`, the folder itself, or `project=` and `name=`, numbered where that exists."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo_focal.arguments.key import Key, flag, path, text
from yolo_focal.errors import ConfigError
from yolo_focal.files import numbered_folder

__all__ = ["Output", "PROJECT", "output_keys", "take_output"]

PROJECT = "runs"


def output_keys(content: str, *, overwrites: bool = True) -> tuple[Key, ...]:
    """The keys of a command that writes `content`; without `exist_ok` where it never writes over anything."""
    keys = (
        Key("project", PROJECT, "folder of the numbered output folders", read=text),
        Key("name", None, "output folder in it, by default as the command; NAME2, NAME3, ... if it exists", read=text),
        Key("out", None, f"in place of both: {content}", read=path),
    )
    if not overwrites:
        return keys
    return (*keys, flag("exist_ok", False, "write where something is; files of the same names are replaced"))


@dataclass(frozen=True)
class Output:
    """Where to write.

    Attributes:
        path: a folder; of `calibrate` and `convert`, where the user named one, a file.
        exist_ok: whether what is there may be replaced.
        is_folder: whether it can be nothing else, since `project` and `name` made it.
    """

    path: Path
    exist_ok: bool
    is_folder: bool


def take_output(command: str, arguments: MutableMapping[str, Any], *, numbered: bool = True) -> Output:
    """Take the keys of `output_keys` out of `arguments`.

    Args:
        command: its name, the default of `name`.
        arguments: changed: only the others are left.
        numbered: whether a folder that exists is passed over, not continued.

    Raises:
        ConfigError: `out` beside `project` or `name`.
    """
    project, name, out = (arguments.pop(key) for key in ("project", "name", "out"))
    exist_ok = arguments.pop("exist_ok", False)
    if out is not None:
        if name is not None or project != PROJECT:
            raise ConfigError(f"out={out} is the output itself; leave project= and name= out, or out=")
        return Output(Path(out), exist_ok, is_folder=False)
    if "\0" in f"{project}{name}":
        raise ConfigError(f"project={project!r} and name={name!r} must be names without null characters")
    folder = Path(project) / (name or command)
    if not folder.name:
        raise ConfigError(f"name={name} must be the name of a folder")
    return Output(numbered_folder(folder) if numbered and not exist_ok else folder, exist_ok, is_folder=True)
