"""yolo-focal doctor: what will really run on this model and dataset, and what to do about it."""

from pathlib import Path
from typing import Any

from yolo_focal import api
from yolo_focal.files import numbered_folder

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Examine, write the three files, print the page."""
    out = numbered_folder(Path(arguments["out"]))
    print("", api.doctor(**{**arguments, "out": out}).summary(), "", sep="\n")
    print(f"Written to {out}: doctor.txt, doctor.json, doctor.png")
    return 0
