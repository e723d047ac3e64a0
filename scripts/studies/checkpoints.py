"""What a study asks of its checkpoints: the worth of their scores, the branch without NMS, what NMS's limit loses."""

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import yolo_focal
from studies.definition import Study
from studies.raw_results import LIMIT, NMS_FREE, SCORES, write_rows
from studies.trainings import last_checkpoints
from yolo_focal.errors import YoloFocalError

__all__ = ["run_limit", "run_nms_free", "run_scores"]


def run_scores(studies: Sequence[Study], arguments: Mapping[str, Any]) -> None:
    """Calibrate the last checkpoint of every finished trial of `Study.scores`, and keep what its scores are worth."""
    for study in studies:
        rows = []
        for name, seed, weights, data in last_checkpoints(study, arguments["out"], study.scores, SCORES):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    result = yolo_focal.calibrate(
                        weights, data, imgsz=study.training["imgsz"], out=Path(folder) / "c.pt"
                    )
                except YoloFocalError as error:  # it would do harm, and says so
                    print(f"{name} seed {seed}: {error}")
                    continue
            (found,) = result.to_dict()["branches"]
            worth = {when: _worth(found[when]) for when in ("before", "after")}
            rows.append({"configuration": name, "seed": seed, **worth})
            print(f"{name} seed {seed}: {worth}")
        _keep_rows(study, rows, arguments["docs"], SCORES)


def _worth(measured: Mapping[str, Any]) -> dict[str, float]:
    """What the scores of one model are worth, before or after calibration."""
    return {
        "error": measured["calibration"]["error"],
        "threshold": measured["best_f1"]["threshold"],
        "candidates": measured["nms"]["candidates_per_image"]["mean"],
        "AP": measured["coco"]["AP"],
    }


def run_nms_free(studies: Sequence[Study], arguments: Mapping[str, Any]) -> None:
    """Evaluate the last checkpoint of every finished trial of `Study.nms_free` on the branch without NMS."""
    for study in studies:
        rows = []
        for name, seed, weights, data in last_checkpoints(study, arguments["out"], study.nms_free, NMS_FREE):
            with tempfile.TemporaryDirectory() as folder:
                result = yolo_focal.evaluate(
                    weights,
                    data,
                    imgsz=study.training["imgsz"],
                    nms=False,
                    device=arguments["device"],
                    out=Path(folder) / "evaluation",
                    verbose=False,
                )
            (rare,) = [bucket["AP"] for bucket in result.to_dict()["buckets"] if bucket["name"] == "rare"]
            rows.append({"configuration": name, "seed": seed, "AP": result.stats["AP"], "AP rare": rare})
            print(rows[-1])
        _keep_rows(study, rows, arguments["docs"], NMS_FREE)


def run_limit(studies: Sequence[Study], arguments: Mapping[str, Any]) -> None:
    """Validate the last checkpoint of every finished trial of `Study.limit`, with and without NMS's time limit."""
    yolo_focal.enable()
    for study in studies:
        rows = []
        names = study.limit.get("configurations", ())
        for name, seed, weights, data in last_checkpoints(study, arguments["out"], names, LIMIT):
            for batch in study.limit["batch"]:
                row = {"configuration": name, "seed": seed, "batch": batch}
                for limited in (False, True):
                    found = _validated(weights, data, study.limit["imgsz"], batch, limited, arguments["device"])
                    row["limited" if limited else "unlimited"] = found
                rows.append(row)
                print(row)
        _keep_rows(study, rows, arguments["docs"], LIMIT)


def _validated(weights: Path, data: str, imgsz: int, batch: int, limited: bool, device: str) -> dict[str, Any]:
    """AP, images without a detection and milliseconds of NMS of a validation; NMS is Ultralytics' own if `limited`."""
    from ultralytics import YOLO
    from ultralytics.utils import nms

    suppress = inspect.unwrap(nms.non_max_suppression) if limited else nms.non_max_suppression
    images, empty = 0, 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal images, empty
        output = suppress(*args, **kwargs)
        images, empty = images + len(output), empty + sum(not len(each) for each in output)
        return output

    model = YOLO(weights)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(nms, "non_max_suppression", counted):
        metrics = model.val(
            data=data,
            imgsz=imgsz,
            batch=batch,
            iou=0.6,
            device=device,
            plots=False,
            verbose=False,
            workers=0,
            project=folder,
            exist_ok=True,
        )
    milliseconds = metrics.speed["postprocess"]
    return {"AP": float(metrics.box.map), "images": images, "empty": empty, "nms_ms": round(milliseconds, 2)}


def _keep_rows(study: Study, rows: Sequence[Mapping[str, Any]], docs: Path, question: str) -> None:
    file = docs / "evidence" / study.name / f"{question}.jsonl"
    write_rows(file, rows)
    print(file)
