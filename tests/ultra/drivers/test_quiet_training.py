"""One training of an experiment: the same wherever it stands in its process."""

import os
import sys

from tests.helpers import run_python, write_squares

TWICE = """
import os
os.environ.pop("PYTEST_CURRENT_TEST", None)  # with which Ultralytics leaves its loggers alone
import sys
from pathlib import Path
from yolo_focal.ultra.drivers.quiet_training import train_quietly

tiny = dict(epochs=1, imgsz=32, batch=4, device="cpu", val=False, plots=False, workers=0)
for name in ("first", "second"):
    train_quietly("yolo11n.yaml", Path(name).absolute(), name, {"data": "squares/squares.yaml", **tiny})
assert "dvclive" in sys.modules
"""


def test_a_logger_that_draws_random_numbers_when_imported_changes_nothing(tmp_path):
    """The first training of a process, which imports the loggers, is augmented as the second."""
    write_squares(tmp_path / "squares", train=8, val=2)
    (tmp_path / "dvclive.py").write_text("import random\nrandom.random()\n")
    done = run_python(TWICE, tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    assert done.returncode == 0, done.stderr
    rows = [(tmp_path / name / "results.csv").read_text().splitlines()[1].split(",") for name in ("first", "second")]
    assert rows[0][2:5] == rows[1][2:5]
