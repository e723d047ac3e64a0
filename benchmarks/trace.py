"""Print which files of this package one training or one evaluation enters, and how often central functions are called.

    python benchmarks/trace.py data=my.yaml          # one epoch of training with a focal loss, then an evaluation

A newcomer who follows the code by hand reads these files. The training is one epoch at the smallest size.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.arguments.key import Key, in_range, text
from yolo_focal.commands.exit_codes import run_script

ARGUMENTS = (
    Key("data", "coco8.yaml", "a data YAML", read=text),
    Key("model", "yolo11n.yaml", "architecture", read=text),
    Key("imgsz", 64, "side of the network's input in pixels", in_range(int, 32)),
    Key("fraction", 0.05, "share of the training images", in_range(float, 0, 1)),
)
COUNTED = {"read_config", "match_detections"}
PACKAGE = str(Path(yolo_focal.__file__).parent)


def traced(work: Callable[[], Any]) -> tuple[list[str], Counter[str]]:
    """The files of the package whose functions run during `work`, and the calls of COUNTED."""
    files: dict[str, None] = {}
    calls: Counter[str] = Counter()

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE) and frame.f_code.co_name != "<module>":
            files[frame.f_code.co_filename.removeprefix(PACKAGE + "/")] = None
            if frame.f_code.co_name in COUNTED:
                calls[frame.f_code.co_name] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return list(files), calls


def main(arguments: dict[str, Any]) -> int:
    from ultralytics import YOLO

    yolo_focal.enable()
    with tempfile.TemporaryDirectory() as folder:
        shared = {"imgsz": arguments["imgsz"], "batch": 4, "plots": False, "workers": 0, "amp": False}
        budget = {"epochs": 1, "fraction": arguments["fraction"], "project": folder, "name": "run"}
        yolo = YOLO(arguments["model"])
        files, calls = traced(lambda: yolo.train(data=arguments["data"], fl_gamma=2.0, **shared, **budget))
        print(f"train: {len(files)} files, {dict(calls)}", *files, sep="\n  ")
        checkpoint = Path(folder) / "run" / "weights" / "last.pt"
        evaluation = {"imgsz": arguments["imgsz"], "out": Path(folder) / "evaluation"}
        files, calls = traced(lambda: yolo_focal.evaluate(checkpoint, arguments["data"], **evaluation))
        print(f"evaluate: {len(files)} files, {dict(calls)}", *files, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
