"""yolo-focal compare: does another loss help on my data?"""

from typing import Any

from yolo_focal import api
from yolo_focal.console import conclude

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Carry out what is missing and print the outcome; 1 where a trial failed."""
    result = api.compare(**arguments)
    conclude(result.summary(), result.summary() if arguments["dry_run"] else result.headline())
    return 1 if result.failed and not arguments["dry_run"] else 0
