"""Each trial is checked after it: its values are those it was given, and the best become hyperparameters."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from yolo_focal.errors import ConfigError
from yolo_focal.ultra.drivers.tuning import (
    TuningResult,
    TuningTrial,
    _records,
    _watched_tuner,
    applied_values,
    load_for_tuning,
    trial_lines,
)

pytestmark = pytest.mark.usefixtures("enabled")


def test_applied_values_are_read_back(tmp_path):
    """Equal up to the rounding of the tuner; a difference, or no args.yaml at all, is a sentence."""
    assert "has no args.yaml" in applied_values(tmp_path, {})
    (tmp_path / "args.yaml").write_text("fl_gamma: 1.23457\nfl_alpha: 0.25\n")
    assert applied_values(tmp_path, {"fl_gamma": 1.2345701}) is None
    assert "fl_gamma=1.23457 in place of 1.3" in applied_values(tmp_path, {"fl_gamma": 1.3, "fl_alpha": 0.25})
    assert "fl_gain=None in place of 2.0" in applied_values(tmp_path, {"fl_gain": 2.0})


@pytest.mark.parametrize("content", ["", "- a list\n", "lr0: [\n"])
def test_a_damaged_record_of_the_values_is_named(tmp_path, content):
    """As that of a training which was killed while it wrote it."""
    (tmp_path / "args.yaml").write_text(content)
    assert applied_values(tmp_path, {"lr0": 0.1}) == f"{tmp_path}/args.yaml is damaged"


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
    trials = (
        TuningTrial({"fl_gamma": 1.0}, 0.1),
        TuningTrial({"fl_gamma": 2.0}, 0.3),
        TuningTrial({"fl_gamma": 3.0}, None),
    )
    given = {"focal": True, "fl_loss": "qfl", "optimizer": "AdamW", "data": "x.yaml", "epochs": 3, "project": "y"}
    result = TuningResult(tmp_path, trials, given)
    assert result.best is trials[1]
    assert result.hyperparameters == {"focal": True, "fl_loss": "qfl", "optimizer": "AdamW", "fl_gamma": 2.0}
    assert TuningResult(tmp_path, trials[2:], given).best is None


def test_the_table_of_a_search_that_was_resumed_with_another_space(tmp_path):
    """Each value under its own name, and nothing where a trial had none."""
    trials = (TuningTrial({"lr0": 0.1, "mosaic": 0.5}, 0.1), TuningTrial({"box": 7.0}, 0.3))
    head, first, second = trial_lines(TuningResult(tmp_path, trials, {}))
    assert head.split() == ["trial", "fitness", "lr0", "mosaic", "box"]
    assert first.split() == ["1", "0.10000", "0.1", "0.5", "-"] and second.split()[1:] == ["0.30000", "-", "-", "7"]


def test_half_a_record_is_no_trial(tmp_path):
    """What a kill leaves of a line; the trials before it count."""
    file = tmp_path / "tune_results.ndjson"
    file.write_text('{"fitness": 0.1}\n{"fitness": 0.2}\n{"fitn')
    assert [each["fitness"] for each in _records(SimpleNamespace(tune_file=file))] == [0.1, 0.2]


def test_pasting_that_no_trial_would_do_is_refused(small_set):
    """Also where the range begins with off."""
    given = {"data": str(small_set), "epochs": 5}
    with pytest.raises(ConfigError, match=r"rare_paste=0.9 cannot act: the last close_mosaic=10 epochs"):
        load_for_tuning("yolo11n.yaml", {"rare_paste": (0.0, 0.9)}, given)
    load_for_tuning("yolo11n.yaml", {"rare_paste": (0.0, 0.9)}, {**given, "close_mosaic": 0})


@pytest.mark.parametrize(
    ("space", "given", "message"),
    [
        ({"fl_warmup": (0.0, 30.0)}, {"epochs": 5}, "at the high end of the space fl_warmup=30 takes 30 epochs"),
        ({"fl_warmup": (0.0, 3.0), "fl_cooldown": (0.0, 1.0)}, {"epochs": 5}, "at the high end of the space fl_warmup"),
        ({"fl_class_weights": (0.0, 1.0)}, {"cls_pw": 0.5}, "at the high end .* both weigh the classes"),
        ({"rare_stop": (0.0, 0.5), "rare_paste": (0.1, 0.9)}, {"time": 1.0}, "at the high end .* rare_stop=0.5 cannot"),
    ],
)
def test_a_range_whose_high_end_fits_no_training_is_refused(small_set, space, given, message):
    """Half of the trials would fail, hours later."""
    with pytest.raises(ConfigError, match=message):
        load_for_tuning("yolo11n.yaml", space, {"data": str(small_set), "close_mosaic": 0, **given})
