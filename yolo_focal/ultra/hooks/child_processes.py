"""Processes that Ultralytics starts on its own (tuner trials, DDP ranks, Ray workers) get the plugin as well."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.arguments.focal import focal_keys
from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.seam import seam

__all__ = ["EnableWhenUnpickled", "PATCHES"]

_ORIGINAL = [sys.executable, "-m", "ultralytics.cfg.__init__"]


class _ChildCommand:
    """The command line of tuner trials, edited in place because importers hold the list itself."""

    def missing(self) -> str | None:
        try:
            command = host.cfg._YOLO_CLI_COMMAND
            if isinstance(command, list) and command is host.trainer_module._YOLO_CLI_COMMAND:
                return None
        except (ImportError, AttributeError):
            pass
        return "ultralytics.cfg._YOLO_CLI_COMMAND: one list holds the command of child trainings, shared by importers"

    def install(self) -> None:
        host.cfg._YOLO_CLI_COMMAND[:] = [sys.executable, "-m", "yolo_focal.child"]

    def uninstall(self) -> None:
        host.cfg._YOLO_CLI_COMMAND[:] = _ORIGINAL


@seam(
    "dist.generate_ddp_file",
    "takes the trainer, writes the program of a DDP rank and returns its path; generate_ddp_command calls it",
    lambda _: "generate_ddp_file" in host.dist.generate_ddp_command.__code__.co_names,
)
def _generate_ddp_file(original: Callable[[Any], str], trainer: Any) -> str:
    path = Path(original(trainer))
    package_parent = str(Path(yolo_focal.__file__).resolve().parents[1])
    enable = f"import sys\nsys.path.append({package_parent!r})\nimport yolo_focal\nyolo_focal.enable()\n"
    path.write_text(enable + path.read_text(encoding="utf-8"), encoding="utf-8")
    return str(path)


class EnableWhenUnpickled:
    """An attribute for objects that travel to another process by pickle: unpickling it there enables the plugin."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _enabled_passenger, ()


def _enabled_passenger() -> EnableWhenUnpickled:
    yolo_focal.enable()
    return EnableWhenUnpickled()


@seam(
    "Model.tune",
    "starts the tuner, or Ray Tune with the model itself pickled into the workers",
)
def _tune(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
    self.yolo_focal = EnableWhenUnpickled()  # Ray pickles the model into its workers
    if focal_keys(kwargs.get("space") or {}):
        kwargs.setdefault("focal", True)  # as giving any of them does
    return original(self, *args, **kwargs)


PATCHES = (_ChildCommand(), _generate_ddp_file, _tune)
