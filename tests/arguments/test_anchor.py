"""The anchor detector's training arguments."""

import pytest

from yolo_focal.arguments.anchor import ANCHOR_KEYS, AnchorConfig, read_anchor_config
from yolo_focal.errors import ConfigError


def test_nothing_given_is_yolov5():
    """YOLOv5's gains and thresholds stand where the call says nothing, whatever else is in it."""
    assert read_anchor_config({"epochs": 3, "fl_gamma": 2.0}) == AnchorConfig()
    assert (AnchorConfig().box, AnchorConfig().obj, AnchorConfig().cls) == (0.05, 1.0, 0.5)


def test_the_defaults_of_ultralytics_are_not_taken_for_gains():
    """A complete set of Ultralytics' arguments has box=7.5, which nobody chose; YOLOv5's 0.05 stands."""
    assert read_anchor_config({"box": 7.5, "cls": 0.5}).box == 0.05


def test_given_gains_act():
    """box, cls and the rest are taken as they are."""
    config = read_anchor_config({"box": 0.1, "cls": 2.0, "obj": 8.0, "anchor_t": 5, "autoanchor": False})
    assert (config.box, config.cls, config.obj, config.anchor_t, config.autoanchor) == (0.1, 2.0, 8.0, 5, False)


@pytest.mark.parametrize("box", [0, -1, 8.0, 1.5])
def test_a_box_gain_for_another_loss_is_refused(box):
    """A gain tuned for Ultralytics' box loss would drown the other terms; the remedy is in the message."""
    with pytest.raises(ConfigError, match=r"box=.* is a gain for Ultralytics' own box loss.*leave it out for 0\.05"):
        read_anchor_config({"box": box})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("obj", -1, "a number >= 0"),
        ("obj", True, "a number >= 0"),
        ("obj_pw", 0, "a number > 0"),
        ("cls_pos_weight", "2", "a number > 0"),
        ("cls_smoothing", 1.0, r"a number in \[0, 1\)"),
        ("anchor_t", 1, "a number > 1"),
        ("anchor_t", float("nan"), "a number > 1"),
        ("box", None, "a number"),
        ("cls", None, "a number"),
        ("autobalance", 1, "True or False"),
        ("autoanchor", "yes", "True or False"),
    ],
)
def test_bad_values_are_named(name, value, expected):
    """The message has the argument, the value and what was expected."""
    with pytest.raises(ConfigError, match=rf"{name} must be {expected}, got"):
        read_anchor_config({name: value})


def test_all_problems_are_reported_together():
    """One error for the call, one sentence for each wrong argument."""
    with pytest.raises(ConfigError) as caught:
        read_anchor_config({"obj": -1, "anchor_t": 0, "box": 9})
    assert len(caught.value.problems) == 3


def test_every_key_is_a_field_with_the_same_default():
    """The table and the frozen value cannot drift apart."""
    for name, key in ANCHOR_KEYS.items():
        assert getattr(AnchorConfig(), name) == key.default
        assert key.problem(key.default) is None
