"""A checkpoint of a stranger executes nothing, whichever command is given it; who trusts it can say so."""

import os
import pickle
import subprocess

import pytest
import torch
import yaml

import yolo_focal
from tests.helpers import run_command_line
from yolo_focal import cli
from yolo_focal.arguments.commands import COMMANDS as all_commands
from yolo_focal.errors import CheckpointError
from yolo_focal.ultra import host
from yolo_focal.ultra.drivers.load_model import load_model
from yolo_focal.ultra.hooks.checkpoints import safe_loading

COMMANDS = [
    "evaluate",
    "doctor",
    "calibrate",
    "demo epochs=1",
    "compare losses=bce,focal",
    "tune iterations=1",
    "train epochs=1",
    "val",
    "predict source=.",
    "export",
]


class Hostile:
    """Leaves a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.fixture
def hostile(tmp_path):
    """A checkpoint with code in it, and the folder that the code would make."""
    trace = tmp_path / "executed"
    torch.save({"model": Hostile(trace), "epoch": -1}, tmp_path / "hostile.pt")
    return tmp_path / "hostile.pt", trace


def test_every_command_that_takes_a_model_is_tried():
    """And those of Ultralytics beside them."""
    ours = {name for name, command in all_commands.items() if "model" in {key.name for key in command.keys}}
    assert ours < {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
def test_no_command_executes_a_checkpoint(command, hostile, tmp_path, monkeypatch, capsys):
    """Exit code 2, one line that names the class and the way out, nothing executed."""
    monkeypatch.chdir(tmp_path)
    checkpoint, trace = hostile
    assert cli.main([*command.split(), f"model={checkpoint}", "data=shapes"]) == 2
    error = capsys.readouterr().err.strip().split("\n")[-1]  # bars come before it where the dataset is drawn first
    assert "holds classes that are not Ultralytics' own (" in error and "trust=True" in error
    assert not trace.exists()
    yolo_focal.disable()


ACTING = [
    ("activation: __import__('os').mkdir('executed') or torch.nn.SiLU()", "unsupported activation"),
    (
        "backbone:\n- [-1, 1, torch_load, [\"'hostile.pt'\"]]\nhead:\n- [[0], 1, Detect, [nc]]",
        "not a permitted model layer",
    ),
]


@pytest.mark.parametrize(("lines", "reason"), ACTING, ids=["activation", "layer"])
@pytest.mark.parametrize("command", ["evaluate", "train epochs=1", "val"], ids=lambda command: command.split()[0])
def test_no_command_executes_an_architecture(command, lines, reason, hostile, tmp_path, monkeypatch, capsys):
    """Ultralytics would evaluate the activation that a model YAML names, and call any function as a layer."""
    monkeypatch.chdir(tmp_path)
    description = yaml.safe_load((host.ROOT / "cfg/models/11/yolo11.yaml").read_text(encoding="utf-8"))
    (tmp_path / "acting.yaml").write_text(yaml.safe_dump(description | yaml.safe_load(lines)), encoding="utf-8")
    assert cli.main([*command.split(), "model=acting.yaml", "data=shapes", "imgsz=32"]) == 2
    error = capsys.readouterr().err.strip().split("\n")[-1]
    assert reason in error and "trust=True" in error
    assert not hostile[1].exists()
    yolo_focal.disable()


def test_no_checkpoint_executes_what_it_says_of_its_architecture(hostile, tmp_path, monkeypatch, capsys):
    """A checkpoint of known classes alone, from whose description another network is built for the dataset."""
    monkeypatch.chdir(tmp_path)
    yolo = host.YOLO("yolo11n.yaml")
    yolo.model.yaml["activation"] = "__import__('os').mkdir('executed') or torch.nn.SiLU()"
    yolo.save("acting.pt")
    assert cli.main(["train", "epochs=1", "imgsz=32", "model=acting.pt", "data=shapes"]) == 2
    assert "unsupported activation" in capsys.readouterr().err
    assert not hostile[1].exists()
    yolo_focal.disable()


@pytest.mark.parametrize("name", ["yolo_nas_s.pt", "sam_b.pt", "mobile_sam.pt", "sam2_t.pt"])
def test_no_weights_of_another_family_are_executed(name, hostile, tmp_path, monkeypatch, capsys):
    """Which family it is Ultralytics reads from the name of the file."""
    monkeypatch.chdir(tmp_path)
    hostile[0].rename(tmp_path / name)
    assert cli.main(["predict", f"model={name}", "source=."]) == 2
    error = capsys.readouterr().err.strip().split("\n")[-1]
    assert f"{name} holds more than weights" in error and "trust=True" in error
    assert not hostile[1].exists()
    yolo_focal.disable()


def test_trust_loads_it_as_ultralytics_does(hostile):
    """And then the code runs: the test above can fail."""
    checkpoint, trace = hostile
    with safe_loading(trust=True), pytest.raises(CheckpointError):
        load_model(checkpoint)
    assert trace.exists()


def test_what_is_checked_before_a_training_executes_nothing_either(hostile, tmp_path, monkeypatch, capsys):
    """A YOLOv5 hyperparameter file is translated for the model, which is loaded for that."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ULTRALYTICS_SAFE_LOAD", raising=False)
    checkpoint, trace = hostile
    (tmp_path / "hyp.yaml").write_text("obj: 1.0\nanchor_t: 4.0\n")
    assert cli.main(["train", f"model={checkpoint}", "data=shapes", "cfg=hyp.yaml"]) == 2
    assert "holds classes that are not Ultralytics' own (" in capsys.readouterr().err and not trace.exists()
    yolo_focal.disable()


