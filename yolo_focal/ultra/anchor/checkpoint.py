"""An original YOLOv5 checkpoint as a model and checkpoint of Ultralytics with the anchor head."""

from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from yolo_focal import __version__
from yolo_focal.detector.checkpoint import OriginalCheckpoint
from yolo_focal.errors import CheckpointError
from yolo_focal.files import replace_file
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.registration import bundled_model
from yolo_focal.ultra.datasets import class_count, resolve_data

__all__ = ["build_model", "check_classes", "save_model"]


def build_model(original: OriginalCheckpoint) -> Any:
    """The `DetectionModel` with the weights, anchors and names of `original`; needs the plugin enabled.

    Raises:
        CheckpointError: a tensor is missing, unknown or of another shape than the architecture's.
    """
    architecture = bundled_model(f"yolov5{'n' if original.levels == 3 else 'n6'}-anchor.yaml")
    assert architecture is not None
    scales = architecture["scales"]
    scale = next((name for name, row in scales.items() if row[:2] == [original.depth, original.width]), None)
    if scale is None:  # someone's own multiples
        scale, scales = "custom", {"custom": [original.depth, original.width, scales["n"][2]]}
    suffix = "-p6" if original.levels == 4 else ""
    architecture.update(
        nc=len(original.names),
        anchors=[[size for pair in level for size in pair] for level in original.anchors],
        scale=scale,
        scales=scales,
        yaml_file=f"yolov5{scale if len(scale) == 1 else ''}{suffix}-anchor.yaml",
    )
    model = host.DetectionModel(architecture, verbose=False)
    if original.fused:
        model.fuse(verbose=False)
    _load_exactly(model, original)
    model.names = dict(enumerate(original.names))
    model.task = "detect"
    return model.eval()


def _load_exactly(model: Any, original: OriginalCheckpoint) -> None:
    expected = model.state_dict()
    wrong = [
        f"{name} {tuple(original.state[name].shape) if name in original.state else 'missing'}, "
        f"expected {tuple(expected[name].shape) if name in expected else 'no such tensor'}"
        for name in sorted({*expected, *original.state})
        if name not in expected or name not in original.state or expected[name].shape != original.state[name].shape
    ]
    if wrong:
        raise CheckpointError(
            f"the weights are not those of YOLOv5 v6.0 with depth {original.depth:g} and width {original.width:g}: "
            f"{'; '.join(wrong[:3])}{' and others' if len(wrong) > 3 else ''}; give an unmodified architecture"
        )
    strides = tuple(model.model[-1].pixels_per_cell)
    if strides != original.strides:
        raise CheckpointError(f"the head's strides are {original.strides}, expected {strides}; give an unmodified one")
    model.load_state_dict({name: value.to(expected[name].dtype) for name, value in original.state.items()})


def save_model(model: Any, path: Path, source: Path) -> None:
    """Write `model` as a checkpoint that Ultralytics loads, in half precision like all of its own.

    Args:
        model: a `DetectionModel`.
        path: where to; its folder is created.
        source: the file it came from, noted in the checkpoint.
    """
    model.args = {"task": "detect", "mode": "train", "model": str(source.name), "imgsz": 640}
    content = {
        "epoch": -1,
        "best_fitness": None,
        "model": model.half(),
        "ema": None,
        "updates": None,
        "optimizer": None,
        "train_args": model.args,
        "train_metrics": None,
        "train_results": None,
        "date": datetime.now().astimezone().isoformat(),
        "version": host.version(),
        "license": "AGPL-3.0",
        "docs": f"converted from {source.name} by yolo_focal {__version__}",
    }
    with replace_file(path) as temporary:
        torch.save(content, temporary)


def check_classes(number: int, data: str) -> None:
    """Raise CheckpointError where the data YAML `data` declares another number of classes."""
    wanted = class_count(resolve_data(data, draw=False))
    if wanted != number:
        raise CheckpointError(
            f"the checkpoint has {number} classes, but {data} has {wanted}; convert without data= and train on it, "
            "which gives the head the dataset's classes"
        )
