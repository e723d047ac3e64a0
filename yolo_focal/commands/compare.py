"""yolo-focal compare: does another loss help on my data?"""

from typing import Any

from yolo_focal import api

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Carry out what is missing and print the outcome; 1 where a trial failed."""
    result = api.compare(**arguments)
    print(result.summary())
    return 1 if result.failed and not arguments["dry_run"] else 0
