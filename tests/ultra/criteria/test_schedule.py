"""What changes during a training: the gain that is measured, frozen, saved and restored, and the gamma of a warm-up."""

import copy
import math
import multiprocessing

import pytest
import torch
import torch.distributed
from hypothesis import given
from hypothesis import strategies as st

from tests.ultra.helpers import Interrupted, interrupt_after, train_quickly
from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.errors import ConfigError
from yolo_focal.ultra.criteria.detection import ClassCriterion
from yolo_focal.ultra.criteria.schedule import LARGEST_GAIN, GainMeter, Progress

AUTO = FocalConfig(gamma=2.0, alpha=0.25, gain="auto")


def batch(seed, images=2):
    """Logits and sparse soft targets."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, 6, 3, generator=generator)
    targets = torch.rand(images, 6, 3, generator=generator) * (torch.rand(images, 6, 3, generator=generator) > 0.7)
    return logits, targets


def measuring():
    """A progress that measures, as at the start of a training."""
    progress = Progress(AUTO)
    progress.meter = GainMeter()
    return progress


def squares(x, t, gamma, alpha):
    """Sums of the squared derivatives of BCE and of focal loss at positives, in float64, by autograd."""
    x, t = x.double().requires_grad_(), t.double()
    p = x.sigmoid()
    bce = -(t * p.log() + (1 - t) * (1 - p).log())
    focal = (t * alpha + (1 - t) * (1 - alpha)) * (t * (1 - p) + (1 - t) * p) ** gamma * bce
    return [torch.autograd.grad(loss.sum(), x, retain_graph=True)[0][t > 0].square().sum() for loss in (bce, focal)]


def test_the_gain_is_the_ratio_of_gradient_norms_on_positives():
    """Over several batches and calls, against a float64 reference."""
    progress = measuring()
    criterion = ClassCriterion(AUTO, progress=progress)
    expected = torch.zeros(2, dtype=torch.float64)
    for seed in range(3):
        logits, targets = batch(seed)
        criterion(logits.requires_grad_(), targets)
        progress.meter.end_batch(torch.device("cpu"))
        expected += torch.stack(squares(logits.detach(), targets, 2.0, 0.25))
    assert progress.meter.gain == pytest.approx((expected[0] / expected[1]).sqrt().item(), rel=1e-3)


def test_a_ratio_of_hopeless_targets_is_cut():
    """Targets next to 0 give ratios of hundreds; the gain stays usable."""
    meter = GainMeter()
    meter.observe(torch.full((5,), 0.3), torch.full((5,), 0.001))
    meter.end_batch(torch.device("cpu"))
    assert meter.ratio == pytest.approx(300, rel=1e-3)
    assert meter.gain == LARGEST_GAIN == 32


def test_the_measurement_does_not_change_the_gradient():
    """Logits get the same gradient with and without a meter."""
    gradients = []
    for progress in (measuring(), Progress(AUTO)):
        logits, targets = batch(0)
        ClassCriterion(AUTO, progress=progress)(logits.requires_grad_(), targets).backward()
        gradients.append(logits.grad)
    assert torch.equal(*gradients)


def test_the_full_gamma_is_measured_during_the_warmup():
    """A warm-up does not change the factor."""
    gains = []
    for warmup in (0.0, 3.0):
        progress = measuring()
        progress.epoch = 0
        criterion = ClassCriterion(FocalConfig(gamma=2.0, gain="auto", warmup=warmup), progress=progress)
        criterion(*batch(0))
        progress.meter.end_batch(torch.device("cpu"))
        gains.append(progress.meter.gain)
        assert criterion.loss.gamma == (0 if warmup else 2)
    assert gains[0] == gains[1] > 1


def test_batches_without_objects_do_not_count():
    """The factor stays 1 and the number of batches 0."""
    progress = measuring()
    ClassCriterion(AUTO, progress=progress)(torch.zeros(1, 4, 3), torch.zeros(1, 4, 3))
    progress.meter.end_batch(torch.device("cpu"))
    assert (progress.meter.gain, progress.meter.batches) == (1.0, 0)


def test_validation_is_not_measured():
    """Only where gradients are computed."""
    progress = measuring()
    with torch.inference_mode():
        ClassCriterion(AUTO, progress=progress)(*batch(0))
    progress.meter.end_batch(torch.device("cpu"))
    assert progress.meter.batches == 0


def test_a_loss_without_a_gradient_on_positives_is_refused():
    """Alpha 0 leaves hard positives without any."""
    meter = GainMeter()
    meter.observe(torch.ones(3), torch.zeros(3))
    meter.end_batch(torch.device("cpu"))
    with pytest.raises(
        ConfigError, match="fl_gain=auto cannot be measured: the loss has no gradient on positives; raise"
    ):
        _ = meter.gain


def test_a_copied_criterion_stays_in_the_same_training():
    """NaN recovery copies the model into a new EMA."""
    progress = measuring()
    criterion = ClassCriterion(AUTO, progress=progress)
    twin = copy.deepcopy(criterion)
    progress.gain, progress.meter = 7.0, None
    assert twin.config.gain == criterion.config.gain == 7.0


def test_the_number_is_logged_saved_used_in_validation_and_restored(enabled, tiny_data, tmp_path, caplog):
    """From the first epoch's end it stands in the arguments, the checkpoint and args.yaml; a resume keeps it."""
    from ultralytics import YOLO
    from ultralytics.utils import YAML

    caplog.set_level("INFO", logger="ultralytics")
    trainers = []
    with pytest.raises(Interrupted):
        train_quickly(
            tiny_data,
            tmp_path,
            callbacks={"on_train_start": trainers.append, "on_fit_epoch_end": interrupt_after(0)},
            epochs=2,
            fl_gain="auto",
        )
    gain = trainers[0].args.fl_gain
    assert isinstance(gain, float) and 1 < gain <= LARGEST_GAIN
    assert sum(f"fl_gain=auto is {gain:g} from here on" in message for message in caplog.messages) == 1
    assert "over the first 2 batches with objects" in caplog.text
    assert YAML.load(tmp_path / "run" / "args.yaml")["fl_gain"] == gain
    last = tmp_path / "run" / "weights" / "last.pt"
    assert torch.load(last, weights_only=False)["train_args"]["fl_gain"] == gain
    resumed = YOLO(last)
    resumed.train(resume=True)
    criteria = [resumed.trainer.model.criterion.bce, resumed.trainer.ema.ema.criterion.bce]
    assert [criterion.config.gain for criterion in criteria] == [gain, gain]
    assert resumed.trainer.args.fl_gain == gain


