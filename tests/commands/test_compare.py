"""`yolo-focal compare` from end to end on a handful of small images, and everything it refuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.helpers import write_squares
from yolo_focal.arguments.commands import seed_list
from yolo_focal.cli import main

TINY = [
    "model=yolo11n.yaml",
    "epochs=2",
    "imgsz=32",
    "batch=4",
    "device=cpu",
    "val=False",
    "warmup_epochs=0",
    "resamples=100",
]


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    """A dataset of light and dark squares: eight images to train on, six to evaluate on, an unlabelled test split."""
    data = write_squares(tmp_path_factory.mktemp("squares"), train=8, val=6, test=2)
    for file in (data.parent / "labels" / "test").iterdir():
        file.unlink()
    return data


def words(data, out, *more, losses="focal", seeds=2):
    return ["compare", f"data={data}", f"out={out}", f"losses={losses}", f"seeds={seeds}", *TINY, *more]


def rows_of(out):
    """The lines of the journal as dictionaries, sorted."""
    rows = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    return sorted(rows, key=lambda row: (row["seed"], row["configuration"]))


def start(arguments):
    """The command in a process group of its own, so that it can be killed with everything it started."""
    return subprocess.Popen(
        [sys.executable, "-m", "yolo_focal", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(path, process, seconds=600):
    """Return when `path` exists."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.01)


