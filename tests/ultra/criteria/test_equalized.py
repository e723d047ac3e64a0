"""The equalized focal loss in training: what it remembers is shared, saved, resumed, and seen by nobody else."""

import json
import subprocess
import sys

import pytest
import torch

from tests.helpers import write_squares
from tests.ultra.helpers import QUICK, Interrupted, batch_of, build, interrupt_after, train_quickly
from tests.ultra.ranks import RECORDS, TwoRanks
from yolo_focal.arguments.focal import FocalConfig, read_config
from yolo_focal.errors import ConfigError
from yolo_focal.ultra.class_losses import focal_terms
from yolo_focal.ultra.criteria.detection import box_criteria
from yolo_focal.ultra.criteria.schedule import Schedule, schedule_of

BRANCHES = {"yolo11n.yaml": {"class"}, "yolo26n.yaml": {"one2many", "one2one"}, "yolov5n-anchor.yaml": {"cls"}}


def gradients_of(trainer):
    """What the training remembers, by term."""
    return {term: state.state() for term, state in schedule_of(trainer.model).gradients.items()}


@pytest.mark.parametrize("model", BRANCHES)
def test_a_resumed_training_remembers_what_an_uninterrupted_one_does(enabled, tiny_data, tmp_path, model):
    """Through a checkpoint of plain numbers, which the safe loader takes; to the bit up to the checkpoint."""
    from ultralytics import YOLO

    saved = {}

    def note(trainer):
        saved.setdefault(trainer.epoch, gradients_of(trainer))

    stop = interrupt_after(0)
    asked = {"fl_loss": "efl", "epochs": 2, "val": False, "workers": 0}
    with pytest.raises(Interrupted):
        train_quickly(tiny_data, tmp_path, model, {"on_train_epoch_end": note, "on_fit_epoch_end": stop}, **asked)
    assert saved[0].keys() == BRANCHES[model]
    last = tmp_path / "run/weights/last.pt"
    checkpoint = torch.load(last, weights_only=False)
    assert checkpoint["ema"].focal_class_gradients == saved[0]
    resumed = YOLO(last)
    begun = {}
    resumed.add_callback("on_train_start", lambda trainer: begun.update(gradients_of(trainer)))
    resumed.train(resume=True)
    assert begun == saved[0]
    after = gradients_of(resumed.trainer)
    for term, (positives, negatives) in saved[0].items():
        assert sum(after[term][1]) > sum(negatives) > 0 and sum(after[term][0]) >= sum(positives) > 0


def test_an_epoch_that_ended_in_nan_counts_once(enabled, tiny_data, tmp_path):
    """It begins anew with what it found the first time."""
    found = []

    def note(trainer):
        if trainer.epoch == 1:
            found.append(gradients_of(trainer))

    def poison(trainer):
        if trainer.epoch == 1 and not trainer.nan_recovery_attempts:
            trainer.loss = torch.tensor(float("nan"))

    callbacks = {"on_train_batch_start": note, "on_train_epoch_end": poison}
    train_quickly(tiny_data, tmp_path, callbacks=callbacks, fl_loss="efl", epochs=2, val=False, workers=0)
    half = len(found) // 2
    assert half > 1 and found[0] == found[half] != found[1]


def test_an_epoch_whose_memory_ran_out_counts_once(enabled, tiny_data, tmp_path):
    """Ultralytics begins the first one anew, with smaller batches."""
    found = []

    def fail_once(trainer):
        preprocess = trainer.preprocess_batch

        def preprocess_batch(batch):
            found.append(gradients_of(trainer).get("class", [[], []]))
            if len(found) == 2:
                raise RuntimeError("CUDA out of memory")
            return preprocess(batch)

        trainer.preprocess_batch = preprocess_batch

    callbacks = {"on_train_start": fail_once}
    train_quickly(tiny_data, tmp_path, callbacks=callbacks, fl_loss="efl", val=False, workers=0)
    assert sum(map(sum, found[1])) > 0 and sum(map(sum, found[2])) == 0


def test_a_checkpoint_loads_where_the_plugin_is_not(enabled, tiny_data, tmp_path):
    """Stock Ultralytics in a process of its own, with its safe loader."""
    trainer = train_quickly(tiny_data, tmp_path, fl_loss="efl", val=False, workers=0)
    header, row = (tmp_path / "run/results.csv").read_text().splitlines()
    logged = dict(zip(header.split(","), map(float, row.split(",")), strict=True))
    ratios = schedule_of(trainer.model).gradients["class"].ratio
    found = [value for name, value in logged.items() if name.startswith("focal/g_")]
    assert len(found) == len(ratios) and found == pytest.approx(ratios.tolist(), rel=1e-4)
    code = f"from ultralytics import YOLO; print(YOLO({str(trainer.last)!r}).predict('https://0', stream=True))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 0 and "generator" in finished.stdout, finished.stderr


