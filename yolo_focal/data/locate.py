"""From what a user writes after `data=` to the data YAML it means."""

import difflib
from pathlib import Path

from yolo_focal.data.shapes import ensure_shapes
from yolo_focal.errors import DataError
from yolo_focal.resources import cfg_file, cfg_names

__all__ = ["datasets_folder", "find_data_yaml"]


def datasets_folder() -> Path:
    """Ultralytics' `datasets_dir` setting."""
    from ultralytics.utils import SETTINGS  # lazily: reading a dataset given by path must not cost this import

    return Path(SETTINGS["datasets_dir"])


def find_data_yaml(data: str | Path, *, progress: bool = True) -> Path:
    """The data YAML meant by `data`: a file, a folder with one, `shapes` (drawn on first use), or a bare name.

    Bare names are those of this package's cfg/data and of Ultralytics' own dataset files, with or without `.yaml`.
    Nothing is downloaded.

    Raises:
        DataError: there is no such file or name, or the folder has none or several.
    """
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
    from ultralytics.utils import ROOT  # the installed package has its dataset files below it

    shipped = {file.stem: file for file in (Path(ROOT) / "cfg" / "datasets").glob("*.yaml")}
    if name in shipped:
        return shipped[name]
    close = difflib.get_close_matches(name, ["shapes", *cfg_names("data"), *shipped], n=1)
    hint = f"did you mean '{close[0]}'?" if close else "give the path of a data YAML, or shapes"
    raise DataError(f"the data file {data} does not exist; {hint}")
