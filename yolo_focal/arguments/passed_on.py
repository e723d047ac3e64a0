"""Which training arguments a command takes beside its own keys."""

from collections.abc import Iterable, Mapping
from typing import Any

from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.arguments.focal import KEYS
from yolo_focal.errors import ConfigError

__all__ = ["MEASURED_WITH", "SHARED_BY_CONFIGURATIONS", "is_taken", "left_out", "passed_on", "refuse_other_classes"]

# These belong to a comparison: every configuration gets the same data, model and budget, and folders are its own.
_BUDGET = (
    *("data", "model", "epochs", "time", "batch", "imgsz", "seed", "device", "fraction", "deterministic", "patience"),
)
_HOUSEKEEPING = ("val", "split", "plots", "save", "save_dir", "project", "name", "exist_ok", "resume", "cfg")
SHARED_BY_CONFIGURATIONS = frozenset([*_BUDGET, *_HOUSEKEEPING, "mode", "task"])
MEASURED_WITH = frozenset({"conf", "iou", "max_det", "nms"})  # how trained models are evaluated, all alike

# A training on these would be evaluated on classes that it never saw, or could not be evaluated at all.
_OTHER_CLASSES = ("classes", "single_cls")

# Of doctor, which measures one batch.
_NOT_THE_FIRST_BATCH = ("mode", "task", "resume", "val", "plots", "save", "verbose", "time", "distill_model")
_FOLDERS = ("project", "name", "exist_ok", "save_dir")
_FIXED = ("workers", "amp", "compile", "multi_scale")  # set by the measurement
_OTHER_DATA = (*_OTHER_CLASSES, "fraction")  # the counted classes and images would not be those of the batch

_LEFT_OUT: Mapping[str, frozenset[str]] = {
    "doctor": frozenset([*_NOT_THE_FIRST_BATCH, *_FOLDERS, *_FIXED, *_OTHER_DATA]),
    "compare": SHARED_BY_CONFIGURATIONS - {"val", "fraction", "deterministic", "cfg"} | {*_OTHER_CLASSES},
    "tune": frozenset({"mode", "task"}),
}


def passed_on(command: str, known: Iterable[str]) -> list[str]:
    """The training arguments that `command` takes beside its own keys.

    Args:
        command: one with training arguments.
        known: all training arguments there are.
    """
    if command == "demo":
        return [name for name in KEYS if name != "focal"]
    own = {key.name for key in COMMANDS[command].keys}
    return [name for name in known if name not in left_out(command) and name not in own]


def is_taken(command: str, name: str) -> bool:
    """Whether the training argument `name` can be given to `command`, as a key of its own or passed on."""
    return name in {key.name for key in COMMANDS[command].keys} or name not in left_out(command)


def left_out(command: str) -> frozenset[str]:
    """The training arguments that `command` does not take on purpose; none where it is not one with such arguments."""
    return _LEFT_OUT.get(command, frozenset())


def refuse_other_classes(source: str, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of a compared training, from `source`, that would train other classes than are evaluated.

    Raises:
        ConfigError: with their names.
    """
    if others := [name for name in _OTHER_CLASSES if arguments.get(name) not in (None, False)]:
        raise ConfigError(
            f"{source} sets {', '.join(others)}: every training is evaluated on all classes; leave it out, or give a "
            "data YAML of the classes you want"
        )
