"""Fine-tune the anchor detector with several losses, the same budget each, and print one table.

    python benchmarks/bccd_anchor_table.py weights=yolov5n-anchor.pt data=bccd.yaml out=runs/table rows=bce,focal-1.5

`weights` is a checkpoint of `yolo-focal convert`. Each row of ROWS is trained for `epochs` with each seed, and its last
checkpoint validated without a time limit on NMS. The numbers are kept in OUT/ROW-seedN.json, and such a training is not
repeated; `measure=True` validates its checkpoint again. The table shows the mean over the seeds and, if there are
several, the lowest and the highest value. Candidates are the (box, class) pairs above validation's conf that reach NMS.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.arguments.key import Key, in_range, path, switch, text, text_list
from yolo_focal.commands.exit_codes import run_script
from yolo_focal.files import write_json
from yolo_focal.ultra.hooks.nms import count_candidates

ROWS: dict[str, dict[str, Any]] = {
    "bce": {},
    "focal-0.5": {"fl_gamma": 0.5, "fl_gain": 1.0},
    "focal-1.5": {"fl_gamma": 1.5, "fl_gain": 1.0},
    "focal-1.5-auto": {"fl_gamma": 1.5},
    "qfl-1-auto": {"fl_loss": "qfl", "fl_gamma": 1.0, "fl_alpha": -1},
    "qfl-1-cooldown": {"fl_loss": "qfl", "fl_gamma": 1.0, "fl_alpha": -1, "fl_cooldown": 0.4},
    "focal-1.5-gain": {"fl_gamma": 1.5, "fl_gain": 1.0, "obj": 8.0, "cls": 2.0},
    "qfl-1.5-gain": {"fl_loss": "qfl", "fl_gamma": 1.5, "fl_alpha": 0.5, "fl_gain": 1.0, "obj": 8.0, "cls": 2.0},
    "focal-1.5-cls": {"fl_gamma": 1.5, "fl_alpha": -1, "fl_scope": "cls", "fl_gain": 4.0},
    "qfl-1": {"fl_loss": "qfl", "fl_gamma": 1.0, "fl_alpha": -1, "fl_gain": 4.0},
    "qfl-0.5": {"fl_loss": "qfl", "fl_gamma": 0.5, "fl_alpha": -1, "fl_gain": 2.0},
}


def number_list(value: str) -> list[int]:
    """Numbers of a list, `0,1,2`."""
    return [int(each) for each in text_list(value)]


ARGUMENTS = (
    Key("weights", None, "checkpoint to start from", read=path, required=True),
    Key("data", None, "data YAML", read=text, required=True),
    Key("out", Path("runs/anchor_table"), "folder for runs and numbers", read=path),
    Key("rows", list(ROWS), f"rows to train: {', '.join(ROWS)}", read=text_list),
    Key("imgsz", 320, "training size in pixels", in_range(int, 32)),
    Key("seeds", [0], "seeds of each row", read=number_list),
    Key("warmup", 2.0, "epochs of warm-up; YOLOv5 would take 100 batches at least", in_range(float, 0)),
    Key("epochs", 25, "epochs of each row", in_range(int, 1)),
    Key("measure", False, "validate the checkpoints of finished rows again", switch),
)
COLUMNS = ("mAP50", "mAP50-95", "per class mAP50-95", "candidates/image", "NMS ms/image")


def shared_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """What training and validation have in common."""
    return {
        "data": arguments["data"],
        "imgsz": arguments["imgsz"],
        "batch": 16,
        "iou": 0.6,
        "plots": False,
        "project": str(arguments["out"].resolve()),
        "exist_ok": True,
    }


def train(row: str, seed: int, arguments: dict[str, Any]) -> None:
    from ultralytics import YOLO

    YOLO(arguments["weights"]).train(
        **shared_arguments(arguments),
        **ROWS[row],
        cfg="yolov5-anchor",
        warmup_epochs=arguments["warmup"],
        epochs=arguments["epochs"],
        seed=seed,
        name=f"{row}-seed{seed}",
        val=False,  # the last checkpoint is measured afterwards; validating every epoch would double the time
    )


def measure(row: str, seed: int, arguments: dict[str, Any]) -> dict[str, Any]:
    from ultralytics import YOLO

    name = f"{row}-seed{seed}"
    last = arguments["out"] / name / "weights" / "last.pt"
    with count_candidates() as candidates:
        metrics = YOLO(last).val(**shared_arguments(arguments), name=f"{name}-val")
    return {
        "row": row,
        "seed": seed,
        "settings": ROWS[row],
        "mAP50": metrics.box.map50,
        "mAP50-95": metrics.box.map,
        "per_class": {metrics.names[i]: float(ap) for i, ap in enumerate(metrics.box.maps)},
        "candidates_per_image": statistics.fmean(candidates.per_image),
        "nms_ms_per_image": metrics.speed["postprocess"],
    }


def in_words(values: list[float]) -> str:
    """The mean, and the range of several values."""
    spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


def main(arguments: dict[str, Any]) -> int:
    yolo_focal.enable()
    lines = [f"| row | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for row in arguments["rows"]:
        found = []
        for seed in arguments["seeds"]:
            kept = arguments["out"] / f"{row}-seed{seed}.json"
            if not kept.is_file():
                train(row, seed, arguments)
            if arguments["measure"] or not kept.is_file():
                write_json(kept, measure(row, seed, arguments))
            found.append(json.loads(kept.read_text(encoding="utf-8")))
        classes = {name: in_words([each["per_class"][name] for each in found]) for name in found[0]["per_class"]}
        cells = [in_words([each[key] for each in found]) for key in ("mAP50", "mAP50-95")]
        cells.append(", ".join(f"{name} {words}" for name, words in classes.items()))
        for key in ("candidates_per_image", "nms_ms_per_image"):
            cells.append(f"{statistics.fmean(each[key] for each in found):,.0f}")
        lines.append(f"| {row} | {' | '.join(cells)} |")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