def rank(number, world, port, answers):
    """What one process of a distributed training does, on its own batches."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=number, world_size=world)
    progress = measuring()
    criterion = ClassCriterion(AUTO, progress=progress)
    logits, targets = batch(number, images=1 + number)
    loss = criterion(logits.requires_grad_(), targets)
    loss.backward()
    progress.meter.end_batch(torch.device("cpu"))
    answers.put((number, progress.meter.gain, progress.meter.batches, logits.grad.abs().sum().item()))
    torch.distributed.destroy_process_group()


def test_two_ranks_agree_on_the_gain():
    """A real process group on CPU: both have the ratio over the union of their batches."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    processes = [context.Process(target=rank, args=(number, 2, port, answers)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    found = sorted(answers.get() for _ in processes)
    expected = sum(torch.stack(squares(*batch(number, images=1 + number), 2.0, 0.25)) for number in range(2))
    assert found[0][1] == found[1][1] == pytest.approx(math.sqrt(expected[0] / expected[1]), rel=1e-3)
    assert [gradient > 0 for *_, gradient in found] == [True, True]


def test_an_anchor_detector_is_measured_too(enabled, tiny_data, tmp_path):
    """One factor for its objectness and its classes, which follow the warm-up as well."""
    trainer = train_quickly(tiny_data, tmp_path, model="yolov5n-anchor.yaml", fl_gain="auto", fl_warmup=2)
    criterion = trainer.model.criterion
    assert isinstance(trainer.args.fl_gain, float) and trainer.args.fl_gain > 1
    for term in (criterion.objectness, criterion.classes):
        assert term.config.gain == trainer.args.fl_gain and term.loss.gamma == 0


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
