"""A prediction without any detection ends with a hint."""

import logging

import pytest

from tests.ultra.helpers import arguments, chatty


@pytest.fixture
def hints(enabled, tiny_data, caplog):
    """What a prediction logs about finding nothing: a function of the number of images, arguments and training."""

    def predict(images=4, focal=False, **changes):
        yolo = chatty("yolo11n.yaml")
        yolo.model.args = arguments(**({"focal": True} if focal else {}))
        sources = sorted(tiny_data.parent.glob("images/val/*"))[:images]
        with caplog.at_level(logging.INFO, logger="ultralytics"):
            yolo.predict([str(source) for source in sources], imgsz=64, **changes)
        return [record.getMessage() for record in caplog.records if "no detections in" in record.getMessage()]

    return predict


def test_the_hint_is_a_lower_threshold(hints):
    """With the number of images and the threshold that was used."""
    assert hints(conf=0.99) == ["no detections in 4 images at conf=0.99: give a lower conf="]


def test_after_a_focal_loss_it_is_calibrate_as_well(hints):
    """The checkpoint says what it was trained with."""
    (hint,) = hints(conf=0.99, focal=True)
    assert "give a lower conf=; a focal loss can leave low scores, which 'yolo-focal calibrate model=" in hint


@pytest.mark.parametrize(
    "changes", [{"conf": 0.01}, {"conf": 0.99, "images": 2}, {"conf": 0.99, "verbose": False}], ids=str
)
def test_otherwise_there_is_none(hints, changes):
    """Something was found, there are few images, or the call wants no words."""
    assert hints(**changes) == []