@pytest.mark.parametrize(("said", "executed"), [("true", False), ("false", True), (None, True)])
def test_a_training_that_ultralytics_starts_trusts_as_its_parent(hostile, tmp_path, monkeypatch, said, executed):
    """What `trust=` of the parent made of the environment stands; plain Python, which says nothing, loads as stock."""
    checkpoint, trace = hostile
    monkeypatch.delenv("ULTRALYTICS_SAFE_LOAD", raising=False)
    if said is not None:
        monkeypatch.setenv("ULTRALYTICS_SAFE_LOAD", said)
    yolo_focal.enable()
    command = [*host.cfg._YOLO_CLI_COMMAND, "train", f"model={checkpoint}", "data=shapes", "epochs=1"]
    yolo_focal.disable()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and trace.exists() == executed, done.stderr[-2000:]


def test_the_word_reaches_the_commands_of_ultralytics(hostile, tmp_path):
    """`yolo-focal val trust=True`, in a process of its own."""
    checkpoint, trace = hostile
    run_command_line("val", f"model={checkpoint}", "data=shapes", "trust=True", cwd=tmp_path)
    assert trace.exists()


@pytest.mark.usefixtures("enabled")
def test_python_users_of_ultralytics_keep_its_default(hostile, monkeypatch):
    """`enable()` alone changes nothing about loading."""
    from ultralytics import YOLO

    monkeypatch.delenv("ULTRALYTICS_SAFE_LOAD", raising=False)
    checkpoint, trace = hostile
    with pytest.raises((AttributeError, TypeError, KeyError, pickle.UnpicklingError)):
        YOLO(str(checkpoint))
    assert trace.exists()


def test_the_environment_is_left_as_it_was(monkeypatch):
    """Also where it had a value."""
    monkeypatch.delenv("ULTRALYTICS_SAFE_LOAD", raising=False)
    with safe_loading():
        assert os.environ["ULTRALYTICS_SAFE_LOAD"] == "true"
    assert "ULTRALYTICS_SAFE_LOAD" not in os.environ
    monkeypatch.setenv("ULTRALYTICS_SAFE_LOAD", "1")
    with safe_loading(trust=True):
        assert os.environ["ULTRALYTICS_SAFE_LOAD"] == "false"
    assert os.environ["ULTRALYTICS_SAFE_LOAD"] == "1"
