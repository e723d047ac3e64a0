"""What a training with focal goes through: resume, new runs, checkpoints elsewhere, recovery, options, own trainers."""

import resource
import shlex
import shutil

import pytest
import torch

import yolo_focal
from tests.helpers import run_command_line, run_python
from tests.ultra.helpers import QUICK, Interrupted, batch_of, build, interrupt_after, losses_of, train_quickly
from yolo_focal.arguments.focal import KEYS
from yolo_focal.console import PART_OF_A_RUN
from yolo_focal.errors import CheckpointError, ConfigError, UnsupportedModelError, YoloFocalError
from yolo_focal.ultra.criteria.detection import ClassCriterion
from yolo_focal.ultra.training import check_training

WITHOUT_THE_PACKAGE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "yolo_focal":
            raise ModuleNotFoundError("No module named 'yolo_focal'")
sys.meta_path.insert(0, Absent())
import numpy as np
from ultralytics import YOLO
"""


def test_off_leaves_no_trace(tiny_data, tmp_path):
    """With the plugin enabled and focal off, args.yaml, losses, arguments in the checkpoint and weights are stock's."""
    traces, weights = [], []
    for enable in (False, True):
        if enable:
            yolo_focal.enable()
        run = train_quickly(tiny_data, tmp_path, val=True).save_dir
        checkpoint = torch.load(run / "weights" / "last.pt", weights_only=False)
        weights.append(checkpoint["model"].state_dict())
        traces.append(((run / "args.yaml").read_bytes(), checkpoint["train_args"], losses_of(run)))
        shutil.rmtree(run)
    assert traces[0] == traces[1]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        assert torch.equal(weights[1][name], weight), name


def test_a_training_names_the_evaluation_as_the_next_step(enabled, tiny_data, tmp_path, caplog, monkeypatch):
    """As a command that works; one of a tuner's or without settings of this package says nothing of it."""
    caplog.set_level("INFO", logger="ultralytics")
    train_quickly(tiny_data, tmp_path)
    with monkeypatch.context() as context:
        context.setenv(PART_OF_A_RUN, "1")
        train_quickly(tiny_data, tmp_path, focal=True)
    assert "Next, " not in caplog.text
    train_quickly(tiny_data, tmp_path / "a b", focal=True, iou=0.6)
    (line,) = [record.message for record in caplog.records if record.message.startswith("Next, ")]
    program, *command = shlex.split(line.partition(": ")[2])
    assert program == "yolo-focal" and "iou=0.6" in command  # it is evaluated as it was validated
    assert run_command_line(*command, f"out={tmp_path / 'found'}", cwd=tmp_path).returncode == 0
    assert (tmp_path / "found" / "evaluation.json").is_file()


@pytest.mark.slow
def test_resume_keeps_focal_and_says_that_a_change_is_ignored(enabled, tiny_data, tmp_path, caplog):
    """From Python, with another gamma asked for."""
    from ultralytics import YOLO

    with pytest.raises(Interrupted):
        train_quickly(tiny_data, tmp_path, callbacks={"on_fit_epoch_end": interrupt_after(0)}, epochs=2, fl_gamma=2.0)
    resumed = YOLO(tmp_path / "run" / "weights" / "last.pt")
    caplog.set_level("WARNING", logger="ultralytics")
    resumed.train(resume=True, fl_gamma=0.5)
    assert "Resume ignores" in caplog.text and "fl_gamma" in caplog.text
    assert resumed.trainer.start_epoch == 1
    assert resumed.trainer.model.criterion.bce.config.gamma == 2.0


