"""Collected predictions are the validator's own, every image is there, and nothing is left behind."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torchvision
import yaml

from tests.ultra.helpers import chatty
from yolo_focal.errors import CheckpointError, DataError, UnsupportedModelError
from yolo_focal.ultra import host
from yolo_focal.ultra.drivers.predictions import collect_predictions

IMAGES = 5


@pytest.fixture(scope="module")
def data_yaml(shared, tmp_path_factory) -> Path:
    """A few images of BCCD with their labels, one of them cropped so that letterboxing differs."""
    import cv2

    folder = tmp_path_factory.mktemp("cells")
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
        for file in sorted((shared / "data/bccd" / kind / "val").iterdir())[:IMAGES]:
            shutil.copyfile(file, folder / kind / file.name)
    first = sorted((folder / "images").iterdir())[0]
    cv2.imwrite(str(first), cv2.imread(str(first))[:150])
    content = {"path": str(folder), "train": "images", "val": "images", "names": ["RBC", "WBC", "Platelets"]}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def model():
    return chatty("yolo11n.yaml")


def snapshot(folder: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("*")}


def test_they_are_what_the_validator_writes(model, data_yaml, tmp_path):
    """Clipped and rounded, the collected detections are those of Ultralytics' own predictions.json, all of them."""
    ours = collect_predictions(model, data_yaml, imgsz=160, batch=2, max_det=20)
    model.val(
        data=str(data_yaml),
        imgsz=160,
        batch=2,
        max_det=20,
        conf=0.001,
        save_json=True,
        plots=False,
        project=str(tmp_path),
        name="stock",
        verbose=False,
    )
    stock = json.loads((tmp_path / "stock" / "predictions.json").read_text())
    assert len(stock) == len(ours.scores) == 20 * IMAGES
    ends = np.tile(np.array(ours.image_sizes), 2)[ours.image]
    corners = np.clip(ours.boxes_xyxy, 0, ends)
    boxes = np.c_[corners[:, :2], corners[:, 2:] - corners[:, :2]]
    np.testing.assert_allclose(boxes, [each["bbox"] for each in stock], atol=2e-3)
    np.testing.assert_allclose(ours.scores, [each["score"] for each in stock], atol=1e-5)
    assert [ours.image_files[index].name for index in ours.image] == [each["file_name"] for each in stock]
    assert (ours.category + 1).tolist() == [each["category_id"] for each in stock]


def test_boxes_may_leave_the_image(model, data_yaml):
    """What the validator compares is not clipped, so neither is what is collected."""
    found = collect_predictions(model, data_yaml, imgsz=160)
    ends = np.tile(np.array(found.image_sizes), 2)[found.image]
    assert ((found.boxes_xyxy < 0) | (found.boxes_xyxy > ends)).any()


def test_every_image_is_there_with_its_size(model, data_yaml):
    """Sizes are those of the files, the cropped one's included; scores fall within each image."""
    found = collect_predictions(model, data_yaml, imgsz=160, batch=2)
    assert sorted(found.image_files) == sorted((data_yaml.parent / "images").iterdir())
    sizes = dict(zip(found.image_files, found.image_sizes, strict=True))
    assert sorted(sizes.values()) == [(640, 150)] + [(640, 480)] * (IMAGES - 1)
    assert found.names == tuple(model.names.values())
    for image in range(IMAGES):
        assert (np.diff(found.scores[found.image == image]) <= 0).all()


def test_candidates_are_counted_and_no_image_is_lost(model, data_yaml, monkeypatch):
    """Even where NMS takes far longer than its stock limit, every image keeps its detections."""
    nms = torchvision.ops.nms
    clock = {"now": 0.0}

    def slow_nms(*args):
        clock["now"] += 1000.0
        return nms(*args)

    monkeypatch.setattr("torchvision.ops.nms", slow_nms)
    monkeypatch.setattr("ultralytics.utils.nms.time.time", lambda: clock["now"])
    found = collect_predictions(model, data_yaml, imgsz=160, batch=IMAGES)
    assert len(found.candidates_per_image) == IMAGES
    assert min(found.candidates_per_image) > 100
    assert found.lost_images == ()
    assert set(found.image.tolist()) == set(range(IMAGES))


def test_the_metrics_are_the_validators(model, data_yaml):
    """mAP, precision and recall are those of the stock validation."""
    ours = collect_predictions(model, data_yaml, imgsz=160)
    stock = model.val(data=str(data_yaml), imgsz=160, conf=0.001, iou=0.7, max_det=300, plots=False, verbose=False)
    expected = dict(zip(("precision", "recall", "mAP50", "mAP50-95"), stock.box.mean_results(), strict=True))
    assert ours.ultralytics_metrics == pytest.approx(expected)
    assert set(ours.speed_ms) == {"preprocess", "inference", "postprocess"}


def test_nothing_is_left_behind(model, data_yaml, tmp_path, monkeypatch):
    """No runs folder, no label cache, no patch."""
    monkeypatch.chdir(tmp_path)
    for cache in data_yaml.parent.glob("*.cache"):
        cache.unlink()
    before = snapshot(data_yaml.parent)
    nms = host.nms.non_max_suppression
    collect_predictions(model, data_yaml, imgsz=64)
    assert snapshot(data_yaml.parent) == before
    assert list(tmp_path.iterdir()) == []
    assert host.nms.non_max_suppression is nms


@pytest.mark.parametrize("architecture", ["yolo26n.yaml", "yolov10n.yaml"])
def test_end_to_end_heads_have_no_nms(architecture, data_yaml):
    """Such heads choose their boxes themselves: there are no candidates to count and no image to lose."""
    model = chatty(architecture)
    found = collect_predictions(model, data_yaml, imgsz=64, nms=False)
    assert found.candidates_per_image is None
    assert found.lost_images is None
    assert len(found.image_files) == IMAGES
    assert len(collect_predictions(model, data_yaml, imgsz=64).candidates_per_image) == IMAGES


def test_a_model_without_upright_boxes_is_refused(data_yaml):
    """The message has the task and what else to use."""
    from ultralytics import YOLO

    with pytest.raises(UnsupportedModelError, match=r"a model for 'classify' has no upright boxes .* yolo val"):
        collect_predictions(YOLO("yolo11n-cls.yaml"), data_yaml)


def test_labels_of_another_kind_are_refused(data_yaml):
    """A segmentation model is validated on masks; boxes alone are not enough."""
    from ultralytics import YOLO

    with pytest.raises(DataError, match=r"data=.*data\.yaml does not suit a model for 'segment' .* of that kind"):
        collect_predictions(YOLO("yolo11n-seg.yaml"), data_yaml, imgsz=64)


def test_a_model_that_cannot_be_loaded_is_refused(data_yaml, tmp_path):
    """A missing file, and a file that is no model."""
    with pytest.raises(CheckpointError, match=r"model=.*missing\.pt does not exist"):
        collect_predictions(tmp_path / "missing.pt", data_yaml)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"model=.*broken\.pt cannot be loaded"):
        collect_predictions(broken, data_yaml)


def test_data_that_does_not_exist_is_refused(model):
    """Before the model runs."""
    with pytest.raises(DataError, match=r"data=nowhere\.yaml does not exist"):
        collect_predictions(model, "nowhere.yaml")
