"""The command tune: a space is checked before the first trial, each trial after it; the best ends as a hyp file."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import yaml

from yolo_focal.arguments.focal import read_config
from yolo_focal.arguments.hyp import read_hyp
from yolo_focal.cli import main
from yolo_focal.errors import ConfigError
from yolo_focal.losses import LOSSES
from yolo_focal.resources import cfg_names
from yolo_focal.ultra.drivers.search_space import check_space, find_space, read_space, start_values
from yolo_focal.ultra.drivers.tuning import Trial, TuningResult, _watched_tuner, applied_values

pytestmark = pytest.mark.usefixtures("enabled")


@pytest.fixture
def space_file(tmp_path):
    """Writes a space file and returns its path."""

    def write(text):
        path = tmp_path / "space.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", cfg_names("search"))
def test_the_spaces_that_come_along_are_valid(name):
    """Every file of cfg/search can be searched with every loss that uses its arguments, and says what its keys do."""
    path = find_space(name)
    for loss, row in LOSSES.items():
        if row.uses_gamma and row.uses_alpha:
            check_space(read_space(path), {"fl_loss": loss})
    lines = path.read_text().splitlines()
    assert "yolo-focal tune" in lines[1]
    assert all(" # " in line for line in lines if line and not line.startswith("#"))


BAD_LINES = [
    ("fl_gamma: 2", "fl_gamma in .* must be a range of two numbers, \\[low, high\\], got 2"),
    ("fl_gamma: [0]", "must be a range of two numbers"),
    ("fl_gamma: [0, high]", "must be a range of two numbers"),
    ("focal: [False, True]", "must be a range of two numbers"),
    ("fl_gamma: [0, .nan]", "must be a range of two numbers"),
    ("fl_gamma: [2, 1]", "must have its low end below its high end"),
    ("fl_gamma: [1, 1]", "must have its low end below its high end"),
    ("fl_gamma: [0, 4, 7]", "mutation gain in \\(0, 1\\]"),
    ("", "must hold lines of 'key: value', got NoneType"),
    ("fl_gamma: [0, 4", "space=.* is not YAML"),
]


@pytest.mark.parametrize(("text", "message"), BAD_LINES, ids=[text for text, _ in BAD_LINES])
def test_lines_that_are_no_ranges_are_refused(space_file, text, message):
    """Each with its key and what was expected."""
    with pytest.raises(ConfigError, match=message):
        read_space(space_file(text))


BAD_SPACES = [
    ("fl_gama: [0, 4]", {}, "'fl_gama' in the space is not a training argument; did you mean 'fl_gamma'"),
    ("fl_loss: [0, 1]", {}, "'fl_loss' in the space is not a number, so it has no range to search"),
    ("focal: [0, 1]", {}, "'focal' in the space is not a number"),
    ("optimizer: [0, 1]", {}, "'optimizer' in the space is not a number"),
    ("fl_gamma: [-1, 4]", {}, "the range \\[-1, 4\\] of fl_gamma is refused: fl_gamma must be a number >= 0"),
    ("fl_alpha: [-1, 1]", {}, "the range \\[-1, 1\\] of fl_alpha is refused"),
    ("mosaic: [0, 2]", {}, "the range \\[0, 2\\] of mosaic is refused"),
    ("epochs: [3.2, 3.8]", {}, "epochs is a whole number, and there is none in the range"),
    ("fl_gamma: [0, 4]", {"fl_loss": "bce"}, "fl_gamma has no effect with fl_loss=bce"),
    ("fl_gamma: [0, 4]", {"fl_gamma": 5.0}, "fl_gamma=5.0 is outside the range \\[0, 4\\]"),
]


@pytest.mark.parametrize(("text", "given", "message"), BAD_SPACES, ids=[row[0] for row in BAD_SPACES])
def test_spaces_that_cannot_be_searched_are_refused(space_file, text, given, message):
    """Wrong key, wrong type, wrong range, no effect: found by the argument's own check before any training."""
    with pytest.raises(ConfigError, match=message):
        check_space(read_space(space_file(text)), given)


def test_all_problems_are_told_at_once(space_file):
    """Two bad keys, two sentences."""
    with pytest.raises(ConfigError) as caught:
        check_space(read_space(space_file("fl_gama: [0, 4]\nmosaic: [0, 2]")), {})
    assert len(caught.value.problems) == 2


