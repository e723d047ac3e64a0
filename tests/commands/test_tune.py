"""The command tune: bad input is one line before the first trial, and the best trial ends as a hyp file."""

import pytest
import yaml

from yolo_focal.arguments.focal import read_config
from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.cli import main
from yolo_focal.ultra.drivers.search_space import read_space

BAD_WORDS = [
    (["space=nowhere"], "space=nowhere does not exist; give a YAML file or one of anchor, focal"),
    (["iterations=0"], "iterations must be an integer >= 1, got '0'"),
    (["fl_gama=2"], "'fl_gama' is not an argument of tune; did you mean 'fl_gamma'?"),
    (["focal=False"], "focal=False switches the plugin off"),
    (["epochs=many"], "'epochs' must be an int"),
    (["data=nowhere.yaml"], "data=nowhere.yaml does not exist"),
    (["cfg=nowhere"], "cfg=nowhere does not exist"),
]


@pytest.mark.parametrize(("words", "message"), BAD_WORDS, ids=[words[0] for words, _ in BAD_WORDS])
def test_bad_input_is_one_line_before_the_first_trial(tmp_path, monkeypatch, capsys, words, message):
    """Exit code 2, and no folder was made."""
    monkeypatch.chdir(tmp_path)
    data = [] if words[0].startswith("data=") else ["data=coco8.yaml"]
    assert main(["tune", "model=yolo11n.yaml", *data, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("yolo-focal:") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_trials(tiny_data, tmp_path, capsys):
    """Two iterations of one epoch: both trials ran with their values, and a training accepts the file of the best."""
    from ultralytics import YOLO

    training = {"data": tiny_data, "epochs": 1, "imgsz": 64, "workers": 0, "device": "cpu", "plots": False}
    words = [*(f"{name}={value}" for name, value in training.items()), "batch=4", "fl_loss=qfl", "iterations=2"]
    out, runs = tmp_path / "best.yaml", tmp_path / "runs"
    assert main(["tune", "model=yolo11n.yaml", *words, f"project={runs}", f"out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "failed" not in printed.split("trial  fitness")[1]
    hyp = read_hyp(out)
    assert set(read_space(find_hyp("focal", "space"))) < set(hyp)
    assert read_config(hyp).loss == "qfl"
    applied = [yaml.safe_load(file.read_text()) for file in runs.rglob("args.yaml")]
    assert any(each["fl_gamma"] == pytest.approx(hyp["fl_gamma"], abs=1e-4) for each in applied)
    again = YOLO("yolo11n.yaml")
    again.train(**training, val=False, cfg=out, project=runs, name="again")
    assert again.trainer.args.fl_gamma == hyp["fl_gamma"]
