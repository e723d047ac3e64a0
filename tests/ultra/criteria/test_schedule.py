"""What changes during a training: gamma, which follows the epochs, and the gain, which follows each batch."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.ultra.helpers import Interrupted, interrupt_after, train_quickly
from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.ultra.criteria.detection import ClassCriterion
from yolo_focal.ultra.criteria.schedule import Schedule


def batch(seed, images=2):
    """Logits and sparse soft targets."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, 6, 3, generator=generator)
    targets = torch.rand(images, 6, 3, generator=generator) * (torch.rand(images, 6, 3, generator=generator) > 0.7)
    return logits, targets


def total_gradient(criterion, logits, targets):
    """Sum of |derivative| by the logits."""
    logits = logits.clone().requires_grad_()
    criterion(logits, targets).backward()
    return logits.grad.double().abs().sum()


@pytest.mark.parametrize("epoch", [0, 2, 5])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0])])
def test_auto_matches_the_gradient_of_bce_in_every_batch_and_epoch(epoch, weights):
    """Against a float64 reference, with class weights, through warm-up and cool-down."""
    schedule = Schedule()
    schedule.epoch, schedule.epochs = epoch, 6
    criterion = ClassCriterion(FocalConfig(gamma=2.0, warmup=2.0, cooldown=0.5), weights, schedule=schedule)
    for seed in range(3):
        logits, targets = batch(seed)
        p, weight = logits.double().sigmoid(), 1.0 if weights is None else weights.double()
        expected = (weight * (p - targets)).abs().sum()
        torch.testing.assert_close(total_gradient(criterion, logits, targets), expected, rtol=1e-5, atol=0)


def test_the_gain_of_the_latest_call_is_there_to_be_logged():
    """Detached, so that a copy of the criterion can be made."""
    criterion = ClassCriterion(FocalConfig(gamma=2.0))
    assert criterion.gain is None
    logits, targets = batch(0)
    criterion(logits.requires_grad_(), targets)
    assert criterion.gain > 1 and not criterion.gain.requires_grad
    assert copy.deepcopy(criterion).gain == criterion.gain
    assert not criterion.state_dict()


def test_a_number_stays_that_number():
    """fl_gain=1 is the published scale."""
    one, four = (ClassCriterion(FocalConfig(gain=gain)) for gain in (1.0, 4.0))
    torch.testing.assert_close(4 * one(*batch(0)), four(*batch(0)))
    assert (one.gain, four.gain) == (1, 4)


def test_a_copied_criterion_stays_in_the_same_training():
    """NaN recovery copies the model into a new EMA."""
    schedule = Schedule()
    criterion = ClassCriterion(FocalConfig(warmup=4.0), schedule=schedule)
    twin = copy.deepcopy(criterion)
    schedule.epoch, schedule.epochs = 2, 10
    twin(*batch(0))
    assert twin.loss.gamma == 0.75


def test_auto_stays_a_word_in_arguments_and_checkpoints(enabled, tiny_data, tmp_path):
    """There is no number to save: a resumed training finds its own in each batch."""
    from ultralytics.utils import YAML

    trainer = train_quickly(tiny_data, tmp_path, fl_gamma=1.5)
    assert trainer.args.fl_gain == "auto"
    assert YAML.load(tmp_path / "run" / "args.yaml")["fl_gain"] == "auto"
    assert torch.load(trainer.last, weights_only=False)["train_args"]["fl_gain"] == "auto"


def test_each_term_of_an_anchor_detector_matches_its_own_bce(enabled):
    """Objectness and class apart, with their weights of positives, level by level."""
    from tests.ultra.helpers import build

    criterion = build("yolov5n-anchor.yaml", fl_gamma=2.0, imgsz=64, obj_pw=1.5, cls_pos_weight=0.7).init_criterion()
    for term, pos_weight in ((criterion.objectness, 1.5), (criterion.classes, 0.7)):
        for seed in range(3):
            logits, targets = batch(seed)
            p, t = logits.double().sigmoid(), targets.double()
            expected = ((1 - t) * p - pos_weight * t * (1 - p)).abs().mean()
            torch.testing.assert_close(total_gradient(term, logits, targets), expected, rtol=1e-5, atol=0)


