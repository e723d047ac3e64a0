"""yolo-focal calibrate: scores that are probabilities, folded into the weights of an ordinary checkpoint."""

from pathlib import Path
from typing import Any

from yolo_focal.commands.arguments import Argument, choice, number, switch
from yolo_focal.commands.checkpoint_path import checkpoint_path
from yolo_focal.files import replace_file, write_json

__all__ = ["ARGUMENTS", "SUMMARY", "run"]

SUMMARY = "refit the scores of a checkpoint on a split, fold the map into its weights, write a stock checkpoint"
ARGUMENTS = (
    Argument("model", None, "checkpoint (.pt) to recalibrate", parse=Path, required=True),
    Argument("data", None, "a data YAML, or shapes", required=True),
    Argument("split", "val", "split to fit the map on", choice("train", "val", "test")),
    Argument(
        "evaluate_split",
        None,
        "split to measure before and after on; where not given, test or val, whichever the map was not fitted on",
        choice("train", "val", "test"),
    ),
    Argument("per_class", False, "a shift for each class on top of the common map", switch),
    Argument("imgsz", None, "side of the network's input in pixels; as in its training by default", number(int, 32)),
    Argument("iou", 0.7, "overlap above which NMS drops the weaker box", number(float, 0, 1)),
    Argument("max_det", 300, "most detections an image", number(int, 1)),
    Argument("batch", 16, "images at a time", number(int, 1)),
    Argument("device", None, "device, as Ultralytics writes it: cpu, 0, mps"),
    Argument("out", None, "checkpoint to write, .json and .png beside it; NAME-calibrated.pt by default", parse=Path),
)


def run(arguments: dict[str, Any]) -> int:
    """Fit, fold, measure before and after, write the three files and print the table.

    Raises:
        YoloFocalError: the model, the data or the output cannot be used; nothing was written.
    """
    model: Path = arguments["model"]
    out = checkpoint_path(model, arguments["out"], "calibrated")
    import yolo_focal
    from yolo_focal.evaluation.plots import plot_reliability_side_by_side
    from yolo_focal.evaluation.recalibration.recalibrate import other_split, recalibrate, trained_size
    from yolo_focal.evaluation.recalibration.report import recalibration_document, recalibration_lines

    yolo_focal.enable()
    split = arguments["split"]
    used = {
        **arguments,
        "evaluate_split": arguments["evaluate_split"] or other_split(arguments["data"], split),
        "imgsz": arguments["imgsz"] or trained_size(model),
    }
    settings = {name: value for name, value in used.items() if name not in ("model", "data", "out")}
    with replace_file(out) as checkpoint, replace_file(out.with_suffix(".png")) as picture:
        results = recalibrate(model, arguments["data"], checkpoint, **settings)
        rows = [
            {
                when if len(results) == 1 else f"{result.branch}, {when}": each.evaluation.calibration
                for when, each in result.before_and_after
            }
            for result in results
        ]
        plot_reliability_side_by_side(rows, picture)
        source = {**used, "model": str(model), "out": str(out)}
        write_json(out.with_suffix(".json"), recalibration_document(results, source))
    print("\n".join(["", *recalibration_lines(results, split, used["evaluate_split"])]))
    print(f"Written: {out}, {out.with_suffix('.json').name}, {out.with_suffix('.png').name}")
    with_anchors = len(results[0].score_map.scale) > 1
    print(f"use it: {'yolo-focal' if with_anchors else 'yolo'} predict model={out} source=IMAGES")
    return 0
