"""A model by its name or path, or one sentence about why it cannot be had."""

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.console import pasteable
from yolo_focal.errors import CheckpointError, ConfigError, UntrustedCheckpointError, reason_of
from yolo_focal.paths import is_file
from yolo_focal.ultra import host
from yolo_focal.ultra.datasets import UPRIGHT_BOX_TASKS
from yolo_focal.ultra.hooks.checkpoints import refuse_missing
from yolo_focal.ultra.hooks.seam import MARK

__all__ = ["LOADING_ERRORS", "load_model", "load_to_compare", "refuse_original_yolov5", "unloadable"]

# What loading a damaged file, or one that is no model, ends in: bytes that are no pickle may look like one for a while.
LOADING_ERRORS = (
    *(OSError, ValueError, ImportError, TypeError, AttributeError, LookupError, NotImplementedError, RuntimeError),
    *(AssertionError, SyntaxError, EOFError, MemoryError, OverflowError, pickle.PickleError, struct.error),
)

_LARGEST_PICKLE = 50_000_000  # bytes; that of a detector has a few hundred thousand


def load_model(name: str | Path) -> Any:
    """The `ultralytics.YOLO`, or `RTDETR` as the yolo command chooses it, of an architecture, checkpoint or export.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    refuse_missing(name)
    refuse_original_yolov5(name)
    kind = host.RTDETR if "rtdetr" in Path(name).stem.lower() else host.YOLO
    enabled = hasattr(host.tasks.torch_safe_load, MARK)
    yolo_focal.enable()  # which knows the classes of the anchor detector, and whether to load safely
    try:
        return kind(str(name))
    except UntrustedCheckpointError:
        raise
    except LOADING_ERRORS as error:
        raise unloadable(name, error) from error
    finally:
        if not enabled:
            yolo_focal.disable()


def refuse_original_yolov5(name: str | Path) -> None:
    """Raise CheckpointError for a file of YOLOv5's own program, which Ultralytics would pass over for its successor."""
    if _is_original_yolov5(Path(name)):
        raise CheckpointError(
            f"model={name} is a checkpoint of the original YOLOv5; make one of this package's anchor detector from it: "
            + pasteable("convert", f"weights={name}")
        )


def load_to_compare(name: str | Path) -> Any:
    """The model at `name`, if its trainings with a focal loss can be compared with those with BCE.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: it has no upright boxes, or trains without BCE.
    """
    yolo = load_model(name)
    if yolo.task not in UPRIGHT_BOX_TASKS:
        raise ConfigError(f"model={name} is for '{yolo.task}', which has no upright boxes to compare; give a detector")
    if isinstance(yolo.model, host.RTDETRDetectionModel):
        raise ConfigError(
            f"model={name} is an RT-DETR, which without focal arguments trains with a varifocal loss, not with BCE, "
            "the baseline here; train its losses one by one, and measure each: yolo-focal evaluate"
        )
    return yolo


def _is_original_yolov5(path: Path) -> bool:
    """Whether a file names the classes of YOLOv5's own code; looked at as bytes, nothing in it is executed."""
    if path.suffix != ".pt" or not is_file(path) or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        pickles = [each for each in archive.infolist() if each.filename.endswith("data.pkl")]
        if not pickles or pickles[0].file_size > _LARGEST_PICKLE:
            return False
        return b"models.yolo" in archive.read(pickles[0])


def unloadable(name: str | Path, error: Exception) -> CheckpointError:
    """What to tell the user where loading `name` ended in `error`."""
    path, reason = Path(name), reason_of(error)
    explained = isinstance(error, OSError | ImportError) or "YOLOv5" in reason
    if not explained and path.suffix.lower() == ".pt" and is_file(path) and not zipfile.is_zipfile(path):
        reason = "it is damaged, or no PyTorch checkpoint"  # what an unpickler says of such bytes is chance
    return CheckpointError(
        f"model={name} cannot be loaded ({reason}); give an architecture such as yolo11n.yaml, or a "
        "checkpoint or exported model of Ultralytics"
    )
