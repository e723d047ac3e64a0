"""yolo-focal convert: an original YOLOv5 checkpoint becomes an anchor detector."""

from typing import Any

from yolo_focal import api
from yolo_focal.console import conclude

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Convert and say what was made."""
    result = api.convert(**arguments)
    conclude(result.summary(), result.headline())
    return 0
