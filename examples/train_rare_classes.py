"""Train BCE, a focal loss, and rare classes shown more often, from Python, and print AP side by side.

python examples/train_rare_classes.py     # built-in data, a small model, a CPU
python examples/train_rare_classes.py model=yolo11n.pt data=my.yaml imgsz=640 epochs=100
"""

import sys
from pathlib import Path
from typing import Any

from ultralytics import YOLO

import yolo_focal
from yolo_focal.arguments.key import Key, in_range, path, text
from yolo_focal.commands.exit_codes import run_script

ARGUMENTS = (
    Key("model", "yolo11n.yaml", "architecture or checkpoint to start from", read=text),
    Key("data", "shapes", "dataset: a data YAML, or shapes", read=text),
    Key("imgsz", 96, "side of the network's input in pixels", in_range(int, 32)),
    Key("epochs", 4, "length of each training", in_range(int, 1)),
    Key("out", Path("runs/examples"), "folder of the trainings", read=path),
)
TRAININGS: dict[str, dict[str, Any]] = {
    "bce": {},
    "qfl": {"focal": True, "fl_loss": "qfl", "fl_gamma": 1.0, "fl_alpha": -1},
    "rare": {"rare_sampling": "auto", "rare_paste": 0.5},
}
# What a model from scratch needs in a training as short as this one; leave it out for a real one.
SHORT = {"batch": 8, "nbs": 8, "optimizer": "AdamW", "lr0": 0.002, "warmup_epochs": 1, "mosaic": 0.0, "scale": 0.2}
SHORT["close_mosaic"] = 0  # nothing is pasted in the last close_mosaic epochs, which by default are ten


def run(arguments: dict[str, Any]) -> int:
    """Train each of `TRAININGS` and measure its last weights."""
    yolo_focal.enable()  # from here on YOLO.train knows fl_* and rare_*
    data, imgsz, out = arguments["data"], arguments["imgsz"], arguments["out"].resolve()
    recipe = SHORT if arguments["epochs"] < 20 else {}
    found = {}
    for name, levers in TRAININGS.items():
        model = YOLO(arguments["model"])
        settings = {"imgsz": imgsz, "epochs": arguments["epochs"], "val": False, "plots": False, **recipe, **levers}
        model.train(data=data, project=str(out), name=name, exist_ok=True, **settings)
        found[name] = yolo_focal.evaluate(out / name / "weights/last.pt", data, imgsz=imgsz)
    print(f"\n{'':6}{'AP':>7}{'AP50':>7}{'AP of rare classes':>20}")
    for name, result in found.items():
        rare = [row["AP"] for row in result.rows() if row["bucket"] == "rare" and row["AP"] is not None]
        mean = f"{sum(rare) / len(rare):.3f}" if rare else "-"
        print(f"{name:6}{result.stats['AP']:7.3f}{result.stats['AP50']:7.3f}{mean:>20}")
    print(f"one seed, which says little: `yolo-focal compare` takes several\ncheckpoints: {out}/*/weights/last.pt")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, run))
