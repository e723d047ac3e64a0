"""The example script trains torchvision's SSDlite on real blood cells, from random weights."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torchvision")

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_ssd.py"


@pytest.mark.slow
@pytest.mark.parametrize("class_loss", ["focal", "hard_negative"])
def test_the_loss_falls(class_loss, shared):
    """With either class loss, over two dozen steps."""
    cells = shared / "data" / "bccd"
    arguments = [f"images={cells / 'images/train'}", f"annotations={cells / 'annotations/instances_train.json'}"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, f"class_loss={class_loss}", "steps=24", "batch=2"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"first 8 steps ([\d.]+), of the last 8 ([\d.]+)", done.stdout)
    assert found, done.stdout
    assert float(found[2]) < 0.8 * float(found[1])
