"""yolo-focal tune: the best training arguments as a hyperparameter file."""

import sys
from typing import Any

from yolo_focal import api
from yolo_focal.console import conclude

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Search and print the trials; 1 where a trial failed."""
    result = api.tune(**arguments)
    if result.out is None:
        print(f"yolo-focal tune: {result.summary()}", file=sys.stderr)
        return 1
    conclude(f"\n{result.summary()}", result.headline())
    return 1 if any(trial.fitness is None for trial in result.tuning.trials) else 0
