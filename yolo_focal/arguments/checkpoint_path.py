"""The path of a checkpoint that a command writes."""

import re
from pathlib import Path

from yolo_focal.arguments.output import Output
from yolo_focal.errors import ConfigError

__all__ = ["checkpoint_path"]

_RENAMED_UPSTREAM = re.compile(r"yolov5[nsmlx]6?\.pt$")  # Ultralytics would look for yolov5nu.pt instead


def checkpoint_path(source: Path, output: Output, suffix: str) -> Path:
    """The path of `output`, or NAME-suffix.pt in it where it is a folder: by `project` and `name`, or without a suffix.

    Raises:
        ConfigError: Ultralytics could not load a file of this name, or it is `source` itself.
    """
    out = output.path
    path = out / f"{source.stem}-{suffix}.pt" if output.is_folder or out.is_dir() or not out.suffix else out
    if path.suffix != ".pt":
        raise ConfigError(f"out={path} must end in .pt; Ultralytics takes no other suffix for a checkpoint")
    if _RENAMED_UPSTREAM.search(path.name):
        raise ConfigError(
            f"out={path} has a name that Ultralytics replaces by its own '{path.stem}u.pt'; "
            f"call it {path.stem}-{suffix}.pt"
        )
    if path.resolve() == source.resolve():
        raise ConfigError(f"out={path} is the original file; name another one")
    return path
