"""fl_class_weights: each class weighs by its rarity, and an object 1 on average."""

import numpy as np
import pytest

from tests.helpers import write_squares
from tests.ultra.helpers import arguments, train_quickly
from yolo_focal.errors import ConfigError


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """The squares, but the dark ones in one image of four only."""
    yaml = write_squares(tmp_path_factory.mktemp("uneven"))
    for number, label in enumerate(sorted((yaml.parent / "labels" / "train").glob("*.txt"))):
        if number % 4:
            label.write_text(label.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    return yaml


@pytest.mark.parametrize("model", ["yolo11n.yaml", "yolov5n-anchor.yaml"])
def test_the_weights_are_those_of_the_training_labels(enabled, uneven, tmp_path, caplog, model):
    """8 light and 2 dark squares at power 0.5: 1 and 2, divided by their mean over the ten objects."""
    caplog.set_level("INFO", logger="ultralytics")
    trainer = train_quickly(uneven, tmp_path, model=model, fl_loss="bce", fl_class_weights=0.5)
    expected = np.array([1.0, 2.0]) / 1.2
    np.testing.assert_allclose(trainer.model.class_weights.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(trainer.ema.ema.class_weights.numpy(), expected, rtol=1e-6)
    criterion = trainer.model.criterion
    weight = criterion.classes.loss.weight if "anchor" in model else criterion.bce.class_weights
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)
    assert caplog.text.count("focal: fl_class_weights=0.5 -> light 0.83, dark 1.67") == 1


def test_beside_the_weights_of_ultralytics_it_is_refused(enabled):
    """Both weigh the classes."""
    with pytest.raises(ConfigError, match=r"fl_class_weights=0\.5 and cls_pw=0\.5 both weigh the classes"):
        arguments(fl_class_weights=0.5, cls_pw=0.5)


def test_where_there_are_no_boxes_it_is_refused(enabled, tmp_path):
    """A classification model has a sampler, and fl_alpha."""
    from ultralytics import YOLO

    with pytest.raises(ConfigError, match=r"fl_class_weights=0\.5 cannot act on a ClassificationModel"):
        YOLO("yolo11n-cls.yaml").train(data=str(tmp_path), fl_class_weights=0.5)


def test_off_leaves_no_weights(enabled, uneven, tmp_path):
    """The default."""
    trainer = train_quickly(uneven, tmp_path, fl_gamma=1.5)
    assert getattr(trainer.model, "class_weights", None) is None
