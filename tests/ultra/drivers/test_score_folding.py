"""Folding scales and shifts exactly the class logits, and what is saved needs nothing of this package."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.ultra.helpers import build
from yolo_focal.errors import CheckpointError, UnsupportedModelError
from yolo_focal.ultra.drivers.load_model import load_model
from yolo_focal.ultra.drivers.score_folding import (
    ONE_TO_MANY,
    ONE_TO_ONE,
    fold_scores,
    load_branch,
    read_checkpoint,
    score_branches,
    write_folded,
)
from yolo_focal.ultra.hooks.checkpoints import safe_loading

SCALE, SHIFT, CLASS_SHIFTS = 2.5, -1.25, (0.5, 0.0, -0.75)
HEADS = ["yolov8n.yaml", "yolo11n.yaml", "yolo12n.yaml", "yolov8n-seg.yaml", "yolov8n-pose.yaml"]
END_TO_END = ["yolov10n.yaml", "yolo26n.yaml"]


def raw(model, image):
    """The logits and box outputs of a head, per branch."""
    with torch.no_grad():
        output = model.eval()(image)[-1]
    return {ONE_TO_MANY: output} if "scores" in output else output


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("yaml", HEADS)
def test_logits_are_scaled_and_shifted_and_boxes_stay(yaml, image):
    """New logit = scale * logit + shift + the shift of its class; nothing else of the output changes."""
    model = build(yaml)
    before = raw(model, image)[ONE_TO_MANY]
    assert score_branches(model) == (ONE_TO_MANY,)
    fold_scores(model, ONE_TO_MANY, [SCALE], [SHIFT], CLASS_SHIFTS[: model.model[-1].nc])
    after = raw(model, image)[ONE_TO_MANY]
    expected = SCALE * before["scores"] + SHIFT + torch.tensor(CLASS_SHIFTS[: model.model[-1].nc])[:, None]
    torch.testing.assert_close(after["scores"], expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(after["boxes"], before["boxes"])


@pytest.mark.parametrize("folded", [ONE_TO_MANY, ONE_TO_ONE])
@pytest.mark.parametrize("yaml", END_TO_END)
def test_each_branch_of_an_end_to_end_head_has_its_own_map(yaml, folded, image):
    """Folding into one branch leaves the other as it was."""
    model = build(yaml)
    before = raw(model, image)
    assert score_branches(model) == (ONE_TO_MANY, ONE_TO_ONE)
    fold_scores(model, folded, [SCALE], [SHIFT])
    after = raw(model, image)
    for branch in (ONE_TO_MANY, ONE_TO_ONE):
        logits = before[branch]["scores"]
        expected = SCALE * logits + SHIFT if branch == folded else logits
        torch.testing.assert_close(after[branch]["scores"], expected, rtol=1e-4, atol=1e-4)


def test_objectness_and_class_of_the_anchor_detector(enabled, image):
    """The first scale and shift are the objectness's, the second the classes'; boxes stay."""
    model = build("yolov5n-anchor.yaml").eval()
    with torch.no_grad():
        before = model(image)[-1]["maps"]
        fold_scores(model, ONE_TO_MANY, [2.0, 0.5], [-1.0, 3.0], CLASS_SHIFTS)
        after = model(image)[-1]["maps"]
    for old, new in zip(before, after, strict=True):
        assert torch.equal(new[:, :, :4], old[:, :, :4])
        torch.testing.assert_close(new[:, :, 4], 2 * old[:, :, 4] - 1, rtol=1e-4, atol=1e-4)
        shifts = 3 + torch.tensor(CLASS_SHIFTS)[:, None, None]
        torch.testing.assert_close(new[:, :, 5:], 0.5 * old[:, :, 5:] + shifts, rtol=1e-4, atol=1e-4)


def test_scaled_weights_are_not_rounded_to_half_precision():
    """A half-precision checkpoint keeps the order of its logits: only the folded convolutions become 32-bit."""
    model = build("yolo11n.yaml").half()
    weights = [level[-1].weight.double() for level in model.model[-1].cv3]
    fold_scores(model, ONE_TO_MANY, [1.4448864], [0.3])
    for level, weight in zip(model.model[-1].cv3, weights, strict=True):
        assert level[-1].weight.dtype == torch.float32
        torch.testing.assert_close(level[-1].weight.double(), weight * 1.4448864, rtol=1e-7, atol=0)
    assert model.model[0].conv.weight.dtype == torch.float16


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A finished checkpoint, as training leaves it."""
    path = tmp_path_factory.mktemp("weights") / "best.pt"
    model = build("yolo11n.yaml")
    model.args = {"task": "detect", "imgsz": 64}
    torch.save({"epoch": 3, "model": copy.deepcopy(model).half(), "ema": None, "optimizer": {"state": 1},
                "train_args": {"imgsz": 64, "task": "detect"}, "train_metrics": {"fitness": 0.5}}, path)  # fmt: skip
    return path


STOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "yolo_focal":
            raise ImportError("this package is not here")

sys.meta_path.insert(0, Blocked())
import torch
from ultralytics import YOLO

model = YOLO(sys.argv[1])
image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
with torch.no_grad():
    torch.save(model.model.eval()(image)[-1]["scores"], sys.argv[2])
