"""yolo-focal doctor: what will really run on this model and dataset, and what to do about it."""

from typing import Any

from yolo_focal import api
from yolo_focal.arguments.output import take_output
from yolo_focal.console import conclude, pasteable
from yolo_focal.results import DoctorResult

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Examine, write the three files, print the page."""
    output = take_output("doctor", arguments)
    asked = {name: value for name, value in arguments.items() if name not in ("seed", "trust") and value is not None}
    result = api.doctor(**arguments, out=output.path, exist_ok=output.exist_ok)
    conclude(
        f"\n{result.summary()}\n\nWritten to {result.out}: doctor.txt, doctor.json, doctor.png\n"
        f"Next: {_training(result, asked)}",
        f"{result.headline()}; written to {result.out}",
    )
    return 0


def _training(result: DoctorResult, asked: dict[str, Any]) -> str:
    """The training that was examined, with rare classes shown more often where that can act and was not asked for."""
    suggested = {} if "cfg" in asked else result.examination.rare.suggestion
    return pasteable("train", **asked, **suggested)
