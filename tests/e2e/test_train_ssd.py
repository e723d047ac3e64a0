"""The example script trains torchvision's SSDlite on real blood cells, from random weights."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.coco_files import one_image
from yolo_focal.errors import DataError

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


def test_crowds_and_boxes_without_area_are_no_objects(tmp_path):
    """The offsets of a box without area are infinite, and the loss with them; a missing image is bad input."""
    script = runpy.run_path(str(SCRIPT))
    source = one_image(tmp_path, [[0, 0, 10, 20], [5, 5, 0, 10], [5, 5, 30, 30]])
    content = json.loads(source.annotations.read_text())
    content["annotations"][2]["iscrowd"] = 1
    source.annotations.write_text(json.dumps(content))
    (((file, corners, labels),), classes) = script["read_samples"](source.images, source.annotations)
    assert corners.tolist() == [[0, 0, 32, 80]] and labels.tolist() == [1] and classes == 1
    file.unlink()
    with pytest.raises(DataError, match=r"cannot read the image .*0001\.png"):
        script["load_image"](file)