assert "yolo_focal" not in sys.modules
"""


@pytest.mark.parametrize("safe", ["false", "true"])
def test_the_file_needs_nothing_of_this_package(saved, tmp_path, image, safe):
    """Stock Ultralytics loads it where this package cannot be imported, and in its safe mode; the logits are ours."""
    content = read_checkpoint(saved)
    before = raw(copy.deepcopy(content["model"]).float(), image)[ONE_TO_MANY]["scores"]
    fold_scores(content["model"], ONE_TO_MANY, [SCALE], [SHIFT])
    write_folded(content, content["model"], tmp_path / "new.pt")
    subprocess.run(
        [sys.executable, "-c", STOCK, str(tmp_path / "new.pt"), str(tmp_path / "scores.pt")],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "ULTRALYTICS_SAFE_LOAD": safe},
    )
    torch.testing.assert_close(torch.load(tmp_path / "scores.pt"), SCALE * before + SHIFT, rtol=1e-4, atol=1e-4)


def test_the_file_is_finished(saved, tmp_path):
    """Training state is gone, what describes the training stays, and the averaged model becomes the model."""
    content = read_checkpoint(saved)
    write_folded(content, content["model"], tmp_path / "new.pt")
    written = torch.load(tmp_path / "new.pt", weights_only=False)
    assert written["optimizer"] is None
    assert written["epoch"] == -1
    assert written["train_args"] == {"imgsz": 64, "task": "detect"}
    averaged = torch.load(saved, weights_only=False)
    averaged["ema"] = copy.deepcopy(averaged["model"])
    torch.nn.init.zeros_(averaged["model"].model[0].conv.weight)
    torch.save(averaged, tmp_path / "unfinished.pt")
    assert read_checkpoint(tmp_path / "unfinished.pt")["model"].model[0].conv.weight.abs().sum() > 0


@pytest.mark.parametrize("branch", [ONE_TO_MANY, ONE_TO_ONE])
def test_validation_uses_the_branch_asked_for(branch, tmp_path):
    """An end-to-end model validates with either branch, whichever is its default."""
    model = build("yolo26n.yaml")
    torch.save({"model": model, "train_args": {}}, tmp_path / "model.pt")
    loaded = load_branch(tmp_path / "model.pt", branch)
    validator = loaded._smart_load("validator")(args={**loaded.overrides, "mode": "val"})
    assert (validator.args.nms is False) == (branch == ONE_TO_ONE)


@pytest.mark.parametrize(
    ("yaml", "name"),
    [("yolov8s-world.yaml", "WorldDetect"), ("yoloe-11s.yaml", "YOLOEDetect")],
)
def test_heads_scored_against_text_are_refused(yaml, name):
    """Their scores are similarities with a text, not a convolution of one channel per class."""
    from ultralytics.nn import tasks

    kind = tasks.WorldModel if "world" in yaml else tasks.YOLOEModel
    with pytest.raises(UnsupportedModelError, match=f"the scores of a {name} head cannot be recalibrated"):
        score_branches(kind(yaml, nc=3, verbose=False))


def test_a_classifier_is_refused():
    """A model without a detection head has no scores of boxes."""
    from ultralytics.nn.tasks import ClassificationModel

    with pytest.raises(UnsupportedModelError, match="expected a Detect head"):
        score_branches(ClassificationModel("yolov8n-cls.yaml", nc=3, verbose=False))


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    """A missing file, other bytes, and a checkpoint without a model: one line each, with the name."""
    torch.save({"epoch": 1}, tmp_path / "empty.pt")
    with pytest.raises(CheckpointError, match=r"model=.*missing\.pt cannot be loaded"):
        read_checkpoint(tmp_path / "missing.pt")
    for content in (b"no checkpoint", b"hello", b"", pickle.dumps({"model": 1}), bytes(range(256))):
        (tmp_path / "text.pt").write_bytes(content)
        with pytest.raises(
            CheckpointError, match=r"text\.pt cannot be loaded \(it is damaged, or no PyTorch checkpoint\)"
        ):
            read_checkpoint(tmp_path / "text.pt")
        with (
            safe_loading(),
            pytest.raises(CheckpointError, match=r"text\.pt cannot be loaded \(it is damaged, or no Py"),
        ):
            load_model(tmp_path / "text.pt")
    with pytest.raises(CheckpointError, match=r"model=.*empty\.pt holds no model"):
        read_checkpoint(tmp_path / "empty.pt")


def test_the_two_logits_of_anchor_scores_are_noted(enabled, shared, tmp_path):
    """Their sigmoids multiply to the score of each detection, in the order of the predictions."""
    from yolo_focal.commands import convert
    from yolo_focal.ultra.anchor.logits import record_anchor_logits
    from yolo_focal.ultra.drivers.predictions import collect_predictions

    convert.run({"weights": Path(shared / "weights" / "yolov5n.pt"), "out": tmp_path / "anchor.pt", "data": None})
    model = load_branch(tmp_path / "anchor.pt", ONE_TO_MANY)
    logits = record_anchor_logits(model)
    (tmp_path / "images").mkdir()
    for file in sorted((shared / "data" / "coco128" / "images" / "val2017").iterdir())[:6]:
        shutil.copy(file, tmp_path / "images")
    names = "\n".join(f"  {index}: {name}" for index, name in model.names.items())
    (tmp_path / "data.yaml").write_text(f"train: images\nval: images\nnames:\n{names}\n")
    predictions = collect_predictions(model, tmp_path / "data.yaml", imgsz=256, batch=4, device="cpu")
    expected = (1 / (1 + np.exp(-logits()))).prod(1)
    assert len(predictions.image_files) == 6
    assert len(predictions.scores) > 100
    assert predictions.scores == pytest.approx(expected, rel=1e-5)