def test_the_first_trial_starts_from_a_number():
    """Where the ordinary value is a word, the tuner gets the middle of the range, which it can round and mutate."""
    space = {"fl_gamma": (0.0, 4.0), "fl_obj_gamma": (0.0, 3.0)}
    assert start_values(space, {}) == {"fl_obj_gamma": 1.5}
    assert start_values(space, {"fl_obj_gamma": 2.0}) == {}


def test_applied_values_are_read_back(tmp_path):
    """Equal up to the rounding of the tuner; a difference, or no args.yaml at all, is a sentence."""
    assert "has no args.yaml" in applied_values(tmp_path, {})
    (tmp_path / "args.yaml").write_text("fl_gamma: 1.23457\nfl_alpha: 0.25\n")
    assert applied_values(tmp_path, {"fl_gamma": 1.2345701}) is None
    assert "fl_gamma=1.23457 in place of 1.3" in applied_values(tmp_path, {"fl_gamma": 1.3, "fl_alpha": 0.25})
    assert "fl_gain=None in place of 2.0" in applied_values(tmp_path, {"fl_gain": 2.0})


def test_a_trial_with_other_values_fails(tmp_path):
    """A training that ended well but wrote other values than it was given raises, which the tuner takes as failure."""
    program = "import sys, pathlib; pathlib.Path(sys.argv[1].split('=')[1], 'args.yaml').write_text(sys.argv[3])"
    command = [sys.executable, "-c", program, f"save_dir={tmp_path}", "fl_gamma=2.5"]
    original = subprocess.run
    with _watched_tuner({"fl_gamma": (0.0, 4.0)}):
        subprocess.run([*command, "fl_gamma: 2.5"], check=True)
        with pytest.raises(ConfigError, match=r"fl_gamma=1\.5 in place of 2\.5"):
            subprocess.run([*command, "fl_gamma: 1.5"], check=True)
    assert subprocess.run is original


def test_the_best_trial_becomes_hyperparameters(tmp_path):
    """What was learned with, not where and how long; a failed trial is never the best."""
    trials = (Trial({"fl_gamma": 1.0}, 0.1), Trial({"fl_gamma": 2.0}, 0.3), Trial({"fl_gamma": 3.0}, None))
    given = {"focal": True, "fl_loss": "qfl", "optimizer": "AdamW", "data": "x.yaml", "epochs": 3, "project": "y"}
    result = TuningResult(tmp_path, trials, given)
    assert result.best is trials[1]
    assert result.hyperparameters == {"focal": True, "fl_loss": "qfl", "optimizer": "AdamW", "fl_gamma": 2.0}
    assert TuningResult(tmp_path, trials[2:], given).best is None


BAD_WORDS = [
    (["space=nowhere"], "space=nowhere does not exist; give a YAML file or one of focal"),
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
def test_two_trials(tmp_path, capsys):
    """Two iterations of one epoch: both trials ran with their values, and a training accepts the file of the best."""
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        (tmp_path / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    data = tmp_path / "data.yaml"
    data.write_text("train: images\nval: images\nnames: {0: square}\n")
    words = [f"data={data}", "epochs=1", "imgsz=64", "batch=4", "workers=0", "device=cpu", "plots=False", "fl_loss=qfl"]
    best = tmp_path / "best.yaml"
    assert (
        main(["tune", "model=yolo11n.yaml", *words, "iterations=2", f"project={tmp_path / 'runs'}", f"out={best}"]) == 0
    )
    printed = capsys.readouterr().out
    assert "failed" not in printed.split("trial  fitness")[1]
    hyp = read_hyp(best)
    assert set(read_space(find_space("focal"))) < set(hyp)
    assert read_config(hyp).loss == "qfl"
    applied = [yaml.safe_load(file.read_text()) for file in (tmp_path / "runs").rglob("args.yaml")]
    assert any(each["fl_gamma"] == pytest.approx(hyp["fl_gamma"], abs=1e-4) for each in applied)
    from ultralytics import YOLO

    training = {"epochs": 1, "imgsz": 64, "workers": 0, "device": "cpu", "plots": False, "val": False}
    trained = YOLO("yolo11n.yaml")
    trained.train(data=data, cfg=best, project=tmp_path / "runs", name="again", **training)
    assert trained.trainer.args.fl_gamma == hyp["fl_gamma"]
