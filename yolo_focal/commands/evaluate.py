"""yolo-focal evaluate: a model or a results file by the rules of COCO."""

from typing import Any

from yolo_focal import api
from yolo_focal.arguments.output import take_output
from yolo_focal.console import conclude

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Evaluate, write the output folder, print the table."""
    output = take_output("evaluate", arguments)
    result = api.evaluate(**arguments, out=output.path, exist_ok=output.exist_ok)
    conclude(f"\n{result.summary()}\nWritten to {output.path}", f"{result.headline()}; written to {output.path}")
    return 0