@pytest.fixture(scope="module")
def undisturbed(squares, tmp_path_factory):
    """A comparison that nothing interrupted: its folder and what it printed."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    process = start(words(squares, out))
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return out, printed


@pytest.mark.slow
def test_every_trial_is_what_was_asked(undisturbed):
    """Arguments from args.yaml and criterion as it ran, seed by seed."""
    out, _ = undisturbed
    rows = rows_of(out)
    assert [(row["configuration"], row["seed"]) for row in rows] == [("bce", 0), ("focal", 0), ("bce", 1), ("focal", 1)]
    for row in rows:
        focal = row["configuration"] == "focal"
        assert row["status"] == "finished" and row["images"] == 6
        assert row["criterion"] == {"class": "focal(gamma=1.5, alpha=0.25, gain=auto)" if focal else "BCE"}
        assert ("fl_gamma" in row["arguments"]) == focal
        assert row["arguments"]["seed"] == row["seed"] and row["arguments"]["epochs"] == 2


@pytest.mark.slow
def test_output_files_and_what_is_printed(undisturbed):
    """A line per trial with the time left, the table, where the report is, four files."""
    out, printed = undisturbed
    assert {"trials.jsonl", "summary.json", "results.csv", "report.html"} <= {path.name for path in out.iterdir()}
    assert " 1/4 " in printed and " 4/4 " in printed and "left" in printed
    assert printed.rstrip().endswith(f"Report: {out / 'report.html'}")
    assert json.loads((out / "summary.json").read_text())["configurations"]["focal"]["seeds"] == [0, 1]


@pytest.mark.slow
def test_killed_in_the_second_trial_and_started_again_it_ends_the_same(undisturbed, squares, tmp_path):
    """SIGKILL during a training: nothing is lost or done twice, and every number is that of an undisturbed run."""
    out = tmp_path / "out"
    process = start(words(squares, out))
    wait_for(out / "trials" / "focal-seed0" / "run" / "args.yaml", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len((out / "trials.jsonl").read_text().splitlines()) == 1
    first_trained = (out / "trials" / "bce-seed0" / "trained.json").stat().st_mtime_ns
    (out / "trials.jsonl").open("a").write('{"configuration": "fo')  # and the disk has half a line

    assert subprocess.run([sys.executable, "-m", "yolo_focal", *words(squares, out)], check=False).returncode == 0
    assert (out / "trials" / "bce-seed0" / "trained.json").stat().st_mtime_ns == first_trained
    assert rows_of(out) == rows_of(undisturbed[0])
    for name in ("summary.json", "results.csv"):
        assert (out / name).read_text() == (undisturbed[0] / name).read_text()


@pytest.mark.slow
def test_a_finished_comparison_trains_nothing_again(undisturbed, squares):
    """The same command once more only judges and reports."""
    out, _ = undisturbed
    before = (out / "trials.jsonl").read_bytes()
    results = (out / "results.csv").read_text()
    assert main(words(squares, out)) == 0
    assert (out / "trials.jsonl").read_bytes() == before
    assert (out / "results.csv").read_text() == results


@pytest.mark.slow
def test_another_comparison_is_refused_in_this_folder(undisturbed, squares, capsys):
    """The line says what differs, then and now; nothing is written."""
    out, _ = undisturbed
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert main([*words(squares, out, seeds=3), "epochs=3", "lr0=0.5"]) == 2
    message = capsys.readouterr().err
    for phrase in ("holds another comparison", "epochs was 2, is now 3", "lr0 was not given, is now 0.5", "seeds was"):
        assert phrase in message
    assert before == {path: path.stat().st_mtime_ns for path in out.iterdir()}


@pytest.mark.slow
def test_a_failing_trial_is_reported_and_the_others_go_on(squares, tmp_path, capsys):
    """A momentum that the optimizer refuses fails its trials only; the exit code is 1; a restart retries."""
    out = tmp_path / "out"
    losses = "bce:optimizer=AdamW,momentum=1,focal"
    assert main(words(squares, out, losses=losses, seeds=1)) == 1
    printed = capsys.readouterr().out
    status = {row["configuration"]: row["status"] for row in rows_of(out)}
    assert status == {"bce": "finished", "bce:optimizer=AdamW,momentum=1": "failed", "focal": "finished"}
    assert "FAILED bce:optimizer=AdamW,momentum=1 seed 0: ZeroDivisionError" in printed
    assert "Traceback" in (out / "trials" / "bce-optimizer=AdamW,momentum=1-seed0" / "error.txt").read_text()
    assert main(words(squares, out, losses=losses, seeds=1)) == 1
    assert [row["configuration"] for row in rows_of(out)].count("bce:optimizer=AdamW,momentum=1") == 2


@pytest.mark.slow
def test_what_a_training_measures_counts_as_asked(squares, tmp_path):
    """`auto` stays in the arguments, the criterion has the numbers of alpha, and the trial passes."""
    out = tmp_path / "out"
    assert main(words(squares, out, losses="focal:fl_gain=auto,fl_alpha=auto", seeds=1)) == 0
    row = next(row for row in rows_of(out) if row["configuration"] != "bce")
    assert row["arguments"]["fl_gain"] == row["arguments"]["fl_alpha"] == "auto"
    assert re.fullmatch(r"focal\(gamma=1.5, alpha=\[0.\d+, 0.\d+\], gain=auto\)", row["criterion"]["class"])


@pytest.mark.slow
def test_two_processes_cannot_share_a_folder(squares, tmp_path, capsys):
    """The second one is told so and changes nothing."""
    out = tmp_path / "out"
    process = start(words(squares, out))
    wait_for(out / "trials", process)
    assert main(words(squares, out)) == 2
    assert "another process is at work" in capsys.readouterr().err
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    ("change", "phrases"),
    [
        (["losses=fokal"], ["unknown loss 'fokal'", "did you mean 'focal'?"]),
        (["losses=focal:gamma"], ["must be key=value"]),
        (["losses=focal:fl_gama=2"], ["'fl_gama' is not a training argument", "did you mean 'fl_gamma'?"]),
        (["losses=focal:fl_alpha=[0.1,0.2,0.3]"], ["fl_alpha has 3 numbers", "2 classes"]),
        (["losses=focal:optimizer=[1]"], ["optimizer"]),
        (["seeds=0"], ["seeds must be how many seeds (1 to 10000)", "got '0'"]),
        (["seeds=-2"], ["seeds must be how many seeds"]),
        (["seeds=10001"], ["seeds must be how many seeds (1 to 10000)", "got '10001'"]),
        (["seeds=4294967296,"], ["a list of different ones from 0 to 4294967295"]),
        (["seeds=1,1"], ["different ones"]),
        (["seeds=two"], ["got 'two'"]),
        (["split=test"], ["images of 'test' have no labels", "expected text files"]),
        (["parallel=8"], ["parallel=8 cannot act with engine=local"]),
        (["engine=slurm"], ["engine must be one of local, ray"]),
        (["losses=bce:optimizer=Foo"], ["Optimizer 'Foo' not found", "(configuration bce:optimizer=Foo)"]),
        (["imgsz=100"], ["imgsz must be a multiple of 32", "got 100"]),
        (["device=0,1"], ["device must be a single one", "engine=ray"]),
        (["fl_gamma=2"], ["fl_gamma=2 belongs to a configuration: losses=focal:fl_gamma=2"]),
        (["cls_pw=1"], ["losses=bce,cls_pw:cls_pw=1"]),
        (["cfg=qfl"], ["fl_loss=qfl belongs to a configuration: losses=focal:fl_loss=qfl"]),
        (["cfg=fokal"], ["cfg=fokal does not exist; give a YAML file or one of focal"]),
        (["losses=bce:rare_paste=0.5"], ["rare_paste=0.5 cannot act", "close_mosaic=0", "bce:rare_paste=0.5)"]),
        (["losses=rare"], ["rare_paste=0.5 cannot act", "give close_mosaic=0 or more epochs (configuration rare)"]),
        (["single_cls=True"], ["'single_cls' is a training argument that compare does not take"]),
        (["classes=[0]"], ["'classes' is a training argument that compare does not take"]),
        (["losses=focal:single_cls=True"], ["'focal:single_cls=True' sets single_cls", "all classes", "data YAML"]),
        (["lr=0.1"], ["'lr' is not an argument of compare", "did you mean 'lr"]),
        (["model=nothing.yaml"], ["model=nothing.yaml cannot be loaded"]),
        (["model=rtdetr-resnet50.yaml"], ["is an RT-DETR", "varifocal", "yolo-focal evaluate"]),
        (["data=nothing.yaml"], ["nothing.yaml does not exist"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(squares, tmp_path, capsys, change, phrases):
    """Exit code 2, value, expectation and remedy in one line, no output folder."""
    out = tmp_path / "out"
    assert main([*words(squares, out), *change]) == 2
    message = capsys.readouterr().err
    assert all(phrase in message for phrase in phrases), message
    assert message.count("\n") == 1
    assert not out.exists()


def test_a_hyperparameter_file_holds_for_all_configurations(squares, tmp_path, capsys):
    """`cfg=` gives what is not given, no budget, and no YOLOv5 file whose names mean something else."""
    hyp, out = tmp_path / "mine.yaml", tmp_path / "out"
    command = [*words(squares, out), f"cfg={hyp}", "hsv_h=0.3", "dry_run=True"]
    hyp.write_text("fliplr: 0.25\nhsv_h: 0.1\n")
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "fliplr=0.25" in printed and "hsv_h=0.3" in printed and "cfg=" not in printed
    hyp.write_text("epochs: 7\n")
    assert main(command) == 2
    assert "mine.yaml sets epochs; leave it out there; give epochs= to compare itself" in capsys.readouterr().err
    hyp.write_text("anchor_t: 4.0\nobj_pw: 1.0\niou_t: 0.2\nbox: 0.05\n")
    assert main(command) == 2
    assert f"cfg={hyp}" in capsys.readouterr().err and not out.exists()


def test_a_hyperparameter_file_that_trains_other_classes_is_refused(squares, tmp_path, capsys):
    """Trainings would fail, or be judged on classes that they never saw."""
    file, out = tmp_path / "one.yaml", tmp_path / "out"
    file.write_text("single_cls: True\n")
    assert main([*words(squares, out), f"cfg={file}"]) == 2
    assert f"cfg={file} sets single_cls: every training is evaluated on all classes" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_that_is_not_a_comparison_is_left_alone(squares, tmp_path, capsys):
    """A folder with other files is refused, and so is a damaged record."""
    (tmp_path / "notes.txt").write_text("mine")
    assert main(words(squares, tmp_path)) == 2
    assert "is not empty and holds no comparison" in capsys.readouterr().err
    (tmp_path / "comparison.json").write_text("[]")
    assert main(words(squares, tmp_path)) == 2
    assert "is not the record of a comparison" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "comparison.json"}


def test_ray_missing_is_said_before_anything_starts(squares, tmp_path, capsys, monkeypatch):
    """The message has the command that installs it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*words(squares, tmp_path / "out"), "engine=ray"]) == 2
    assert "pip install 'yolo_focal[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def trials_of(process):
    """Ray's workers below `process` that train; those of another comparison on this machine are not among them."""
    return [each for each in psutil.Process(process.pid).children(recursive=True) if "ray::run_trial" in each.cmdline()]


