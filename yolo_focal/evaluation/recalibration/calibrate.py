"""A calibration as asked for: fitted, folded, measured before and after, and its three files written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.arguments.checkpoint_path import checkpoint_path
from yolo_focal.arguments.output import Output
from yolo_focal.errors import DataError
from yolo_focal.evaluation.plots import plot_reliability_side_by_side
from yolo_focal.evaluation.recalibration.recalibrate import Recalibration, harm, other_split, recalibrate, trained_size
from yolo_focal.evaluation.recalibration.report import recalibration_document
from yolo_focal.files import check_writable, replace_file, write_json

__all__ = ["calibrated"]


def calibrated(arguments: dict[str, Any], output: Output) -> tuple[Path, dict[str, Any], Sequence[Recalibration]]:
    """The checkpoint that was written, the arguments that were used, and a recalibration for each branch of the head.

    Args:
        arguments: by the names of `yolo-focal calibrate`.
        output: folder or checkpoint to write.

    Raises:
        YoloFocalError: the model, the data or the output cannot be used; nothing was written.
    """
    model: Path = arguments["model"]
    out = checkpoint_path(model, output, "calibrated")
    for suffix in (".pt", ".json", ".png"):
        check_writable(out.with_suffix(suffix), output.exist_ok)
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
        _refuse_harm(results, used["evaluate_split"])
        rows = [
            {
                when if len(results) == 1 else f"{result.branch}, {when}": each.evaluation.calibration
                for when, each in result.before_and_after
            }
            for result in results
        ]
        plot_reliability_side_by_side(rows, picture)
        used |= {"model": str(model), "out": str(out)}
        write_json(out.with_suffix(".json"), recalibration_document(results, used))
    return out, used, results


def _refuse_harm(results: Sequence[Recalibration], evaluate_split: str) -> None:
    problems = [
        f"{f'branch {result.branch}: ' if len(results) > 1 else ''}{', '.join(worse)}"
        for result in results
        if (worse := harm(result))
    ]
    if problems:
        raise DataError(
            f"recalibrated scores are worse than the original's on {evaluate_split} ({'; '.join(problems)}), so "
            "nothing was written; train the model longer, or fit on a split= with more labelled images"
        )
