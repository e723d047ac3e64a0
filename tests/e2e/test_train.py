"""Real trainings on tiny data: command line, Python, file, resume, and checkpoints without this package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers import run_command_line, run_python
from tests.ultra.helpers import losses_of

START_LINE = "focal: class BCE -> focal(gamma=1.5, alpha=0.25, gain=auto)"


def test_training_says_once_what_runs_and_saves_its_settings(trained):
    """The start line, args.yaml and both checkpoints."""
    printed, run = trained
    assert printed.count(START_LINE) == 1
    arguments = yaml.safe_load((run / "args.yaml").read_text())
    assert arguments["focal"] is True and arguments["fl_gamma"] == 1.5 and arguments["fl_alpha"] == 0.25
    assert (run / "weights" / "best.pt").is_file() and (run / "weights" / "last.pt").is_file()


def test_the_checkpoint_validates_and_predicts(trained, small_set, tmp_path):
    """From the command line, without any argument of the plugin."""
    best = trained.run / "weights" / "best.pt"
    val = run_command_line("val", f"model={best}", f"data={small_set}", "imgsz=64", f"project={tmp_path}", cwd=tmp_path)
    assert val.returncode == 0, val.stderr[-2000:]
    image = next((small_set.parent / "images" / "val").iterdir())
    predict = run_command_line(
        "predict", f"model={best}", f"source={image}", "imgsz=64", f"project={tmp_path}", "name=p", cwd=tmp_path
    )
    assert predict.returncode == 0, predict.stderr[-2000:]
    assert (tmp_path / "p" / image.name).is_file()  # saved, as the yolo command does


def test_the_checkpoint_works_where_this_package_is_not_installed(trained, small_set, tmp_path):
    """Stock Ultralytics loads it, normally and in its safe mode, in an interpreter that cannot import this package."""
    best = trained.run / "weights" / "best.pt"
    program = (
        "import sys; sys.modules['yolo_focal'] = None\n"
        "from ultralytics import YOLO\n"
        f"YOLO({str(best)!r}).val(data={str(small_set)!r}, imgsz=64, plots=False, project={str(tmp_path)!r})\n"
    )
    for extra in ({}, {"ULTRALYTICS_SAFE_LOAD": "1"}):
        process = run_python(program, **extra)
        assert process.returncode == 0, process.stderr[-2000:]


def test_python_file_and_command_line_do_the_same(enabled, small_set, tmp_path):
    """The same seed gives the same losses whichever way the settings come."""
    own = tmp_path / "own.yaml"
    own.write_text("fl_gamma: 1.5\nfl_alpha: 0.25\n")
    common = {"data": str(small_set), "imgsz": 64, "epochs": 1, "batch": 8, "plots": False, "project": str(tmp_path)}
    from ultralytics import YOLO

    for name, settings in {
        "keywords": {"fl_gamma": 1.5, "fl_alpha": 0.25},
        "file": {"cfg": str(own)},
        "preset": {"cfg": "focal"},
    }.items():
        YOLO("yolo11n.yaml").train(name=name, **common, **settings)
    losses = [losses_of(tmp_path / name) for name in ("keywords", "file", "preset")]
    assert losses[0] == losses[1] == losses[2]


def test_alpha_from_frequencies_is_said_and_logged(small_set, tmp_path):
    """args.yaml says auto, as the call did; the start of the training and results.csv have a number for each class."""
    process = run_command_line(
        "train", "model=yolo11n.yaml", f"data={small_set}", "imgsz=64", "epochs=1", "batch=8", "plots=False",
        f"project={tmp_path}", "name=run", "fl_alpha=auto", cwd=tmp_path,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-2000:]
    assert (process.stdout + process.stderr).count("focal: fl_alpha=auto -> disc 0.") == 1
    assert yaml.safe_load((tmp_path / "run" / "args.yaml").read_text())["fl_alpha"] == "auto"
    header = (tmp_path / "run" / "results.csv").read_text().splitlines()[0]
    assert header.count("focal/alpha_") == 10


@pytest.mark.parametrize("script", ["train.py", "val.py"])
def test_the_scripts_are_front_ends(script, trained, small_set, tmp_path):
    """They take the same words as the command line."""
    path = Path(__file__).parents[2] / "scripts" / script
    words = [f"data={small_set}", "imgsz=64", "batch=8", f"project={tmp_path}", "plots=False"]
    own = {
        "train.py": ["model=yolo11n.yaml", "epochs=1", "focal"],
        "val.py": [f"model={trained.run / 'weights/best.pt'}"],
    }
    process = subprocess.run(
        [sys.executable, str(path), *words, *own[script]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["yolo11n.yaml", "yolov8n.yaml", "yolo26n.yaml"])
def test_real_blood_cells(shared, tmp_path, model):
    """Two epochs on real data, then val and predict on the result."""
    data = shutil.copytree(shared / "data" / "bccd", tmp_path / "bccd") / "bccd.yaml"
    words = ("train", f"model={model}", f"data={data}", "imgsz=160", "epochs=2", "focal=True", f"project={tmp_path}")
    process = run_command_line(*words, "name=run", cwd=tmp_path)
    assert process.returncode == 0, process.stderr[-2000:]
    branches = " on one2many, one2one" if "26" in model else ""
    assert f"{START_LINE}{branches}; box and DFL untouched" in process.stdout + process.stderr
    best = tmp_path / "run" / "weights" / "best.pt"
    image = next((data.parent / "images" / "test").iterdir())
    for words in (("val", f"data={data}"), ("predict", f"source={image}")):
        process = run_command_line(*words, f"model={best}", "imgsz=160", f"project={tmp_path}", cwd=tmp_path)
        assert process.returncode == 0, process.stderr[-2000:]
