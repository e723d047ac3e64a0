"""An interruption ends with one line: what is kept, and how to go on."""

import re
import shlex
import signal

import pytest
from ultralytics.utils.callbacks.base import default_callbacks

from yolo_focal.cli import main

TINY = ("epochs=2", "imgsz=32", "batch=4", "device=cpu")


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C once, when trainings come to a moment for the first or a later time."""

    def at(moment, time=1):
        left = [time]

        def press(_):
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setitem(default_callbacks, moment, [*default_callbacks[moment], press])

    return at


def last_line(capfd):
    """The line of the command on stderr."""
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("yolo-focal: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.fixture
def train(tiny_data, tmp_path, monkeypatch):
    """A training with focal on, from the command line, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    words = ("train", "model=yolo11n.yaml", f"data={tiny_data}", *TINY, "plots=False", "focal=True")
    return lambda: main([*words, f"project={tmp_path}", "name=run"])


def test_a_training_goes_on_by_the_command_it_is_told(train, interrupt, tmp_path, capfd):
    """The line names the checkpoint, and the command in it finishes the training."""
    interrupt("on_model_save")
    assert train() == 130
    line = last_line(capfd)
    command = re.fullmatch(r"yolo-focal: interrupted; what was finished is kept; go on with: yolo-focal (.*)", line)[1]
    assert main(shlex.split(command)) == 0
    epochs = (tmp_path / "run" / "results.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [row.split(",")[0] for row in epochs] == ["1", "2"]


def test_a_training_without_an_epoch_starts_again(train, interrupt, capfd):
    """There is no checkpoint to name."""
    interrupt("on_train_epoch_start")
    assert train() == 130
    assert last_line(capfd) == (
        "yolo-focal: interrupted; no epoch was finished and saved, so that there is nothing to go on with; start again"
    )


def test_a_comparison_goes_on_with_the_same_command(tiny_data, tmp_path, interrupt, capfd):
    """The first trial is kept, and is not carried out again."""
    out = tmp_path / "out"
    words = ["compare", f"data={tiny_data}", "model=yolo11n.yaml", f"out={out}", "losses=focal", "seeds=1", *TINY]
    words += ["resamples=100", "val=False"]
    interrupt("on_train_start", time=2)
    assert main(words) == 130
    assert last_line(capfd) == (
        f"yolo-focal: interrupted; 1 of 2 trials have come to their end and are kept in {out}; the same command again "
        "goes on with the others"
    )
    first = (out / "trials.jsonl").read_text(encoding="utf-8")
    assert main(words) == 0
    assert "resuming: 1 finished before" in capfd.readouterr().out
    assert (out / "trials.jsonl").read_text(encoding="utf-8").startswith(first)


def test_the_demo_says_what_is_kept(tiny_data, tmp_path, interrupt, capfd):
    """It has no way to go on; the runs that are finished stay."""
    interrupt("on_train_start", time=2)
    assert main(["demo", f"data={tiny_data}", "epochs=1", "imgsz=32", "device=cpu", f"out={tmp_path / 'demo'}"]) == 130
    assert last_line(capfd) == (
        f"yolo-focal: interrupted; BCE in {tmp_path / 'demo'} is kept; the same command again starts afresh"
    )
