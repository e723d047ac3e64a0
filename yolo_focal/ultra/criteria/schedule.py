"""The settings of a training, read once, its epoch, which moves gamma (fl_warmup, fl_cooldown), and what fl_loss=efl
remembers.

One `Schedule` belongs to one training. Its model, the EMA copy that validation uses, and every criterion built for
either hold the same object, so they cannot disagree. Settings are in the training arguments and the epoch is the
trainer's. The gradients of classes that the equalized focal loss has seen are saved with the EMA model, as an attribute
of plain numbers, which Ultralytics ignores; a training that is resumed goes on from them.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.losses import ClassGradients
from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.auto_alpha import settled_config

__all__ = ["Schedule", "follow_training", "follow_with_new_ema", "leave_training", "schedule_of", "settings_of"]


class Schedule:
    """Where one training stands; outside of a training, gamma is at its full value.

    Args:
        config: the settings of the training; None where focal is off.
        saved: for each term the state of its gradients, as a checkpoint has them.

    Attributes:
        epoch: number of the current epoch, the first being 0; None outside of a training.
        epochs: how many there are.
        gradients: what the equalized focal loss of each term has seen, by the name of the branch or of the term.
    """

    def __init__(self, config: FocalConfig | None = None, saved: Any = None):
        self.config = config
        self.epoch: int | None = None
        self.epochs = 0
        self.gradients: dict[str, ClassGradients] = {}
        for term, state in (saved if isinstance(saved, Mapping) else {}).items():
            self.gradients_of(term).load(state)

    def gradients_of(self, term: str) -> ClassGradients:
        """Those of one term, shared by every criterion of the training."""
        return self.gradients.setdefault(term, ClassGradients())

    def gamma(self, config: FocalConfig) -> float:
        """That of the present epoch."""
        return config.gamma if self.epoch is None else config.gamma_at(self.epoch, self.epochs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Schedule":
        return self  # a copied criterion (EMA) belongs to the same training


_SAVED = "focal_class_gradients"  # attribute of a model
_schedules: "WeakKeyDictionary[nn.Module, Schedule]" = WeakKeyDictionary()


def schedule_of(model: nn.Module) -> Schedule:
    """That of the training which `model` is in; outside of any, a new one, with what is saved in the model."""
    return _schedules.get(model) or Schedule(saved=getattr(model, _SAVED, None))


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


def _let_follow(model: nn.Module, schedule: Schedule) -> None:
    _schedules[model] = schedule
    if hasattr(model, "student_model"):  # distillation trains a model inside another
        _schedules[model.student_model] = schedule  # type: ignore[index]


def follow_with_new_ema(trainer: Any) -> None:
    """Let the EMA that upstream makes where it resumes a training follow it too."""
    _let_follow(trainer.ema.ema, _schedules[host.unwrap_model(trainer.model)])


def follow_training(trainer: Any, config: FocalConfig, resumed: nn.Module | None = None) -> Schedule:
    """Let the criteria of the trainer's model and EMA have these settings and follow its epochs.

    To be called when the trainer has built model and EMA, before any criterion is.

    Args:
        trainer: of Ultralytics.
        config: the settings.
        resumed: the model of the checkpoint that the training goes on from, if it does.
    """
    schedule = Schedule(config, getattr(resumed, _SAVED, None))
    for trained in (host.unwrap_model(trainer.model), trainer.ema.ema):
        _let_follow(trained, schedule)

    begun: dict[str, Any] = {}  # the gradients as the present epoch found them

    def start_epoch(trainer: Any) -> None:
        if schedule.epoch == trainer.epoch:  # begun anew after NaN, or with smaller batches
            for term, gradients in schedule.gradients.items():
                gradients.load(begun.get(term, [[], []]))
        begun.update({term: gradients.state() for term, gradients in schedule.gradients.items()})
        schedule.epoch, schedule.epochs = trainer.epoch, trainer.epochs

    def count_gradients(trainer: Any) -> None:  # on all ranks, after each batch: criteria may be called unequally often
        for gradients in schedule.gradients.values():
            gradients.commit()

    def save_gradients(trainer: Any) -> None:  # before the epoch's checkpoint
        state = {term: gradients.state() for term, gradients in schedule.gradients.items()}
        setattr(trainer.ema.ema, _SAVED, state)

    trainer.add_callback("on_train_epoch_start", start_epoch)
    if config.loss == "efl":
        trainer.add_callback("on_train_batch_end", count_gradients)
        trainer.add_callback("on_train_epoch_end", save_gradients)
    return schedule