@pytest.mark.slow
def test_the_anchor_detector_is_compared_too(squares, tmp_path, capsys):
    """With the hyperparameters of YOLOv5 for all, and a loss on objectness alone."""
    command = words(squares, tmp_path / "out", "cfg=yolov5-anchor", losses="focal:fl_scope=obj", seeds=1)
    assert main([*command, "model=yolov5n-anchor.yaml", "epochs=1"]) == 0, capsys.readouterr().out
    assert {row["configuration"]: row["status"] for row in rows_of(tmp_path / "out")} == {
        "bce": "finished",
        "focal:fl_scope=obj": "finished",
    }


@pytest.mark.slow
def test_ray_gives_the_same_trials_and_survives_a_lost_worker(undisturbed, squares, tmp_path):
    """Two workers, one of them killed in the middle of a training: the same journal as one process alone."""
    pytest.importorskip("ray")
    out = tmp_path / "out"
    process = start(words(squares, out, "engine=ray", "parallel=2"))
    wait_for(out / "trials" / "bce-seed0" / "run" / "args.yaml", process)
    trials_of(process)[0].kill()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert rows_of(out) == rows_of(undisturbed[0])
    assert len((out / "trials.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("given", "seeds"),
    [("1", [0]), ("3", [0, 1, 2]), ([0], [0]), ("7,8", [7, 8]), ("7,", [7]), ("[7]", [7]), ("0,", [0])],
)
def test_seeds_are_a_number_or_themselves(given, seeds):
    """What was read once is read the same again."""
    assert seed_list(given) == seeds == seed_list(seeds)
