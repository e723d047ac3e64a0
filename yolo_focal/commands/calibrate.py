"""yolo-focal calibrate: scores that are probabilities, in an ordinary checkpoint."""

import shlex
from typing import Any

from yolo_focal import api
from yolo_focal.console import conclude

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Calibrate, and print the table and what was written."""
    result = api.calibrate(**arguments)
    out = result.out
    with_anchors = len(result.recalibrations[0].score_map.scale) > 1
    lines = [
        "",
        result.summary(),
        f"Written: {out}, {out.with_suffix('.json').name}, {out.with_suffix('.png').name}",
        f"Use it: {'yolo-focal' if with_anchors else 'yolo'} predict {shlex.quote(f'model={out}')} source=IMAGES",
    ]
    conclude("\n".join(lines), f"written to {result.headline()}")
    return 0
