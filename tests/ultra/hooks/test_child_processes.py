"""Processes that Ultralytics starts by itself train with the plugin: DDP ranks, tuner trials, Ray's workers."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import yolo_focal
from tests.helpers import run_python
from tests.ultra.helpers import QUICK
from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.child_processes import EnableWhenUnpickled


@pytest.mark.parametrize(
    "focal",
    [{"fl_gamma": 2.0, "fl_gain": "auto"}, pytest.param({}, marks=pytest.mark.slow)],
    ids=["on", "off"],
)
def test_the_program_of_a_ddp_rank_trains_in_a_fresh_process(enabled, tiny_data, tmp_path, focal):
    """As `torch.distributed.run` would start it, here with one rank: the loss is there, and off it is not."""
    pytest.importorskip("cloudpickle", reason="Ultralytics needs cloudpickle to start DDP ranks")
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.utils.dist import generate_ddp_file

    overrides = {**QUICK, "model": "yolo11n.yaml", "data": str(tiny_data), "project": str(tmp_path), "name": "ddp"}
    trainer = DetectionTrainer(overrides={**overrides, "exist_ok": True, **focal})
    program = Path(generate_ddp_file(trainer))
    try:
        done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=300)
    finally:
        for file in (program, program.with_suffix(".pt")):
            file.unlink(missing_ok=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert ("focal: class BCE -> focal(gamma=2, alpha=0.25, gain=auto)" in done.stdout + done.stderr) == bool(focal)
    kept = host.YAML.load(tmp_path / "ddp" / "args.yaml")
    assert ("focal" in kept) == bool(focal)


def test_a_pickled_passenger_enables_the_plugin_elsewhere(enabled, tmp_path):
    """Ray pickles the model into its workers; the attribute that travels with it is enough."""
    file = tmp_path / "passenger.pkl"
    file.write_bytes(pickle.dumps({"model": EnableWhenUnpickled()}))
    program = (
        "import pickle, ultralytics.utils as u; before = 'focal' in u.DEFAULT_CFG_DICT; "
        f"pickle.load(open({str(file)!r}, 'rb')); print(before, 'focal' in u.DEFAULT_CFG_DICT)"
    )
    assert run_python(program).stdout.split() == ["False", "True"]


def test_a_model_that_is_tuned_carries_the_passenger(enabled, monkeypatch):
    """`tune` hangs it on before anything else happens."""
    from ultralytics import YOLO

    model = YOLO("yolo11n.yaml")
    with pytest.raises(TypeError):
        model.tune(iterations="none")
    assert isinstance(model.yolo_focal, EnableWhenUnpickled)
    assert isinstance(pickle.loads(pickle.dumps(model.yolo_focal)), EnableWhenUnpickled)


def test_a_space_of_this_plugins_arguments_switches_it_on(enabled, monkeypatch):
    """As giving any of them does."""
    from ultralytics import YOLO

    asked = {}
    monkeypatch.setattr(host.Tuner, "__init__", lambda self, args, **_: asked.update(args))
    monkeypatch.setattr(host.Tuner, "__call__", lambda self, **_: None)
    YOLO("yolo11n.yaml").tune(data="coco8.yaml", space={"fl_gamma": (0.5, 2.0)})
    assert asked["focal"] is True


def test_the_command_of_a_trial_is_this_plugins_while_enabled():
    """And stock's own before and after."""
    command = host.cfg._YOLO_CLI_COMMAND
    stock = list(command)
    yolo_focal.enable()
    assert command == [sys.executable, "-m", "yolo_focal.child"]
    yolo_focal.disable()
    assert command == stock


@pytest.mark.slow
def test_two_trials_of_the_tuner_train_with_the_mutated_gamma(enabled, tiny_data, tmp_path):
    """Each trial is a process of its own; the first has the default gamma, and the losses of the two differ."""
    from ultralytics import YOLO

    YOLO("yolo11n.yaml").tune(
        **{**QUICK, "data": str(tiny_data), "project": str(tmp_path), "name": "tuned"},
        focal=True,
        iterations=2,
        space={"fl_gamma": (0.5, 3.0)},
        val=False,
    )
    lines = (tmp_path / "tuned" / "tune_results.ndjson").read_text(encoding="utf-8").splitlines()
    trials = [json.loads(line) for line in lines]
    gammas = [trial["hyperparameters"]["fl_gamma"] for trial in trials]
    losses = [trial["datasets"]["squares"]["val/cls_loss"] for trial in trials]
    assert gammas[0] == 1.5 and gammas[1] != 1.5 and 0.5 <= gammas[1] <= 3
    assert losses[1] != pytest.approx(losses[0], rel=1e-3)  # the gamma arrived: all else is the same training
