"""A map of scores folded into the convolutions that make them, and the checkpoint with these weights.

Only the last class convolution of each level changes (with anchors, its objectness channels too), so the result is an
ordinary checkpoint: nothing is added to the model, and no code of this package is needed to use it.
"""

import copy
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from yolo_focal.detector.decode import BOX_AND_OBJECTNESS
from yolo_focal.errors import CheckpointError, UnsupportedModelError
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.head import AnchorDetect, last_layer
from yolo_focal.ultra.drivers.load_model import LOADING_ERRORS, unloadable

__all__ = [
    "ONE_TO_MANY",
    "ONE_TO_ONE",
    "fold_scores",
    "load_branch",
    "read_checkpoint",
    "score_branches",
    "write_folded",
]

ONE_TO_MANY, ONE_TO_ONE = "one2many", "one2one"
_CLASS_CONVOLUTIONS = {ONE_TO_MANY: "cv3", ONE_TO_ONE: "one2one_cv3"}


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of an Ultralytics checkpoint, its final model (EMA where there is one) under `model`.

    Raises:
        CheckpointError: there is no such file, or it is no checkpoint of Ultralytics.
    """
    try:
        content = host.torch_safe_load(str(path))[0]
    except LOADING_ERRORS as error:
        raise unloadable(path, error) from error
    model = (content.get("ema") or content.get("model")) if isinstance(content, dict) else None
    if not isinstance(model, nn.Module):
        raise CheckpointError(f"model={path} holds no model; give a .pt checkpoint of Ultralytics")
    return {**content, "model": model, "ema": None}


def score_branches(model: nn.Module) -> tuple[str, ...]:
    """The branches of a model's head that make scores: one, or both of an end-to-end head that still has them.

    Raises:
        UnsupportedModelError: the scores of this head are not made by convolutions of one channel per class.
    """
    head = last_layer(model)
    if isinstance(head, AnchorDetect):
        return (ONE_TO_MANY,)
    of_text = (host.WorldDetect, host.YOLOEDetect)
    if not isinstance(head, host.Detect) or isinstance(head, of_text):
        raise UnsupportedModelError(
            f"the scores of a {type(head).__name__} head cannot be recalibrated in its weights; expected a Detect head "
            "(YOLOv8, 10, 11, 12, 26, ...) or the anchor detector"
        )
    return tuple(branch for branch, name in _CLASS_CONVOLUTIONS.items() if getattr(head, name, None) is not None)


def load_branch(path: Path, branch: str) -> Any:
    """An `ultralytics.YOLO` of a checkpoint, set to validate with one branch of its head."""
    model = host.YOLO(str(path))
    if "end2end" in host.DEFAULT_CFG_DICT:  # how versions before 8.4.175 choose
        model.overrides["end2end"] = branch == ONE_TO_ONE
    elif branch == ONE_TO_ONE:
        model.overrides["nms"] = False
    return model


def fold_scores(
    model: nn.Module,
    branch: str,
    scale: Sequence[float],
    shift: Sequence[float],
    class_shifts: Sequence[float] | None = None,
) -> None:
    """Make every logit of a branch scale * logit + shift, in place.

    The convolutions become 32-bit: half precision would round scaled weights anew and so reorder detections.

    Args:
        model: with a head that `score_branches` accepts.
        branch: one of its branches.
        scale: of the class logits, after that of the objectness with anchors.
        shift: likewise.
        class_shifts: one per class of the model, on top.
    """
    head: Any = model.model[-1]  # type: ignore[index]
    added = torch.zeros(head.nc, dtype=torch.float64)
    if class_shifts is not None:
        added += torch.tensor(class_shifts, dtype=torch.float64)
    if isinstance(head, AnchorDetect):
        channel_scale, channel_shift = torch.ones(head.no).double(), torch.zeros(head.no).double()
        channel_scale[BOX_AND_OBJECTNESS - 1], channel_shift[BOX_AND_OBJECTNESS - 1] = scale[0], shift[0]
        channel_scale[BOX_AND_OBJECTNESS:], channel_shift[BOX_AND_OBJECTNESS:] = scale[1], shift[1] + added
        layers: Any = head.m
        for convolution in layers:
            _scale_channels(convolution, channel_scale.repeat(head.na), channel_shift.repeat(head.na))
        return
    for convolution in _class_convolutions(head, branch):
        _scale_channels(convolution, torch.full((head.nc,), scale[0], dtype=torch.float64), shift[0] + added)


def _class_convolutions(head: Any, branch: str) -> Iterator[nn.Conv2d]:
    for level in getattr(head, _CLASS_CONVOLUTIONS[branch]):
        convolution = level[-1]
        if not isinstance(convolution, nn.Conv2d) or convolution.out_channels != head.nc or convolution.bias is None:
            raise UnsupportedModelError(
                f"the last class layer of this {type(head).__name__} head is {convolution}; expected a convolution "
                f"with a bias and {head.nc} channels: give an unmodified model of Ultralytics"
            )
        yield convolution


def _scale_channels(convolution: nn.Conv2d, scale: Tensor, shift: Tensor) -> None:
    assert convolution.bias is not None
    convolution.float()
    with torch.no_grad():
        convolution.weight.copy_(convolution.weight.double() * scale[:, None, None, None])
        convolution.bias.copy_(convolution.bias.double() * scale + shift)


def write_folded(content: dict[str, Any], model: nn.Module, path: Path) -> None:
    """Write a checkpoint like `content` with other weights, finished: without what a resumed training would need.

    Args:
        content: from `read_checkpoint`.
        model: its model, folded.
        path: an existing or new file, written in place: use it with `replace_file`.
    """
    model = copy.deepcopy(model)
    if hasattr(model, "criterion"):
        model.criterion = None  # type: ignore[assignment]
    for parameter in model.parameters():
        parameter.requires_grad = False
    unfinished = dict.fromkeys(("optimizer", "best_fitness", "stopper", "ema", "updates", "scaler"))
    date = datetime.now().astimezone().isoformat()
    torch.save({**content, **unfinished, "epoch": -1, "date": date, "model": model}, path)
