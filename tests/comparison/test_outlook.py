"""What a comparison says before it starts, and which weights it leaves: real trainings of one epoch."""

import contextlib
import io
import json
from pathlib import Path
from typing import NamedTuple

import pytest

import yolo_focal
from yolo_focal.arguments.commands import KEPT_WEIGHTS
from yolo_focal.cli import main
from yolo_focal.comparison.outlook import duration
from yolo_focal.comparison.trial import remove_weights
from yolo_focal.errors import DataError

SETTINGS = {"epochs": 1, "imgsz": 32, "batch": 4, "device": "cpu", "workers": 0, "val": False}


def compare(data, out, **changes):
    """BCE and focal for an epoch."""
    given = {"losses": "bce,focal", "seeds": 1, "resamples": 100, **SETTINGS, **changes}
    return yolo_focal.compare(data, "yolo11n.yaml", out=out, **given)


def weights(out):
    """The checkpoints of all trials, by trial and name."""
    return sorted(f"{file.parents[2].name}/{file.name}" for file in out.glob("trials/*/run/weights/*"))


class Finished(NamedTuple):
    """A finished comparison that kept none of its weights."""

    out: Path
    printed: str


@pytest.fixture(scope="module")
def finished(tiny_data, tmp_path_factory):
    """Two trials."""
    out, printed = tmp_path_factory.mktemp("kept") / "out", io.StringIO()
    with contextlib.redirect_stdout(printed):
        compare(tiny_data, out, keep="none")
    yolo_focal.disable()
    return Finished(out, printed.getvalue())


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tiny_data, tmp_path, capsys):
    """Configurations, seeds, number of trials, settings; exit code 0."""
    out = tmp_path / "out"
    words = [f"{name}={value}" for name, value in {**SETTINGS, "epochs": 7, "lr0": 0.02}.items()]
    command = [
        "compare",
        f"data={tiny_data}",
        "model=yolo11n.yaml",
        "losses=focal,qfl",
        "seeds=4,5",
        f"out={out}",
        *words,
    ]
    assert main([*command, "dry_run=True", "keep=best"]) == 0
    printed = capsys.readouterr().out
    for phrase in (
        "bce: BCE\nfocal: focal(gamma=1.5, alpha=0.25, gain=auto)\nqfl: qfl(",
        "3 configurations x 2 seeds (4, 5) = 6 trials, 6 of them to do\n",
        "model=yolo11n.yaml",
        "epochs=7",
        "lr0=0.02",
        "evaluated on val, 8 images; weights that stay: best.pt of each trial\n",
        "Dry run: nothing was trained or written.",
    ):
        assert phrase in printed
    assert not out.exists()


def test_a_dry_run_knows_what_is_done_and_how_long_the_rest_takes(finished, tiny_data, enabled):
    """The folder stays as it is; the result has the finished trials."""
    before = {path: path.stat().st_mtime_ns for path in finished.out.rglob("*")}
    result = compare(tiny_data, finished.out, losses="bce,focal,qfl", seeds=2, extend=True, dry_run=True)
    assert "bce: BCE; finished before: seed 0\n" in result.summary()
    assert "3 configurations x 2 seeds (0, 1) = 6 trials, 4 of them to do, about " in result.summary()
    assert set(result.findings.finished) == {("bce", 0), ("focal", 0)}
    assert not result.failed and not result.rows() and json.dumps(result.to_dict())
    assert before == {path: path.stat().st_mtime_ns for path in finished.out.rglob("*")}


def test_a_dry_run_refuses_what_the_run_would(finished, tiny_data, enabled):
    """The folder of another comparison."""
    with pytest.raises(DataError, match="epochs was 1, is now 2"):
        compare(tiny_data, finished.out, epochs=2, dry_run=True)


def test_the_first_epoch_says_how_long_it_takes(finished):
    """Once, before the first trial has ended."""
    lines = finished.printed.splitlines()
    assert lines[2].startswith("2 configurations x 1 seed (0) = 2 trials, 2 of them to do")
    (place,) = (number for number, line in enumerate(lines) if line.endswith("left, at the pace of the first epoch"))
    assert place < next(number for number, line in enumerate(lines) if " 1/2 " in line)


def test_trials_without_weights_are_finished(finished, tiny_data, enabled, capsys):
    """A further seed is trained alone, its own weights stay, and the findings are of both."""
    out = finished.out
    assert weights(out) == []
    result = compare(tiny_data, out, seeds=2, extend=True)
    printed = capsys.readouterr().out
    assert "= 4 trials, 2 of them to do, about " in printed and "first epoch" not in printed
    assert weights(out) == ["bce-seed1/last.pt", "focal-seed1/last.pt"]
    assert len((out / "trials.jsonl").read_text().splitlines()) == 4
    assert result.to_dict()["configurations"]["focal"]["seeds"] == [0, 1]


@pytest.mark.parametrize("keep", KEPT_WEIGHTS)
def test_the_weights_that_are_asked_for_stay(tmp_path, keep):
    """Those of single epochs, which save_period= makes, only with all."""
    names = {"best.pt", "epoch0.pt", "last.pt"}
    folder = tmp_path / "bce-seed0" / "run" / "weights"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    remove_weights(tmp_path / "bce-seed0", keep)
    assert {file.name for file in folder.iterdir()} == (names if keep == "all" else names & {f"{keep}.pt"})


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.4, "about 42 s"), (90, "about 2 min"), (5399, "about 90 min"), (7200, "about 2.0 h")]
)
def test_durations(seconds, text):
    """Seconds, minutes or hours."""
    assert duration(seconds) == text
