"""yolo-focal doctor: what will really run on this model and dataset, and what to do about it."""

from typing import Any

from yolo_focal import api
from yolo_focal.arguments.output import take_output

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Examine, write the three files, print the page."""
    output = take_output("doctor", arguments)
    result = api.doctor(**arguments, out=output.path, exist_ok=output.exist_ok)
    print("", result.summary(), "", f"Written to {result.out}: doctor.txt, doctor.json, doctor.png", sep="\n")
    return 0
