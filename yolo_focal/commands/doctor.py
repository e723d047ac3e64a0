"""yolo-focal doctor: what will really run on this model and dataset, and what to do about it."""

from typing import Any

from yolo_focal import api
from yolo_focal.arguments.output import take_output
from yolo_focal.console import conclude

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Examine, write the three files, print the page."""
    output = take_output("doctor", arguments)
    result = api.doctor(**arguments, out=output.path, exist_ok=output.exist_ok)
    conclude(
        f"\n{result.summary()}\n\nWritten to {result.out}: doctor.txt, doctor.json, doctor.png",
        f"{result.headline()}; written to {result.out}",
    )
    return 0
