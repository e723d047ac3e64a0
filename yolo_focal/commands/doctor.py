"""yolo-focal doctor: what will really run on this model and dataset, and what to do about it."""

from typing import Any

from yolo_focal import api

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Examine, write the three files, print the page."""
    result = api.doctor(**arguments)
    print("", result.summary(), "", f"Written to {result.out}: doctor.txt, doctor.json, doctor.png", sep="\n")
    return 0
