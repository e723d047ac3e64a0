"""yolo-focal subset: part of a COCO-format dataset."""

from typing import Any

from yolo_focal import api
from yolo_focal.console import conclude

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Write the subset and print what was asked and what was reached."""
    result = api.subset(**arguments)
    conclude(result.summary(), f"written to {result.headline()}")
    return 0