def test_resume_from_the_command_line(enabled, tiny_data, tmp_path):
    """`yolo-focal train resume model=last.pt` goes on with the same loss, in a process of its own."""
    with pytest.raises(Interrupted):
        train_quickly(tiny_data, tmp_path, callbacks={"on_fit_epoch_end": interrupt_after(0)}, epochs=2, fl_gamma=2.0)
    last = tmp_path / "run" / "weights" / "last.pt"
    done = run_command_line("train", "resume", f"model={last}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "focal: class BCE -> focal(gamma=2, alpha=0.25, gain=auto)" in done.stdout + done.stderr
    assert torch.load(last, weights_only=False)["train_args"]["fl_gamma"] == 2.0


@pytest.mark.slow
def test_resume_by_path_with_the_arguments_of_the_run(enabled, tiny_data, tmp_path):
    """Where the dataset stands in the checkpoint alone, and alpha is counted in it."""
    from ultralytics import YOLO

    with pytest.raises(Interrupted):
        train_quickly(
            tiny_data, tmp_path, callbacks={"on_fit_epoch_end": interrupt_after(0)}, epochs=2, fl_alpha="auto"
        )
    resumed = YOLO("yolo11n.yaml")
    resumed.train(resume=str(tmp_path / "run" / "weights" / "last.pt"), fl_alpha="auto")
    assert resumed.trainer.start_epoch == 1
    assert isinstance(resumed.trainer.model.criterion.bce.config.alpha, tuple)


def test_a_model_whose_training_ended_early_is_saved_as_stock_loads_it(enabled, trained, tiny_data, tmp_path):
    """And trains on: it builds its criterion anew."""
    from ultralytics import YOLO

    model = YOLO(trained.run / "weights" / "last.pt")
    model.add_callback("on_train_batch_end", interrupt_after(0))
    given = {**QUICK, "data": str(tiny_data), "project": str(tmp_path), "focal": True}
    with pytest.raises(Interrupted):
        model.train(**given)
    model.save(tmp_path / "kept.pt")
    assert b"yolo_focal" not in (tmp_path / "kept.pt").read_bytes()
    model.clear_callback("on_train_batch_end")
    model.train(**given)
    assert isinstance(model.trainer.model.criterion.bce, ClassCriterion)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fl_branch": "one2one"}, "fl_branch=one2one needs an end-to-end head"),
        ({"fl_scope": "obj"}, "fl_scope"),
        ({"fl_vfl_alpha": 0.3}, "fl_vfl_alpha"),
        ({"fl_class_weights": 0.5, "classes": [0]}, "fl_class_weights=0.5 cannot act with one class"),
    ],
)
@pytest.mark.parametrize("own_trainer", [False, True])
def test_what_cannot_act_is_refused_in_every_way_to_train(enabled, tiny_data, tmp_path, given, message, own_trainer):
    """Also where a trainer is made without a model."""
    from ultralytics import YOLO
    from ultralytics.models.yolo.detect import DetectionTrainer

    arguments = {**QUICK, "data": str(tiny_data), "project": str(tmp_path), "focal": True, **given}
    with pytest.raises((ConfigError, UnsupportedModelError), match=message):
        if own_trainer:
            DetectionTrainer(overrides={**arguments, "model": "yolov8n.yaml"}).train()
        else:
            YOLO("yolov8n.yaml").train(**arguments)


@pytest.mark.parametrize("given", [{"fl_branch": "one2one"}, {"rare_sampling": "auto", "rect": True}, {"obj": 3.0}])
def test_a_resume_that_starts_anew_is_checked_like_any_training(enabled, trained, tiny_data, tmp_path, given):
    """Upstream starts a new training where the model is no checkpoint of an unfinished one."""
    from ultralytics import YOLO

    for source in ("yolo11n.yaml", trained.run / "weights" / "best.pt"):
        with pytest.raises(
            YoloFocalError, match=r"needs an end-to-end head|cannot act with rect|acts only in an anchor"
        ):
            YOLO(source).train(data=str(tiny_data), project=str(tmp_path), resume=True, **QUICK, **given)
    assert not list(tmp_path.iterdir())


def test_a_new_training_from_a_checkpoint_does_not_inherit_focal(enabled, trained, tiny_data, tmp_path):
    """It is a new run with the arguments of its own call, as with every other argument of Ultralytics."""
    trainer = train_quickly(tiny_data, tmp_path, model=trained.run / "weights" / "best.pt")
    assert not any(hasattr(trainer.args, name) for name in KEYS)
    assert type(trainer.model.criterion.bce) is torch.nn.BCEWithLogitsLoss