def test_validation_uses_the_ratios_of_the_training_and_adds_nothing(enabled):
    """Model and EMA hold the same state; a call without a gradient leaves it alone."""
    schedule = Schedule(FocalConfig(loss="efl"))
    model = build("yolo11n.yaml", focal=True, fl_loss="efl")
    criterion = model.init_criterion()
    criterion.bce.schedule = schedule
    logits = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = torch.zeros(2, 6, 3)
    targets[0, 0, 0] = 1
    first = criterion.bce(logits, targets)
    schedule.gradients["class"].commit()
    state = schedule.gradients["class"].state()
    with torch.no_grad():
        second = criterion.bce(logits, targets)
    assert schedule.gradients["class"].state() == state and first != second
    assert schedule.gradients["class"].ratio[1] == 0 < schedule.gradients["class"].ratio[0] <= 1


def test_every_class_of_the_branches_is_remembered_apart(enabled):
    """One batch through the real criterion of an end-to-end head."""
    model = build("yolo26n.yaml", focal=True, fl_loss="efl", fl_branch="one2one")
    model.loss(batch_of())
    assert focal_terms(model.criterion).keys() == {"one2one"}
    term = box_criteria(model.criterion)["one2one"].bce
    assert term.schedule.gradients.keys() == {"one2one"} and len(term.loss.gradients.ratio) == 3


def test_a_batch_without_objects_is_summed_over_the_ranks_too(enabled):
    """The class loss of an anchor detector is not called then, yet its sums are those of every class."""
    model = build("yolov5n-anchor.yaml", focal=True, fl_loss="efl", imgsz=64)
    empty = {name: value[:0] for name, value in batch_of().items() if name in ("batch_idx", "cls", "bboxes")}
    model.loss({**batch_of(), **empty})
    (gradients,) = model.criterion.classes.schedule.gradients.values()
    assert gradients.state() == [[0.0] * 3] * 2


@pytest.mark.slow
def test_ranks_that_see_objects_at_different_times(enabled, tmp_path, monkeypatch):
    """One image of sixteen has any: in the first batch of a rank that has it, the other has none."""
    pytest.importorskip("cloudpickle", reason="Ultralytics needs cloudpickle to start DDP ranks")
    from ultralytics import YOLO

    data = write_squares(tmp_path / "squares", train=16, val=2)
    for file in (data.parent / "labels" / "train").glob("*.txt"):
        file.write_text(file.read_text() if file.stem == "5" else "")
    monkeypatch.setenv(RECORDS, str(tmp_path))
    given = {**QUICK, "data": str(data), "project": str(tmp_path), "mosaic": 0.0, "val": False, "rare_sampling": 0.01}
    YOLO("yolov5n-anchor.yaml").train(**given, name="run", fl_loss="efl", autoanchor=False, trainer=TwoRanks)
    first, second = (json.loads((tmp_path / f"{rank}.jsonl").read_text().splitlines()[-1]) for rank in (0, 1))
    assert first["gradients"] == second["gradients"] and all(map(sum, first["gradients"]["cls"]))


def test_objectness_stays_a_focal_loss(enabled):
    """It has no classes to equalize."""
    criterion = build("yolov5n-anchor.yaml", focal=True, fl_loss="efl", imgsz=64).init_criterion()
    assert criterion.objectness.config.loss == "focal" and criterion.classes.config.loss == "efl"
    assert "objectness BCE -> focal(gamma=1.5, alpha=0.25, gain=auto), class BCE -> efl(" in criterion.start_line()


@pytest.mark.parametrize("schedule", [{"fl_warmup": 2}, {"fl_cooldown": 0.5}])
@pytest.mark.parametrize("loss", ["efl", "mal"])
def test_a_gamma_that_nears_zero_is_refused(schedule, loss):
    """The weight gamma_j / gamma has no limit there, and the target t^gamma is 1."""
    with pytest.raises(ConfigError, match=f"does not fit fl_loss={loss}"):
        read_config({"fl_loss": loss, **schedule})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fl_scope": "obj"}, "cannot act with fl_scope=obj"),
        ({"cls_smoothing": 0.1}, "does not fit cls_smoothing=0.1"),
        ({"nc": 1}, "cannot act: with one class an anchor detector has no class loss"),
    ],
)
def test_what_cannot_act_on_an_anchor_detector_is_refused(enabled, given, message):
    """Before anything is built for a training."""
    with pytest.raises(ConfigError, match=message):
        build("yolov5n-anchor.yaml", focal=True, fl_loss="efl", imgsz=64, **given).init_criterion()
