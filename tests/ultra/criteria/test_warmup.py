"""fl_warmup: gamma grows with the trainer's epoch, the same for training and validation, and after a resume."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ultra.helpers import Interrupted, interrupt_after, train_quickly
from yolo_focal.arguments.focal import FocalConfig


@given(gamma=st.floats(0, 5), warmup=st.floats(0.01, 50), epoch=st.integers(0, 100))
def test_gamma_is_linear_from_0_and_stays(gamma, warmup, epoch):
    """It is gamma * epoch / warmup before the end of the warm-up, gamma from there on."""
    expected = gamma * epoch / warmup if epoch < warmup else gamma
    assert FocalConfig(gamma=gamma, warmup=warmup).gamma_at(epoch) == pytest.approx(expected)


def test_without_warmup_gamma_is_constant():
    """The default."""
    assert [FocalConfig(gamma=1.5).gamma_at(epoch) for epoch in (0, 1, 99)] == [1.5] * 3


def recorder(seen):
    """Callbacks that note the gamma in use, by epoch: of training, and of the EMA's validation."""

    def after_training(trainer):
        seen.append((trainer.epoch, "train", trainer.model.criterion.bce.loss.gamma))

    def after_validation(validator):
        trainer = seen.trainer
        if trainer.ema.ema.criterion is not None:
            seen.append((trainer.epoch, "val", trainer.ema.ema.criterion.bce.loss.gamma))

    def remember(trainer):
        seen.trainer = trainer

    return {"on_train_start": remember, "on_train_epoch_end": after_training, "on_val_end": after_validation}


class Seen(list):
    """A list that also remembers the trainer."""


def test_gamma_follows_the_epochs_in_training_and_validation_and_through_a_resume(enabled, tiny_data, tmp_path):
    """A run of four epochs that is interrupted after the second has the gammas of an uninterrupted one."""
    from ultralytics import YOLO

    seen = Seen()
    callbacks = {**recorder(seen), "on_fit_epoch_end": interrupt_after(1)}
    with pytest.raises(Interrupted):
        train_quickly(tiny_data, tmp_path, callbacks=callbacks, epochs=4, fl_gamma=1.5, fl_warmup=3, val=True)
    resumed = YOLO(tmp_path / "run" / "weights" / "last.pt")
    for event, callback in recorder(seen).items():
        resumed.add_callback(event, callback)
    resumed.train(resume=True)
    assert dict.fromkeys(seen) == dict.fromkeys(
        (epoch, which, gamma) for epoch, gamma in enumerate([0.0, 0.5, 1.0, 1.5]) for which in ("train", "val")
    )
