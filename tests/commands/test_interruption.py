"""An interruption ends with one line: what is kept, and how to go on."""

import re
import shlex
import signal
import subprocess

import pytest
from ultralytics.utils.callbacks.base import default_callbacks

from yolo_focal.cli import main
from yolo_focal.commands.exit_codes import exit_code_of
from yolo_focal.console import PART_OF_A_RUN

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


@pytest.fixture
def tune(tiny_data, tmp_path, monkeypatch):
    """A tuning of three trials of one epoch, from the command line, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    words = ["tune", "model=yolo11n.yaml", f"data={tiny_data}", "epochs=1", "imgsz=32", "batch=4", "device=cpu"]
    words += ["workers=0", "plots=False", "iterations=3", f"project={tmp_path}", "name=search"]
    return lambda *more: main([*words, *more])


@pytest.fixture
def interrupt_trial(monkeypatch):
    """Press Ctrl-C once, when a tuner starts a trial for the first or a later time."""

    def at(time):
        original, left = subprocess.run, [time]

        def run(command, *args, **kwargs):
            left[0] -= "train" in command
            if left[0] == 0:
                monkeypatch.setattr(subprocess, "run", original)
                signal.raise_signal(signal.SIGINT)
            return original(command, *args, **kwargs)

        monkeypatch.setattr(subprocess, "run", run)

    return at


def test_a_tuning_without_a_trial_starts_again(tune, interrupt_trial, capfd):
    """There is nothing to go on with."""
    interrupt_trial(1)
    assert tune() == 130
    assert last_line(capfd) == (
        "yolo-focal: interrupted; no trial had come to its end, so that there is nothing to go on with; start again"
    )


@pytest.mark.slow
def test_a_tuning_goes_on_by_the_words_it_is_told(tune, interrupt_trial, tmp_path, capfd):
    """The first trial is kept, and is not carried out again."""
    interrupt_trial(2)
    assert tune() == 130
    more = f"resume=True project={tmp_path} name=search"
    assert last_line(capfd) == (
        f"yolo-focal: interrupted; 1 of 3 trials have come to their end and are kept in {tmp_path / 'search'}; the "
        f"same command again with {more} goes on with the others"
    )
    first = (tmp_path / "search" / "tune_results.ndjson").read_text(encoding="utf-8")
    assert tune(*more.split()) == 0
    trials = (tmp_path / "search" / "tune_results.ndjson").read_text(encoding="utf-8")
    assert trials.startswith(first) and trials.count("\n") == 3


@pytest.mark.parametrize("part", [False, True])
def test_one_program_speaks_for_the_processes_it_started(monkeypatch, capsys, part):
    """The terminal interrupts all of them; a trial of a tuning says nothing on its own."""

    def interrupted():
        raise KeyboardInterrupt("what was finished is kept")

    monkeypatch.delenv(PART_OF_A_RUN, raising=False)
    if part:
        monkeypatch.setenv(PART_OF_A_RUN, "1")
    assert exit_code_of("yolo-focal", interrupted) == 130
    expected = "" if part else "yolo-focal: interrupted; what was finished is kept\n"
    assert capsys.readouterr().err == expected
