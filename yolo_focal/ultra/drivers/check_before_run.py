"""The arguments of a run checked before it begins and writes: those of an experiment all, those of any run a few.

Device, image size and optimizer are values that Ultralytics judges only once a run has begun.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from yolo_focal.errors import ConfigError, reason_of
from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.arguments import misspelt
from yolo_focal.ultra.logger import warnings_only
from yolo_focal.ultra.training import check_training

__all__ = ["check_asked", "check_before_run"]


def check_before_run(given: Mapping[str, Any]) -> None:
    """Check the device, image size and optimizer of a run that is about to begin.

    Raises:
        ConfigError: Ultralytics would refuse one of them later.
    """
    problems = [
        problem
        for name, judge in _JUDGES.items()
        if given.get(name) is not None and (problem := judge(given[name])) is not None
    ]
    if problems:
        raise ConfigError(problems)


def check_asked(model: Any, arguments: Mapping[str, Any]) -> None:
    """Check all arguments of a training before it starts; the plugin is enabled.

    Args:
        model: an `ultralytics.YOLO`.
        arguments: as they will be given to its `train`.

    Raises:
        YoloFocalError: an argument is unknown or wrong, or cannot act on this model and dataset.
    """
    if problems := misspelt(arguments, host.DEFAULT_CFG_DICT):
        raise ConfigError(problems)
    try:
        host.get_cfg(overrides=dict(arguments))
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
    stride = max(int(model.model.stride.max()), 32)
    if arguments["imgsz"] % stride:
        raise ConfigError(
            f"imgsz must be a multiple of {stride}, the stride of this model, got {arguments['imgsz']}; Ultralytics "
            "would train at another size than asked"
        )
    check_training(model.model, arguments)


def _device_problem(device: Any) -> str | None:
    if str(device) in ("", "cpu", "-1"):  # the last asks for one that is idle, which takes a while to find
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        host.torch_utils.select_device(device, verbose=False)
    except ValueError:
        number = torch.cuda.device_count()
        there = f"torch sees {number} CUDA devices, 0 to {number - 1}" if number else "torch sees no CUDA device"
        return f"device={device} is not there: {there}; device=cpu is"
    finally:  # earlier versions of Ultralytics narrow it
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        if visible is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = visible
    return None


def _size_problem(size: Any) -> str | None:
    try:
        host.check_imgsz(size, stride=1)
    except (TypeError, ValueError):
        return f"imgsz must be a whole number of pixels, as in imgsz=640, or height and width, got {size}"
    return None


def _optimizer_problem(name: Any) -> str | None:
    """Known names are known to the function that builds it, and fail there later, for want of a real trainer."""
    try:
        with warnings_only():
            host.BaseTrainer.build_optimizer(None, nn.Linear(1, 1), str(name))
    except NotImplementedError as error:
        return reason_of(error).partition(". Request")[0]
    except Exception:
        return None
    return None


_JUDGES: dict[str, Callable[[Any], str | None]] = {
    "device": _device_problem,
    "imgsz": _size_problem,
    "optimizer": _optimizer_problem,
}
