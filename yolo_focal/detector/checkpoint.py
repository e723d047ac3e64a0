"""Original YOLOv5 checkpoints, read without running their pickle.

Such a file is a pickled `models.yolo.Model`. Here every class it may name has an empty stand-in that only keeps the
attributes it is given, so that no code of the file, of YOLOv5 or of `torch.nn` runs; anything else is refused by name.
"""

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolo_focal.detector.anchors import LevelAnchors
from yolo_focal.errors import CheckpointError, reason_of

__all__ = ["OriginalCheckpoint", "read_original"]

# What a detection checkpoint of YOLOv5 v6.0 to v7.0 is made of.
_CLASSES = (
    "models.yolo.Model",
    "models.yolo.DetectionModel",
    "models.yolo.Detect",
    "models.common.Conv",
    "models.common.C3",
    "models.common.Bottleneck",
    "models.common.SPPF",
    "models.common.Concat",
    "torch.nn.modules.activation.SiLU",
    "torch.nn.modules.batchnorm.BatchNorm2d",
    "torch.nn.modules.container.ModuleList",
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.conv.Conv2d",
    "torch.nn.modules.linear.Identity",
    "torch.nn.modules.pooling.MaxPool2d",
    "torch.nn.modules.upsampling.Upsample",
    # beside the model in files that training has not stripped: the best fitness, paths among the options
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
)
_ROOTS = ("models.yolo.Model", "models.yolo.DetectionModel")
_MOST_NUMBERS = 400_000_000  # yolov5x6 has 141 million
_MOST_CLASSES = 10_000
_STRIDES = (8.0, 16.0, 32.0, 64.0)
_GREATEST_ANCHOR = 10_000
_LARGEST_MULTIPLE = 4.0  # yolov5x has depth 1.33 and width 1.25
_MOST_TENSORS = 2000  # yolov5x6 has under 1,000
_GREATEST_PICKLE_BYTES = 64 * 2**20  # the largest original file's is under 1 MB; its tensors lie beside it
_REMEDY = (
    "give an original YOLOv5 v6.0 to v7.0 detection checkpoint (yolov5n.pt to yolov5x6.pt, or one trained from it)"
)


