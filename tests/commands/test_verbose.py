"""verbose=False leaves one line of every command, the result, and nothing of a Python function."""

import shlex
import subprocess
import sys
from pathlib import Path

import yolo_focal
from yolo_focal.arguments.commands import COMMANDS, VERBOSE
from yolo_focal.cli import main
from yolo_focal.console import conclude, pasteable, quiet, say
from yolo_focal.data.problem_lines import use_of_data
from yolo_focal.data.progress_bar import open_bar, progress_bar
from yolo_focal.ultra.command_line import checked_words
from yolo_focal.ultra.drivers.tuning import _watched_tuner

TINY = ("imgsz=64", "batch=4", "device=cpu")


def only_line(words, capfd):
    """What a command prints with verbose=False, on both streams together."""
    capfd.readouterr()
    assert main([*words, "verbose=False"]) == 0
    printed = capfd.readouterr()
    assert printed.err == "" and printed.out.count("\n") == 1
    return printed.out.strip()


def test_every_command_that_works_takes_it():
    """All but the one that prints a script."""
    assert [name for name, command in COMMANDS.items() if VERBOSE not in command.keys] == ["completion"]


def test_a_wrong_value_is_named(capsys):
    """As any other."""
    assert main(["evaluate", "model=m.pt", "data=d.yaml", "verbose=quiet"]) == 2
    assert "verbose must be True or False, got 'quiet'" in capsys.readouterr().err


def test_evaluate(chatty_checkpoint, small_set, tmp_path, capfd):
    """AP, and where the rest is."""
    words = ["evaluate", f"model={chatty_checkpoint}", f"data={small_set}", *TINY, f"out={tmp_path / 'out'}"]
    line = only_line(words, capfd)
    assert line.startswith(f"{chatty_checkpoint} on {small_set} (val), AP 0.")
    assert line.endswith(f"written to {tmp_path / 'out'}")


def test_doctor(small_set, tmp_path, capfd):
    """How much there is to read, and where."""
    line = only_line(["doctor", "model=yolo11n.yaml", f"data={small_set}", *TINY, f"out={tmp_path / 'out'}"], capfd)
    assert line.startswith("yolo11n.yaml on ") and line.endswith(f"pieces of advice; written to {tmp_path / 'out'}")


def test_compare(tiny_data, tmp_path, capfd):
    """How many trials, and the outcome; a plan is printed all the same."""
    words = ["compare", f"data={tiny_data}", "model=yolo11n.yaml", f"out={tmp_path / 'out'}", "losses=focal", "seeds=1"]
    words += ["epochs=1", *TINY, "resamples=100", "val=False", "workers=0"]
    assert only_line(words, capfd).startswith("2 trials of bce, focal: ")
    assert main([*words, "dry_run=True", "verbose=False"]) == 0
    assert "Dry run: nothing was trained or written." in capfd.readouterr().out


def test_the_data_commands(small_set, tmp_path, capfd):
    """The folder."""
    line = only_line(["yolo2coco", f"data={small_set}", f"out={tmp_path / 'coco'}"], capfd)
    assert line == f"written to {tmp_path / 'coco'}"


def test_a_python_function_prints_nothing(chatty_checkpoint, small_set, capfd):
    """With it off; by default a bar shows how far it is."""
    yolo_focal.evaluate(chatty_checkpoint, small_set, imgsz=64, batch=4, verbose=False)
    assert capfd.readouterr() == ("", "")
    yolo_focal.evaluate(chatty_checkpoint, small_set, imgsz=64, batch=4)
    assert capfd.readouterr().err != ""


def test_trials_of_a_tuning_are_silent(capfd):
    """What they print on standard output is left out; errors are not."""
    program = "import sys; print('1/3'); print('trouble', file=sys.stderr)"
    with quiet(), _watched_tuner({}):
        subprocess.run([sys.executable, "-c", program], check=True)
    assert capfd.readouterr() == ("", "trouble\n")


def test_quiet_blocks_nest_and_end(capsys):
    """An inner one that asks for nothing changes nothing; after the outer one all is as before."""
    with quiet(), quiet(False):
        say("on the way")
        conclude("a table", "a line")
        open_bar(2, "bar").update(2)
        assert list(progress_bar([1, 2], "bar")) == [1, 2]
    assert capsys.readouterr() == ("a line\n", "")
    say("on the way")
    conclude("a table", "a line")
    assert capsys.readouterr().out == "on the way\na table\n"


def test_a_command_to_paste_has_its_paths_whole():
    """Spaces and quotes in a path do not part it; a list has no spaces."""
    path = Path("/home/a b/it's/last.pt")
    assert shlex.split(pasteable("train", f"model={path}")) == ["yolo-focal", "train", f"model={path}"]
    assert shlex.split(pasteable("train", model=path, fl_alpha=[0.1, 1])) == [
        *("yolo-focal", "train", f"model={path}", "fl_alpha=[0.1,1]")
    ]
    assert shlex.split(use_of_data(Path("/a b/data.yaml")).removeprefix("Use it: "))[-1] == "data=/a b/data.yaml"


def test_the_doctor_says_how_to_train(small_set, tmp_path, capsys):
    """With what was asked, as one can paste it; with rare classes shown more often where that can act."""
    spaced = tmp_path / "a b.yaml"
    spaced.write_text(f"path: {small_set.parent}\n{small_set.read_text()}")
    words = ["doctor", "model=yolo11n.yaml", f"data={spaced}", *TINY, f"out={tmp_path / 'out'}"]
    assert main([*words, f"fl_alpha={[0.5] * 10}"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    program, *command = shlex.split(last.removeprefix("Next: "))
    assert (program, command[0]) == ("yolo-focal", "train")
    assert {
        "model=yolo11n.yaml",
        f"data={spaced}",
        "imgsz=64",
        "batch=4",
        f"fl_alpha={[0.5] * 10}".replace(" ", ""),
    } <= set(command)
    assert checked_words(command)
    assert main([*words, "rare_paste=0.5", "exist_ok=True"]) == 0
    assert "cfg=rare" not in capsys.readouterr().out.splitlines()[-1]
