"""yolo-focal calibrate: scores that are probabilities, in an ordinary checkpoint."""

from typing import Any

from yolo_focal import api

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Calibrate, and print the table and what was written."""
    result = api.calibrate(**arguments)
    out = result.out
    print("", result.summary(), sep="\n")
    print(f"Written: {out}, {out.with_suffix('.json').name}, {out.with_suffix('.png').name}")
    with_anchors = len(result.recalibrations[0].score_map.scale) > 1
    print(f"use it: {'yolo-focal' if with_anchors else 'yolo'} predict model={out} source=IMAGES")
    return 0
