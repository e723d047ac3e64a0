"""One training of an experiment: Ultralytics' ordinary trainer, quiet, with one progress bar over its epochs."""

import collections
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.data.progress_bar import open_bar
from yolo_focal.ultra import host
from yolo_focal.ultra.drivers.running_criterion import criterion_in_use
from yolo_focal.ultra.logger import warnings_only

__all__ = ["TrainedModel", "train_quietly"]

_PAUSE = 1.0  # seconds between two batches that the bar shows


@dataclass(frozen=True)
class TrainedModel:
    """A finished training.

    Attributes:
        folder: its run folder, with args.yaml and results.csv.
        checkpoint: the weights (EMA) after the last epoch; unlike best.pt they were not chosen on the evaluated split.
        seconds: wall time.
        criterion: the class criterion of each branch, read off the training while it ran.
    """

    folder: Path
    checkpoint: Path
    seconds: float
    criterion: dict[str, str]


def train_quietly(
    model: str,
    folder: Path,
    label: str,
    arguments: Mapping[str, Any],
    first_epoch: Callable[[float], None] | None = None,
) -> TrainedModel:
    """Train `model` with `arguments` into `folder`; enables the plugin.

    Args:
        model: an architecture YAML or a checkpoint.
        folder: the run folder; an existing one is written over.
        label: in front of the progress bar.
        arguments: training arguments, those of this plugin included.
        first_epoch: is called after the first epoch with the seconds it took.
    """
    yolo_focal.enable()
    started = time.perf_counter()
    with warnings_only():
        _import_loggers()
        yolo = host.YOLO(model)
        _show_epochs(yolo, label)
        criterion = _watch_criterion(yolo)
        if first_epoch is not None:
            _time_first_epoch(yolo, first_epoch)
        yolo.train(project=str(folder.parent), name=folder.name, exist_ok=True, **arguments)
    return TrainedModel(folder, folder / "weights" / "last.pt", time.perf_counter() - started, criterion)


def _import_loggers() -> None:
    """Import the packages of the loggers before a training, as every later training of this process finds them.

    Ultralytics imports them once the trainer has seeded the random numbers, and some draw from them when imported: the
    first training of a process would be augmented otherwise than the same one after another.
    """

    class Trainer:
        def __init__(self) -> None:
            self.callbacks: dict[str, list[Callable[..., None]]] = collections.defaultdict(list)

    host.add_integration_callbacks(Trainer())


def _watch_criterion(yolo: Any) -> dict[str, str]:
    """A dictionary that the end of every epoch fills with the criterion in use."""
    seen: dict[str, str] = {}

    def look(trainer: Any) -> None:
        seen.update(criterion_in_use(trainer) or {})

    yolo.add_callback("on_fit_epoch_end", look)
    return seen


def _time_first_epoch(yolo: Any, tell: Callable[[float], None]) -> None:
    def end_epoch(trainer: Any) -> None:
        if trainer.epoch == trainer.start_epoch:
            tell(trainer.epoch_time)

    yolo.add_callback("on_fit_epoch_end", end_epoch)


def _show_epochs(yolo: Any, label: str) -> None:
    """A progress bar over epochs, with the losses beside it, and within an epoch its batches."""
    bars: list[Any] = []
    batches, shown = itertools.count(1), time.monotonic()

    def start(trainer: Any) -> None:
        bars.append(open_bar(trainer.epochs, label, initial=trainer.start_epoch, unit="epoch"))

    def start_epoch(trainer: Any) -> None:
        nonlocal batches
        batches = itertools.count(1)

    def end_batch(trainer: Any) -> None:
        nonlocal shown
        batch = next(batches)
        if time.monotonic() - shown > _PAUSE:
            shown = time.monotonic()
            bars[-1].set_postfix_str(f"batch {batch}/{len(trainer.train_loader)}")

    def step(trainer: Any) -> None:
        losses = "  ".join(f"{name} {float(value):.3g}" for name, value in trainer.tloss.items())
        bars[-1].set_postfix_str("", refresh=False)
        bars[-1].set_description(f"{label}  {losses}", refresh=False)
        bars[-1].update(1)

    def end(trainer: Any) -> None:
        bars[-1].close()

    yolo.add_callback("on_train_start", start)
    yolo.add_callback("on_train_epoch_start", start_epoch)
    yolo.add_callback("on_train_batch_end", end_batch)
    yolo.add_callback("on_train_epoch_end", step)
    yolo.add_callback("on_train_end", end)
