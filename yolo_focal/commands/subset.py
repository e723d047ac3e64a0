"""yolo-focal subset: part of a COCO-format dataset."""

from typing import Any

from yolo_focal import api

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Write the subset and print what was asked and what was reached."""
    print(api.subset(**arguments).summary())
    return 0
