"""yolo-focal evaluate: a model or a results file by the rules of COCO."""

from typing import Any

from yolo_focal import api

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Evaluate, write the output folder, print the table."""
    print("", api.evaluate(**arguments).summary(), f"Written to {arguments['out']}", sep="\n")
    return 0