class _StandIn:
    """Keeps what a pickle gives it and does nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} without {name}")

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def _stand_in(name: str) -> type[_StandIn]:
    module, _, class_name = name.rpartition(".")
    return type(class_name, (_StandIn,), {"__module__": module, "__qualname__": class_name})


_STAND_INS = {name: _stand_in(name) for name in _CLASSES}


@dataclass(frozen=True)
class OriginalCheckpoint:
    """An original YOLOv5 detector.

    Attributes:
        state: parameters and buffers of the layers, by the names of `state_dict()` (`model.0.conv.weight`, ...);
            the anchors are not among them.
        anchors: sizes in pixels.
        strides: pixels per cell, one a level.
        names: class names, in order.
        depth: depth multiple of the architecture.
        width: width multiple of the architecture.
        levels: 3 (P5) or 4 (P6).
        fused: whether batch normalisation is already folded into the convolutions.
    """

    state: dict[str, Tensor]
    anchors: LevelAnchors
    strides: tuple[float, ...]
    names: tuple[str, ...]
    depth: float
    width: float
    levels: int
    fused: bool


def read_original(path: Path) -> OriginalCheckpoint:
    """Read an original YOLOv5 checkpoint (v6.0 to v7.0, n to x, P5 and P6) without running anything in it.

    Raises:
        CheckpointError: the file is missing, truncated, not a torch checkpoint, names any class outside the list
            above, or is no such detector.
    """
    content = _load(path)
    candidate = content.get("ema") or content.get("model") if isinstance(content, dict) else content
    if type(candidate) not in [_STAND_INS[name] for name in _ROOTS]:
        raise CheckpointError(f"{path} holds no YOLOv5 detection model; {_REMEDY}")
    try:
        return _read_model(candidate)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise CheckpointError(
            f"{path} is not built like a YOLOv5 v6.0 detector ({type(error).__name__}: {error}); {_REMEDY}"
        ) from error


def _load(path: Path) -> Any:
    """The unpickled content, made of stand-ins, tensors and plain values only."""
    _check_archive(path)
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise CheckpointError(f"reading {path} safely needs torch >= 2.6, this is {torch.__version__}; upgrade torch")
    with torch.serialization.safe_globals(list(_STAND_INS.values())):
        try:
            foreign = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
            content = None if foreign else torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a broken pickle makes the reader raise, it is one thing to the user
            raise CheckpointError(
                f"{path} cannot be read as a checkpoint ({reason_of(error)[:200]}); {_REMEDY}"
            ) from error
    if foreign:
        raise CheckpointError(
            f"{path} names {', '.join(foreign)}, which no YOLOv5 v6.0 to v7.0 detection checkpoint needs; "
            f"nothing in it was run; {_REMEDY}"
        )
    return content


def _check_archive(path: Path) -> None:
    """Refuse what is not a whole, uncompressed torch archive, before torch sees it."""
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file; {_REMEDY}")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is truncated or no torch checkpoint ({error}); {_REMEDY}") from error
    pickles = [entry for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise CheckpointError(f"{path} is a zip file but no torch checkpoint (no data.pkl in it); {_REMEDY}")
    compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if compressed or pickles[0].file_size > _GREATEST_PICKLE_BYTES:
        raise CheckpointError(
            f"{path} is compressed or its pickle is larger than {_GREATEST_PICKLE_BYTES >> 20} MiB, which torch never "
            f"writes for such a model; {_REMEDY}"
        )


def _read_model(model: Any) -> OriginalCheckpoint:
    layers = _children(_children(model)["model"])
    if len(layers) not in (25, 34):
        raise ValueError(f"{len(layers)} layers, expected 25 (P5) or 34 (P6)")
    head = list(layers.values())[-1]
    if type(head) is not _STAND_INS["models.yolo.Detect"]:
        raise ValueError(f"the last layer is {type(head).__name__}, expected Detect")
    state = {f"model.{name}": value for name, value in _state(_children(model)["model"], depth=0).items()}
    head_prefix = f"model.{len(layers) - 1}."
    grid_anchors = state.pop(f"{head_prefix}anchors")
    state = {name: value for name, value in state.items() if name != f"{head_prefix}anchor_grid"}
    strides = tuple(float(stride) for stride in head.stride)
    if strides not in (_STRIDES[:3], _STRIDES):
        raise ValueError(f"strides {strides}, expected {_STRIDES[:3]} or {_STRIDES}")
    _check_numbers({**state, f"{head_prefix}anchors": grid_anchors})
    if grid_anchors.ndim != 3 or len(grid_anchors) != len(strides) or grid_anchors.numel() > 64:
        raise ValueError(f"anchors of shape {tuple(grid_anchors.shape)} for {len(strides)} strides")
    anchors = tuple(
        tuple((float(width) * stride, float(height) * stride) for width, height in level.tolist())
        for level, stride in zip(grid_anchors, strides, strict=True)
    )
    if not all(0 < size <= _GREATEST_ANCHOR for level in anchors for pair in level for size in pair):
        raise ValueError(f"an anchor that is not between 0 and {_GREATEST_ANCHOR} pixels")
    names = _names(model.names)
    if not 1 <= len(names) <= _MOST_CLASSES:
        raise ValueError(f"{len(names)} classes, expected 1 to {_MOST_CLASSES}")
    if len(names) != head.nc:
        raise ValueError(f"{len(names)} class names for {head.nc} classes")
    return OriginalCheckpoint(
        state=state,
        anchors=anchors,
        strides=strides,
        names=names,
        depth=_multiple(model.yaml, "depth_multiple"),
        width=_multiple(model.yaml, "width_multiple"),
        levels=len(strides),
        fused="model.0.bn.weight" not in state,
    )


def _check_numbers(state: Mapping[str, Any]) -> None:
    """Raise ValueError for what is no tensor, larger than its storage or than any YOLOv5 model, or not finite."""
    numbers = 0
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} is no tensor")
        numbers += value.numel()
        held = value.untyped_storage().nbytes()
        if value.numel() * value.element_size() > held or numbers > _MOST_NUMBERS:
            raise ValueError(f"{name} of shape {tuple(value.shape)} is larger than what the file holds of it")
        if not value.isfinite().all():
            raise ValueError(f"{name} has numbers that are not finite")


def _multiple(architecture: Mapping[str, Any], name: str) -> float:
    value = float(architecture[name])
    if not (math.isfinite(value) and 0 < value <= _LARGEST_MULTIPLE):
        raise ValueError(f"{name} {value:g}, expected above 0 and at most {_LARGEST_MULTIPLE:g}")
    return value


def _names(names: Any) -> tuple[str, ...]:
    ordered = [names[index] for index in range(len(names))] if isinstance(names, Mapping) else list(names)
    return tuple(str(name) for name in ordered)


def _children(module: Any) -> dict[str, Any]:
    return {name: child for name, child in module._modules.items() if child is not None}


def _state(module: Any, depth: int) -> dict[str, Tensor]:
    """Parameters and persistent buffers of a module tree of stand-ins, by dotted name."""
    if depth > 8:
        raise ValueError("modules nested deeper than a YOLOv5 model")  # also ends a tree that contains itself
    own = {**module._parameters, **module._buffers}
    state = {name: value.detach() for name, value in own.items() if value is not None}
    for name, child in _children(module).items():
        state.update({f"{name}.{key}": value for key, value in _state(child, depth + 1).items()})
        if len(state) > _MOST_TENSORS:
            raise ValueError("more tensors than a YOLOv5 model")  # also ends a tree that repeats itself
    return state
