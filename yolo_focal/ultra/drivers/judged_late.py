"""Arguments whose values Ultralytics judges only once a run has begun and written: judged before it, in one line."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from yolo_focal.errors import ConfigError, reason_of
from yolo_focal.ultra import host
from yolo_focal.ultra.logger import warnings_only

__all__ = ["check_before_run", "refused_value"]


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


def refused_value(error: Exception, words: Sequence[str]) -> bool:
    """Whether `error` tells the user about the value of one of the command line's words, `name=value`."""
    message = str(error)
    pairs = [word.lstrip("-").partition("=")[::2] for word in words if "=" in word]
    return any(
        value and any(quoted in message for quoted in (f"{name}={value}", f"{name}='{value}'", f"'{value}'"))
        for name, value in pairs
    )


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