@given(
    gamma=st.floats(0, 5),
    warmup=st.floats(0, 50),
    cooldown=st.floats(0, 1),
    epoch=st.integers(0, 99),
)
def test_gamma_rises_and_falls_linearly(gamma, warmup, cooldown, epoch):
    """From 0 over the warm-up, to 0 in the last epoch over the cool-down, and full between."""
    config = FocalConfig(gamma=gamma, warmup=warmup, cooldown=cooldown)
    found = config.gamma_at(epoch, 100)
    assert 0 <= found <= gamma
    last = epoch == 99 and cooldown > 0  # where even the shortest cool-down has arrived
    if epoch >= warmup and epoch <= 99 - 100 * cooldown and not last:
        assert found == gamma
    if cooldown:
        assert config.gamma_at(99, 100) == 0
    if warmup and not cooldown:
        assert found == pytest.approx(gamma * min(1, epoch / warmup))


def test_without_a_schedule_gamma_is_constant():
    """The default."""
    assert [FocalConfig(gamma=1.5).gamma_at(epoch, 100) for epoch in (0, 1, 99)] == [1.5] * 3


def test_the_cooldown_by_hand():
    """Five of ten epochs: 1.5 up to the fifth, then 1.2, 0.9, 0.6, 0.3, 0."""
    found = [FocalConfig(gamma=1.5, cooldown=0.5).gamma_at(epoch, 10) for epoch in range(10)]
    assert found == pytest.approx([1.5, 1.5, 1.5, 1.5, 1.5, 1.2, 0.9, 0.6, 0.3, 0.0])


def _gamma_of(criterion):
    return getattr(criterion, "one2one", criterion).bce.loss.gamma


def recorder(seen):
    """Callbacks that note the gamma in use, by epoch: of training, and of the EMA's validation."""

    def after_training(trainer):
        seen.append((trainer.epoch, "train", _gamma_of(trainer.model.criterion)))

    def after_validation(validator):
        trainer = seen.trainer
        if trainer.ema.ema.criterion is not None:
            seen.append((trainer.epoch, "val", _gamma_of(trainer.ema.ema.criterion)))

    def remember(trainer):
        seen.trainer = trainer

    return {"on_train_start": remember, "on_train_epoch_end": after_training, "on_val_end": after_validation}


class Seen(list):
    """A list that also remembers the trainer."""


@pytest.mark.parametrize("model", ["yolo11n.yaml", "yolo26n.yaml"])  # upstream resumes end-to-end heads in another way
def test_gamma_follows_the_epochs_in_training_and_validation_and_through_a_resume(enabled, tiny_data, tmp_path, model):
    """A run of four epochs that is interrupted after the second has the gammas of an uninterrupted one."""
    from ultralytics import YOLO

    seen = Seen()
    callbacks = {**recorder(seen), "on_fit_epoch_end": interrupt_after(1)}
    with pytest.raises(Interrupted):
        moving = {"fl_gamma": 1.5, "fl_warmup": 2, "fl_cooldown": 0.5}
        train_quickly(tiny_data, tmp_path, model, callbacks=callbacks, epochs=4, val=True, **moving)
    resumed = YOLO(tmp_path / "run" / "weights" / "last.pt")
    for event, callback in recorder(seen).items():
        resumed.add_callback(event, callback)
    resumed.train(resume=True)
    assert dict.fromkeys(seen) == dict.fromkeys(
        (epoch, which, gamma) for epoch, gamma in enumerate([0.0, 0.75, 0.75, 0.0]) for which in ("train", "val")
    )