@pytest.mark.parametrize("safe", [pytest.param("0", marks=pytest.mark.slow), "1"])
def test_checkpoints_work_in_an_interpreter_without_the_package(trained, safe):
    """The last, the best and an epoch's load and predict, normally and with Ultralytics' safe loading."""
    names = [str(trained.run / "weights" / name) for name in ("last.pt", "best.pt", "epoch0.pt")]
    program = (
        WITHOUT_THE_PACKAGE
        + f"""
for name in {names!r}:
    print(len(YOLO(name).predict(np.zeros((64, 64, 3), np.uint8), imgsz=64, verbose=False)))
"""
    )
    done = run_python(program, ULTRALYTICS_SAFE_LOAD=safe)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-3:] == ["1", "1", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("safe", ["0", "1"])
def test_checkpoints_validate_export_and_train_on_without_the_package(trained, small_set, tmp_path, safe):
    """Everything a user does with a checkpoint, where this package was never installed."""
    program = (
        WITHOUT_THE_PACKAGE
        + f"""
import shutil
source = shutil.copy({str(trained.run / "weights" / "best.pt")!r}, {str(tmp_path)!r} + "/best.pt")
print("map", YOLO(source).val(data={str(small_set)!r}, imgsz=64, plots=False, project={str(tmp_path)!r}).box.map >= 0)
for kind in ("torchscript", "onnx"):
    exported = YOLO(source).export(format=kind, imgsz=64)
    print(kind, len(YOLO(exported, task="detect").predict(np.zeros((64, 64, 3), np.uint8), imgsz=64, verbose=False)))
YOLO(source).train(data={str(small_set)!r}, project={str(tmp_path)!r}, **{QUICK!r})
print("trained")
"""
    )
    done = run_python(program, ULTRALYTICS_SAFE_LOAD=safe)
    assert done.returncode == 0, done.stderr[-3000:]
    for expected in ("map True", "torchscript 1", "onnx 1", "trained"):
        assert expected in done.stdout


def test_recovery_from_nan(enabled, tiny_data, tmp_path, caplog):
    """Ultralytics goes back to last.pt, with a new EMA; the criteria stay those of this training."""

    def poison(trainer):
        if trainer.epoch == 1 and not trainer.nan_recovery_attempts:
            trainer.loss = torch.tensor(float("nan"))

    caplog.set_level("WARNING", logger="ultralytics")
    trainer = train_quickly(
        tiny_data, tmp_path, callbacks={"on_train_epoch_end": poison}, epochs=3, fl_gain="auto", fl_warmup=2, val=True
    )
    assert "recovering from last.pt" in caplog.text
    ours, theirs = trainer.model.criterion.bce, trainer.ema.ema.criterion.bce
    assert ours.config == theirs.config and ours.schedule is theirs.schedule
    assert ours.loss.gamma == theirs.loss.gamma == 1.5


def test_out_of_memory_in_the_first_epoch_is_retried(enabled, tiny_data, tmp_path, caplog):
    """Ultralytics halves the batch and starts the epoch again; the gain is measured all the same."""
    calls = []

    def fail_once(trainer):
        preprocess = trainer.preprocess_batch

        def preprocess_batch(batch):
            calls.append(len(batch["img"]))
            if len(calls) == 2:
                raise RuntimeError("CUDA out of memory")
            return preprocess(batch)

        trainer.preprocess_batch = preprocess_batch

    caplog.set_level("WARNING", logger="ultralytics")
    trainer = train_quickly(tiny_data, tmp_path, callbacks={"on_train_start": fail_once}, fl_gain="auto")
    assert "Reducing to batch=2" in caplog.text
    assert trainer.model.criterion.bce.gain > 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"multi_scale": 0.5}, marks=pytest.mark.slow),
        pytest.param({"single_cls": True}, marks=pytest.mark.slow),
        {"cls_pw": 0.5},
        {"fl_alpha": [0.3, 0.6], "fl_loss": "qfl"},
        pytest.param({"compile": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_options_of_ultralytics(enabled, tiny_data, tmp_path, changes):
    """They train with focal, and the class loss is finite."""
    trainer = train_quickly(tiny_data, tmp_path, **{"focal": True, **changes})
    assert torch.isfinite(trainer.tloss["cls_loss"]) and trainer.tloss["cls_loss"] > 0
    criterion = trainer.model.criterion if hasattr(trainer.model, "criterion") else trainer.model._orig_mod.criterion
    assert isinstance(criterion.bce, ClassCriterion)
    assert (criterion.bce.class_weights is not None) == ("cls_pw" in changes)


def test_several_datasets(enabled, tiny_data, small_set, tmp_path):
    """Each has a training of its own, whose settings are checked before the first one starts."""
    from ultralytics import YOLO

    gammas = []
    yolo = YOLO("yolo11n.yaml")
    yolo.add_callback("on_train_end", lambda trainer: gammas.append(trainer.model.criterion.bce.config.gamma))
    call = {**QUICK, "data": [str(tiny_data), str(small_set)], "project": str(tmp_path)}
    with pytest.raises(ConfigError, match="fl_alpha has 2 numbers, but the dataset has 10 classes"):
        yolo.train(**call, fl_alpha=[0.2, 0.3])
    assert not list(tmp_path.iterdir())
    yolo.train(**call, fl_gamma=2.0, rare_sampling="auto")
    assert gammas == [2.0, 2.0]


def test_what_a_model_remembers_is_checked_too(enabled, tiny_data, tmp_path):
    """Upstream trains on a single class again where the training before did."""
    from ultralytics import YOLO

    yolo = YOLO("yolo11n.yaml")
    call = {**QUICK, "data": str(tiny_data), "project": str(tmp_path), "val": False}
    yolo.train(**call, single_cls=True, focal=True)
    for given in ({"fl_alpha": [0.2, 0.3]}, {"rare_sampling": "auto"}):
        with pytest.raises(ConfigError, match=r"the dataset has 1 classes|with one class: nothing is rarer"):
            yolo.train(**call, **given)
    yolo.train(**call, single_cls=False, fl_alpha=[0.2, 0.3])
    assert len(list(tmp_path.iterdir())) == 2  # nothing of what was refused


@pytest.mark.parametrize(("model", "given"), [("yolo11n.yaml", {"focal": True}), ("yolov5n-anchor.yaml", {})])
def test_an_unknown_backend_of_the_losses_is_refused_before_a_training(enabled, tiny_data, monkeypatch, model, given):
    """The environment names it; a stock training does not use it."""
    monkeypatch.setenv("YOLO_FOCAL_BACKEND", "fast")
    with pytest.raises(ConfigError, match="the backend of losses must be one of auto"):
        check_training(build(model), {"data": str(tiny_data), **given})
    check_training(build("yolo11n.yaml"), {"data": str(tiny_data)})


def test_a_dataset_that_ultralytics_unpacks_or_downloads_first(enabled, tiny_data, tmp_path):
    """Nobody can count its classes before; fl_alpha=auto, which would, is refused in one line."""
    archive = shutil.make_archive(str(tmp_path / "squares"), "zip", tiny_data.parent)
    (tmp_path / "squares.ndjson").touch()
    for data in (archive, str(tmp_path / "squares.ndjson"), "https://example.org/squares.zip"):
        for given in ({"focal": True}, {"fl_alpha": [0.2, 0.3]}, {"rare_sampling": "auto"}):
            check_training(build("yolo11n.yaml"), {"data": data, **given})
        with pytest.raises(ConfigError, match="fl_alpha=auto counts the training labels of a data YAML, got data="):
            build("yolo11n.yaml", data=data, fl_alpha="auto")


def test_a_call_without_a_dataset_is_checked_as_far_as_it_can_be(enabled):
    """That there is none is Ultralytics' to say."""
    for given in ({"focal": True}, {"rare_sampling": "auto"}):
        check_training(build("yolo11n.yaml"), {"data": None, **given})


def test_a_dataset_without_any_object(enabled, objectless_data, tmp_path):
    """Trains on background alone, with the gradient that BCE has there."""
    trainer = train_quickly(objectless_data, tmp_path, fl_gain="auto")
    assert trainer.args.fl_gain == "auto" and torch.isfinite(trainer.tloss["cls_loss"])


def test_bfloat16_autocast(enabled):
    """Logits and targets arrive in half precision; the loss is float32 and its gradient reaches the model."""
    model = build("yolo11n.yaml", focal=True)
    with torch.autocast("cpu", torch.bfloat16):
        total, items = model.loss(batch_of())
    total.sum().backward()
    assert items["cls_loss"].dtype == torch.float32 and torch.isfinite(items["cls_loss"])
    assert model.model[-1].cv3[0][-1].weight.grad.abs().sum() > 0


def test_a_trainer_of_the_users_own_and_callbacks(enabled, tiny_data, tmp_path):
    """Focal acts in a subclass, and callbacks of the user run beside those of the plugin."""
    from ultralytics.models.yolo.detect import DetectionTrainer

    class CountingTrainer(DetectionTrainer):
        """Counts its batches."""

        batches = 0

        def preprocess_batch(self, batch):
            """As upstream."""
            self.batches += 1
            return super().preprocess_batch(batch)

    epochs = []
    trainer = train_quickly(
        tiny_data,
        tmp_path,
        callbacks={"on_train_epoch_start": lambda trainer: epochs.append(trainer.epoch)},
        trainer=CountingTrainer,
        epochs=2,
        fl_warmup=1,
    )
    assert trainer.batches == 4 and epochs == [0, 1]
    assert trainer.model.criterion.bce.loss.gamma == 1.5


def test_a_trainer_with_a_criterion_of_its_own_is_refused_by_name(enabled, tiny_data, tmp_path):
    """Before the first batch, with the class of the model."""
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.nn.tasks import DetectionModel

    class Foreign(DetectionModel):
        """A model that does not use Ultralytics' criteria."""

        def init_criterion(self):
            """Some other loss."""
            return torch.nn.MSELoss()

    class ForeignTrainer(DetectionTrainer):
        """Trains it."""

        def get_model(self, cfg=None, weights=None, verbose=True):
            """The foreign model."""
            return Foreign("yolo11n.yaml", nc=2, verbose=False)

    with pytest.raises(UnsupportedModelError, match="the criterion of Foreign has no class loss that the plugin knows"):
        train_quickly(tiny_data, tmp_path, trainer=ForeignTrainer, focal=True)


def test_a_truncated_checkpoint_is_one_clear_error(enabled, trained, tmp_path):
    """Resuming from it starts nothing."""
    broken = tmp_path / "last.pt"
    broken.write_bytes((trained.run / "weights" / "last.pt").read_bytes()[:100_000])
    done = run_command_line("train", "resume", f"model={broken}", cwd=tmp_path)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "last.pt" in done.stderr and "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(enabled, tiny_data, tmp_path):
    """The system refuses to write more than a megabyte to a file in the second epoch."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def refuse(trainer):
        if trainer.epoch == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))

    try:
        with pytest.raises(CheckpointError) as caught:
            train_quickly(tiny_data, tmp_path, callbacks={"on_train_epoch_end": refuse}, epochs=2, focal=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    weights = tmp_path / "run" / "weights"
    assert f"the checkpoint of epoch 2 cannot be written to {weights} (File too large)" in str(caught.value)
    assert "earlier ones are intact: make room, then resume=True from" in str(caught.value)
    assert sorted(path.name for path in weights.iterdir()) == ["best.pt", "last.pt"]
    assert torch.load(weights / "last.pt", weights_only=False)["epoch"] == 0


def test_what_a_killed_process_left_of_a_checkpoint_takes_no_ones_place(enabled, tiny_data, tmp_path):
    """Half of a best.pt from before the kill, in an epoch that is not the best."""
    trainer = train_quickly(tiny_data, tmp_path, focal=True)
    before = trainer.best.read_bytes()
    trainer.best.with_name("best.pt.part").write_bytes(before[:1000])
    trainer.fitness, trainer.best_fitness = 0.0, 1.0
    trainer.save_model()
    assert trainer.best.read_bytes() == before
    assert sorted(path.name for path in trainer.best.parent.iterdir()) == ["best.pt", "last.pt"]


def test_an_interrupted_write_of_a_checkpoint_leaves_no_part(enabled, tiny_data, tmp_path, monkeypatch):
    """Ctrl-C while it is written: the one before is there and nothing beside it."""
    weights = tmp_path / "run" / "weights"
    write = type(weights).write_bytes

    def interrupted(path, content):
        write(path, content[: len(content) // 2])
        raise KeyboardInterrupt

    def arm(trainer):
        if trainer.epoch == 1:
            monkeypatch.setattr(type(weights), "write_bytes", interrupted)

    with pytest.raises(KeyboardInterrupt):
        train_quickly(tiny_data, tmp_path, callbacks={"on_train_epoch_end": arm}, epochs=2, focal=True)
    assert sorted(path.name for path in weights.iterdir()) == ["best.pt", "last.pt"]
    assert torch.load(weights / "last.pt", weights_only=False)["epoch"] == 0


def test_a_folder_that_cannot_be_written_is_one_line(tiny_data, tmp_path):
    """On the command line, with exit code 2."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    words = ["train", "model=yolo11n.yaml", f"data={tiny_data}", f"project={tmp_path / 'file'}", "focal=True"]
    done = run_command_line(*words, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "Not a directory" in done.stderr
