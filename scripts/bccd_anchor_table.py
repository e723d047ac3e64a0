"""Fine-tune the anchor detector with several losses, the same budget each, and print one table.

    python scripts/bccd_anchor_table.py weights=yolov5n-anchor.pt data=bccd.yaml out=runs/table rows=bce,focal-1.5

`weights` is a checkpoint of `yolo-focal convert`. Each row of ROWS is trained for `epochs` and its last checkpoint
validated without a time limit on NMS. The numbers are kept in OUT/ROW.json, and such a row is not trained again.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.commands.arguments import Argument, number, text_list
from yolo_focal.commands.running import run_script
from yolo_focal.files import write_json

ROWS: dict[str, dict[str, Any]] = {
    "bce": {},
    "focal-0.5": {"fl_gamma": 0.5},
    "focal-1.5": {"fl_gamma": 1.5},
    "focal-1.5-gain": {"fl_gamma": 1.5, "obj": 8.0, "cls": 2.0},
    "qfl-1.5-gain": {"fl_loss": "qfl", "fl_gamma": 1.5, "fl_alpha": 0.5, "obj": 8.0, "cls": 2.0},
    "focal-1.5-cls": {"fl_gamma": 1.5, "fl_alpha": -1, "fl_scope": "cls", "fl_gain": 4.0},
    "qfl-1": {"fl_loss": "qfl", "fl_gamma": 1.0, "fl_alpha": -1, "fl_gain": 4.0},
    "qfl-0.5": {"fl_loss": "qfl", "fl_gamma": 0.5, "fl_alpha": -1, "fl_gain": 2.0},
}
ARGUMENTS = (
    Argument("weights", None, "checkpoint to start from", parse=Path, required=True),
    Argument("data", None, "data YAML", required=True),
    Argument("out", Path("runs/anchor_table"), "folder for runs and numbers", parse=Path),
    Argument("rows", list(ROWS), f"rows to train: {', '.join(ROWS)}", parse=text_list),
    Argument("imgsz", 320, "training size in pixels", parse=number(int, 32)),
    Argument("warmup", 2.0, "epochs of warm-up; YOLOv5 would take 100 batches at least", parse=number(float, 0)),
    Argument("epochs", 25, "epochs of each row", parse=number(int, 1)),
    Argument("seed", 0, "seed of each row", parse=number(int, 0)),
)


def train_and_measure(row: str, arguments: dict[str, Any]) -> dict[str, Any]:
    from ultralytics import YOLO

    shared = {"data": arguments["data"], "imgsz": arguments["imgsz"], "batch": 16, "iou": 0.6, "plots": False}
    YOLO(arguments["weights"]).train(
        **shared,
        **ROWS[row],
        cfg="yolov5-anchor",
        warmup_epochs=arguments["warmup"],
        epochs=arguments["epochs"],
        seed=arguments["seed"],
        project=str(arguments["out"].resolve()),
        name=row,
        exist_ok=True,
        val=False,  # the last checkpoint is measured below; validating every epoch would double the time
    )
    last = arguments["out"] / row / "weights" / "last.pt"
    metrics = YOLO(last).val(**shared, project=str(arguments["out"].resolve()), name=f"{row}-val", exist_ok=True)
    return {
        "row": row,
        "settings": ROWS[row],
        "mAP50": metrics.box.map50,
        "mAP50-95": metrics.box.map,
        "per_class": {metrics.names[i]: float(ap) for i, ap in enumerate(metrics.box.maps)},
        "nms_ms_per_image": metrics.speed["postprocess"],
    }


def main(arguments: dict[str, Any]) -> int:
    yolo_focal.enable()
    lines = ["| row | mAP50 | mAP50-95 | per class mAP50-95 | NMS ms/image |", "|---|---|---|---|---|"]
    for row in arguments["rows"]:
        kept = arguments["out"] / f"{row}.json"
        if not kept.is_file():
            write_json(kept, train_and_measure(row, arguments))
        found = json.loads(kept.read_text(encoding="utf-8"))
        classes = ", ".join(f"{name} {ap:.3f}" for name, ap in found["per_class"].items())
        lines.append(
            f"| {row} | {found['mAP50']:.3f} | {found['mAP50-95']:.3f} | {classes} | {found['nms_ms_per_image']:.0f} |"
        )
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
