"""No image is lost in validation, and too many candidates are counted and reported once."""

import logging
from types import SimpleNamespace

import pytest
import torch
import torchvision  # noqa: F401  as in every validator: NMS takes its fast path only where this is imported

from yolo_focal.ultra.hooks.nms import (
    TOO_MANY_CANDIDATES,
    candidates_per_image,
    count_candidates,
    watch_for_too_many_candidates,
)


def prediction_of(images=3, classes=2, boxes=TOO_MANY_CANDIDATES):
    """Predictions in which every box of every image passes conf=0.001 with every class."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.rand(images, 2, boxes, generator=generator) * 600
    size = torch.full((images, 2, boxes), 8.0)
    scores = 0.01 + 0.001 * torch.rand(images, classes, boxes, generator=generator)
    return torch.cat([centre, size, scores], 1)


@pytest.fixture
def slow_clock(monkeypatch):
    """Every look at the clock inside NMS finds an hour gone."""
    import ultralytics.utils.nms as nms

    ticks = iter(range(0, 10**9, 3600))
    monkeypatch.setattr(nms, "time", SimpleNamespace(time=lambda: float(next(ticks))))
    return nms


def test_stock_nms_loses_images_when_its_time_is_over(slow_clock):
    """The upstream fact: after the limit, the remaining images of the batch stay empty."""
    kept = slow_clock.non_max_suppression(prediction_of(), conf_thres=0.001, multi_label=True)
    assert len(kept[0]) > 0 and len(kept[1]) == len(kept[2]) == 0


def test_with_the_plugin_every_image_keeps_its_detections(enabled, slow_clock):
    """The same call, the same clock, no image lost."""
    kept = slow_clock.non_max_suppression(prediction_of(), conf_thres=0.001, multi_label=True)
    assert all(len(detections) > 0 for detections in kept)


def test_detections_are_those_of_stock_nms_where_time_suffices(enabled):
    """Nothing else about NMS changes, with positional arguments too."""
    import ultralytics.utils.nms as nms

    prediction = prediction_of(boxes=50)
    ours = nms.non_max_suppression(prediction.clone(), 0.001, 0.7, multi_label=True, max_det=20)
    stock = nms.non_max_suppression.__wrapped__(prediction.clone(), 0.001, 0.7, multi_label=True, max_det=20)
    assert all(torch.equal(a, b) for a, b in zip(ours, stock, strict=True))


def test_candidates_are_counted_image_by_image(enabled):
    """Every (box, class) pair above the threshold, in the order of the calls."""
    import ultralytics.utils.nms as nms

    with count_candidates() as count:
        nms.non_max_suppression(prediction_of(images=2, boxes=10), conf_thres=0.001, multi_label=True)
        nms.non_max_suppression(prediction_of(images=1, boxes=7), conf_thres=0.5, multi_label=True)
    assert count.per_image == [20, 20, 0]


def test_a_box_counts_once_when_only_its_best_class_is_kept():
    """Without multi_label the number of candidates is the number of boxes."""
    prediction = prediction_of(images=1, classes=3, boxes=5)
    assert candidates_per_image(prediction, 0.001, nc=3, multi_label=False).tolist() == [5]
    assert candidates_per_image(prediction, 0.001, nc=3, multi_label=True).tolist() == [15]
    assert candidates_per_image(prediction, 0.001, nc=2, multi_label=True).tolist() == [10]


def test_too_many_candidates_are_reported_once_with_its_number_and_a_remedy(enabled, caplog):
    """One warning per run, not one per batch."""
    import ultralytics.utils.nms as nms

    watch_for_too_many_candidates()
    with caplog.at_level(logging.WARNING, logger="ultralytics"):
        for _ in range(3):
            nms.non_max_suppression(prediction_of(), conf_thres=0.001, multi_label=True)
    warnings = [record.message for record in caplog.records if "candidates per image" in record.message]
    assert len(warnings) == 1
    assert f"{2 * TOO_MANY_CANDIDATES:,} candidates per image reach NMS at conf=0.001" in warnings[0]
    assert "No image is lost" in warnings[0]


def test_a_calm_validation_says_nothing(enabled, caplog):
    """Below the threshold there is no warning."""
    import ultralytics.utils.nms as nms

    watch_for_too_many_candidates()
    with caplog.at_level(logging.WARNING, logger="ultralytics"):
        nms.non_max_suppression(prediction_of(boxes=100), conf_thres=0.001, multi_label=True)
    assert not caplog.records
