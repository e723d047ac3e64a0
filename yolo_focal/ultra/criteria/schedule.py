"""The settings of a training, read once, and its epoch, which moves gamma (fl_warmup, fl_cooldown).

One `Schedule` belongs to one training. Its model, the EMA copy that validation uses, and every criterion built for
either hold the same object, so they cannot disagree. There is nothing to save: settings are in the training arguments,
and the epoch is the trainer's.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.auto_alpha import settled_config

__all__ = ["Schedule", "follow_training", "leave_training", "schedule_of", "settings_of"]


class Schedule:
    """Where one training stands; outside of a training, gamma is at its full value.

    Args:
        config: the settings of the training; None where focal is off.

    Attributes:
        epoch: number of the current epoch, the first being 0; None outside of a training.
        epochs: how many there are.
    """

    def __init__(self, config: FocalConfig | None = None):
        self.config = config
        self.epoch: int | None = None
        self.epochs = 0

    def gamma(self, config: FocalConfig) -> float:
        """That of the present epoch."""
        return config.gamma if self.epoch is None else config.gamma_at(self.epoch, self.epochs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Schedule":
        return self  # a copied criterion (EMA) belongs to the same training


_schedules: "WeakKeyDictionary[nn.Module, Schedule]" = WeakKeyDictionary()


def schedule_of(model: nn.Module) -> Schedule:
    """That of the training which `model` is in, or a new one."""
    return _schedules.get(model) or Schedule()


def settings_of(model: nn.Module) -> FocalConfig | None:
    """Those of the training which `model` is in; outside of any, those in `model.args`. None where focal is off.

    Raises:
        ConfigError: outside of a training, a bad value, or fl_alpha=auto where the dataset is not at hand.
    """
    schedule = _schedules.get(model)
    if schedule is not None:
        return schedule.config
    arguments = getattr(model, "args", {})
    return settled_config(arguments if isinstance(arguments, Mapping) else vars(arguments))


def leave_training(model: nn.Module) -> None:
    """Let `model` stand for itself again, with the settings in its own arguments."""
    _schedules.pop(model, None)


def follow_training(trainer: Any, config: FocalConfig) -> Schedule:
    """Let the criteria of the trainer's model and EMA have these settings and follow its epochs.

    To be called when the trainer has built model and EMA, before any criterion is used.
    """
    schedule = Schedule(config)
    model = host.unwrap_model(trainer.model)
    for trained in (model, trainer.ema.ema):
        _schedules[trained] = schedule
        if hasattr(trained, "student_model"):  # distillation trains a model inside another
            _schedules[trained.student_model] = schedule

    def start_epoch(trainer: Any) -> None:
        schedule.epoch, schedule.epochs = trainer.epoch, trainer.epochs

    trainer.add_callback("on_train_epoch_start", start_epoch)
    return schedule
