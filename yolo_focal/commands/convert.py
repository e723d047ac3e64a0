"""yolo-focal convert: an original YOLOv5 checkpoint becomes an anchor detector."""

from typing import Any

from yolo_focal import api

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Convert and say what was made."""
    print(api.convert(**arguments).summary())
    return 0
