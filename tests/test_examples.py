"""The examples run: the scripts one after the other, on the built-in data, and the notebook."""

import os
from pathlib import Path

import nbformat
import pytest

from tests.helpers import run_file

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOK = EXAMPLES / "custom_data.ipynb"


def run(*words, cwd):
    """Run an example as a user does, and return what it printed."""
    done = run_file(*words, cwd=cwd, timeout=1500)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which the first example was run, and what it printed."""
    folder = tmp_path_factory.mktemp("examples")
    return folder, run(EXAMPLES / "train_rare_classes.py", cwd=folder)


@pytest.mark.slow
def test_the_trainings_are_those_that_the_script_names(trained):
    """Each run has its own arguments, and its row in the table."""
    folder, printed = trained
    arguments = {name: (folder / f"runs/examples/{name}/args.yaml").read_text() for name in ("bce", "qfl", "rare")}
    assert "fl_loss: qfl" in arguments["qfl"] and "rare_paste: 0.5" in arguments["rare"]
    assert "fl_" not in arguments["bce"] and "rare_" not in arguments["bce"]
    rows = [line.split() for line in printed.splitlines() if line.split()[:1] in (["bce"], ["qfl"], ["rare"])]
    assert [row[0] for row in rows] == ["bce", "qfl", "rare"] and all(float(row[1]) > 0 for row in rows)


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_and_plotted(trained):
    """Beside the files of the command stands the picture."""
    folder, _ = trained
    printed = run(EXAMPLES / "evaluate_and_plot.py", "model=runs/examples/rare/weights/last.pt", "imgsz=96", cwd=folder)
    found = {path.name for path in (folder / "runs/examples/evaluation").iterdir()}
    assert {"evaluation.json", "per_class.csv", "frequency.png"} <= found and "crescent" in printed


@pytest.mark.slow
def test_a_checkpoint_is_calibrated_and_exported(trained):
    """The ONNX file has the AP of the calibrated checkpoint."""
    folder, _ = trained
    printed = run(
        EXAMPLES / "calibrate_and_export.py", "model=runs/examples/rare/weights/last.pt", "imgsz=96", cwd=folder
    )
    found = {line.split()[0]: line.split()[1] for line in printed.splitlines() if len(line.split()) == 3}
    assert float(found["ONNX"]) == pytest.approx(float(found["calibrated"]), abs=0.002)
    assert (folder / "runs/examples/calibrated.onnx").is_file()


def test_the_notebook_is_valid_and_without_outputs():
    """As it is kept in git."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    """Every cell, in order; the last one prints two equal numbers."""
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=1500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = notebook.cells[-1].outputs
    printed = "".join(each["text"] for each in outputs if each.get("name") == "stdout")  # bars go to stderr
    before, after = (float(word.strip(",")) for word in printed.splitlines()[-1].split() if word[0].isdigit())
    assert after == pytest.approx(before, abs=0.002)
