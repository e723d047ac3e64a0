"""Make scores probabilities, export the checkpoint to ONNX, and check that AP is still the same.

python examples/calibrate_and_export.py model=runs/examples/rare/weights/last.pt imgsz=96  # after train_rare_classes.py
python examples/calibrate_and_export.py model=best.pt data=my.yaml imgsz=640
"""

import sys
from pathlib import Path
from typing import Any

from ultralytics import YOLO

import yolo_focal
from yolo_focal.arguments.key import Key, in_range, path, text
from yolo_focal.commands.exit_codes import run_script

ARGUMENTS = (
    Key("model", None, "checkpoint (.pt)", read=path, required=True),
    Key("data", "shapes", "its dataset: a data YAML, or shapes", read=text),
    Key("imgsz", 640, "side of the network's input in pixels", in_range(int, 32)),
    Key("out", Path("runs/examples/calibrated.pt"), "checkpoint to write; the ONNX file stands beside it", read=path),
)


def run(arguments: dict[str, Any]) -> int:
    """Calibrate, export, and evaluate all three."""
    data, imgsz = arguments["data"], arguments["imgsz"]
    calibrated = yolo_focal.calibrate(**arguments)
    print(calibrated.summary())
    # dynamic: the checkpoint is evaluated on images of their own proportions, and so is the exported file then
    exported = YOLO(calibrated.out).export(format="onnx", imgsz=imgsz, simplify=False, dynamic=True)
    print(f"\n{'':28}{'AP':>8}{'F1 at conf=0.25':>18}")
    for name, model in {"before": arguments["model"], "calibrated": calibrated.out, "ONNX": Path(exported)}.items():
        result = yolo_focal.evaluate(model, data, imgsz=imgsz)
        shown = result.to_dict()["at_default_conf"]["f1"]
        print(f"{name:28}{result.stats['AP']:8.3f}{'-' if shown is None else f'{shown:.3f}':>18}")
    print(f"deploy {exported}; it needs nothing of this package")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, run))
