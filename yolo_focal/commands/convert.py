"""An original YOLOv5 checkpoint becomes one of this package's anchor detector."""

from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.commands.arguments import Argument
from yolo_focal.commands.checkpoint_path import checkpoint_path
from yolo_focal.detector.checkpoint import read_original
from yolo_focal.errors import CheckpointError

__all__ = ["ARGUMENTS", "SUMMARY", "run"]

SUMMARY = "an original YOLOv5 checkpoint -> this package's anchor detector"
ARGUMENTS = (
    Argument("weights", None, "original YOLOv5 checkpoint (v6.0 to v7.0, n to x, P5 or P6)", parse=Path, required=True),
    Argument("out", None, "checkpoint to write; NAME-anchor.pt beside the original where not given", parse=Path),
    Argument("data", None, "a data YAML; its number of classes must be the checkpoint's"),
)


def run(arguments: dict[str, Any]) -> int:
    """Convert `weights` to `out`; nothing in the original file is executed.

    Raises:
        CheckpointError: the file is no original YOLOv5 detection checkpoint.
        ConfigError: `out` cannot be used.
    """
    weights: Path = arguments["weights"]
    out = checkpoint_path(weights, arguments["out"], "anchor")
    original = read_original(weights)
    if arguments["data"] is not None:
        _check_classes(len(original.names), arguments["data"])
    yolo_focal.enable()
    from yolo_focal.ultra.anchor.checkpoint import build_model, save_model

    model = build_model(original)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    save_model(model, out, weights)
    print(
        f"{out}: {parameters:,} parameters, {len(original.names)} classes, strides "
        f"{', '.join(f'{stride:g}' for stride in original.strides)}{', fused' if original.fused else ''}\n"
        f"use it: yolo-focal val model={out} data=coco128.yaml"
    )
    return 0


def _check_classes(number: int, data: str) -> None:
    from yolo_focal.ultra.datasets import class_count, resolve_data

    wanted = class_count(resolve_data(data))
    if wanted != number:
        raise CheckpointError(
            f"the checkpoint has {number} classes, but {data} has {wanted}; convert without data= and train on it, "
            "which gives the head the dataset's classes"
        )
