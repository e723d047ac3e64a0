"""Values that Ultralytics refuses only in the middle of a run are refused before it, by every command."""

import os
import re

import pytest

import yolo_focal
from yolo_focal import cli
from yolo_focal.errors import ConfigError
from yolo_focal.ultra.command_line import _refused_value
from yolo_focal.ultra.drivers.check_before_run import check_before_run

COMMANDS = ["demo", "compare", "tune", "doctor", "evaluate", "calibrate", "train", "val", "predict", "export"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there(command, chatty_checkpoint, small_set, tmp_path, monkeypatch, capsys):
    """Exit code 2, one line, nothing written; the model and the data would do."""
    monkeypatch.chdir(tmp_path)
    beside = sorted(chatty_checkpoint.parent.iterdir())
    assert cli.main([command, f"model={chatty_checkpoint}", f"data={small_set}", "device=nosuch"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("yolo-focal: device=nosuch is not there: torch sees")
    assert not list(tmp_path.iterdir()) and sorted(chatty_checkpoint.parent.iterdir()) == beside


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("imgsz=abc", "imgsz must be a whole number of pixels, .*, got abc"),
        ("optimizer=Foo", "Optimizer 'Foo' not found in list of available optimizers"),
    ],
)
@pytest.mark.parametrize("command", ["train", "tune"])
def test_other_values(command, word, message, tmp_path, monkeypatch, capsys):
    """The same for those of a training."""
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, "model=yolo11n.yaml", "data=shapes", word]) == 2
    yolo_focal.disable()
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(message, error) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["auto", "SGD", "sgd", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adamax", "MuSGD"]
)
def test_what_ultralytics_takes_passes(name):
    """Its optimizers in any case, sizes of one and two numbers, and no device at all."""
    check_before_run({"optimizer": name, "imgsz": 640, "device": None})
    check_before_run({"optimizer": name, "imgsz": [640, 480], "device": "cpu"})
    check_before_run({"imgsz": "640", "device": ""})


def test_all_of_a_call_are_told_at_once(monkeypatch):
    """And what the check asks Ultralytics leaves no trace in the environment."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "nothing")
    with pytest.raises(ConfigError) as caught:
        check_before_run({"optimizer": "Foo", "imgsz": "abc", "device": "nosuch"})
    assert len(caught.value.problems) == 3
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "nothing"


def test_a_format_to_export_to_is_ultralytics_to_judge(tmp_path, monkeypatch, capsys):
    """Its sentence about a value of the command line is bad input, not something unexpected."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", "model=yolo11n.yaml", "format=nosuch"]) == 2
    yolo_focal.disable()
    error = capsys.readouterr().err
    assert "Invalid export format='nosuch'" in error and "unexpected" not in error


def test_an_error_about_something_else_stays_unexpected():
    """Only a sentence that names a value as the user wrote it is about the user's input."""
    words = ["train", "model=yolo11n.pt", "--imgsz=64", "data="]
    assert _refused_value(ValueError("'imgsz=64' is bad"), words) and _refused_value(ValueError("no '64'"), words)
    assert not _refused_value(ValueError("shape 64 does not match"), words)
    assert not _refused_value(ValueError("''"), words)
