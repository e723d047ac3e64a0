"""What a focal loss did in an epoch stands in results.csv and goes to every logger."""

import csv
import math

import numpy as np
import pytest

from tests.ultra.helpers import QUICK, Interrupted, interrupt_after, train_quickly
from yolo_focal.ultra.training_log import class_ap, logged_names


def rows(folder):
    """results.csv as dictionaries."""
    with (folder / "run" / "results.csv").open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_gain_and_gamma_of_every_epoch(enabled, tiny_data, tmp_path):
    """The gain of auto is above 1 and moves; gamma follows the schedule; validated or not, the columns are the same."""
    told = []
    train_quickly(
        tiny_data,
        tmp_path,
        callbacks={"on_fit_epoch_end": lambda trainer: told.append(dict(trainer.metrics))},
        fl_gamma=2.0,
        fl_cooldown=0.5,
        epochs=4,
        val=False,
    )
    found = rows(tmp_path)
    assert [row["focal/gamma"] for row in found] == [2.0, 2.0, 1.0, 0.0]
    gains = [row["focal/gain"] for row in found]
    assert gains[0] > 1 and len(set(gains)) > 1
    assert [each["focal/gain"] for each in told[:4]] == pytest.approx(gains, rel=1e-4)


@pytest.mark.parametrize(
    "names", [["x", "x", "x_0"], ["x_0", "x", "x"], ["x", "x_1", "x"], ["a b", "a_b", "a b_0_0", "a b_0"]]
)
def test_no_two_classes_are_logged_by_one_name(names):
    """Whatever they are called; a name that was alone stays."""
    logged = logged_names(dict(enumerate(names)))
    assert len(set(logged.values())) == len(names)
    assert all(logged[c] == name for c, name in enumerate(names) if name in ("x_0", "x_1"))


@pytest.mark.parametrize("val", [True, False])
def test_a_resumed_training_keeps_the_columns(enabled, small_set, tmp_path, val):
    """A row an epoch, under one header, where the rest of it is validated as before and where it is not."""
    from ultralytics import YOLO

    with pytest.raises(Interrupted):
        train_quickly(
            small_set,
            tmp_path,
            fl_alpha="auto",
            rare_sampling="auto",
            imgsz=32,
            epochs=3,
            callbacks={"on_fit_epoch_end": interrupt_after(0)},
        )
    yolo = YOLO(tmp_path / "run" / "weights" / "last.pt")
    yolo.train(resume=True, val=val)
    found = rows(tmp_path)
    assert [row["epoch"] for row in found] == [1, 2, 3]
    constant = ("focal/gamma", "focal/alpha_disc", "focal/alpha_star", "rare/exposure", "rare/threshold")
    assert all(len({row[name] for row in found}) == 1 and found[0][name] > 0 for name in constant)
    assert all(row["focal/gain"] > 0 for row in found)
    assert [math.isnan(row["AP/disc"]) for row in found] == [False, not val, not val]
    assert ("AP/disc" in yolo.trainer.metrics) == val  # what loggers are told of the best weights after the last epoch


def test_sampling_and_pasting_end_with_rare_stop(enabled, small_set, tmp_path):
    """From then on rare classes are shown as often as they are labelled."""
    train_quickly(small_set, tmp_path, imgsz=32, epochs=2, close_mosaic=0, rare_paste=0.5, rare_stop=0.5, val=False)
    first, second = (row["rare/exposure"] for row in rows(tmp_path))
    assert first > 1.2 and second == 1


@pytest.mark.parametrize(("kind", "other"), [("Det", None), ("Segment", "tp_m"), ("Pose", "tp_p"), ("OBB", None)])
def test_ap_of_the_classes_that_are_validated(enabled, kind, other):
    """All found is 0.995, as Ultralytics interpolates; none is 0; a class without objects has no entry.

    Of boxes, whatever masks and keypoints are like.
    """
    from ultralytics.utils import metrics as kinds

    metrics = getattr(kinds, f"{kind}Metrics")({0: "found", 1: "absent", 2: "a, b", 3: "a: b"})
    metrics.update_stats(
        {
            "tp": np.ones((1, 10), bool),
            "conf": np.array([0.9]),
            "pred_cls": np.array([0.0]),
            "target_cls": np.array([0.0, 2.0, 3.0]),
            "target_img": np.array([0.0, 2.0, 3.0]),
            "im_name": "a.jpg",
            **({other: np.ones((1, 10), bool)} if other else {}),
        }
    )
    metrics.process()
    assert class_ap(metrics) == pytest.approx({"AP/found": 0.995, "AP/a_b_2": 0, "AP/a_b_3": 0})


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("yolo26n.yaml", {"one2many", "one2one"}),
        ("yolov5n-anchor.yaml", {"obj", "cls"}),
    ],
)
def test_each_branch_or_term_has_its_own(enabled, tiny_data, tmp_path, model, names):
    """End-to-end heads and the anchor detector."""
    train_quickly(tiny_data, tmp_path, model=model, fl_gamma=1.5)
    (row,) = rows(tmp_path)
    assert {name for name in row if name.startswith("focal/")} == {
        f"focal/{what}_{name}" for what in ("gain", "gamma") for name in names
    }


def test_off_leaves_no_column(enabled, tiny_data, tmp_path):
    """results.csv is that of stock Ultralytics, also after a training with focal on by the same object."""
    from ultralytics import YOLO

    yolo = YOLO("yolo11n.yaml")
    for name, settings in {"on": {"focal": True}, "run": {}}.items():
        yolo.train(**QUICK, data=str(tiny_data), project=str(tmp_path), name=name, **settings)
    names = [*rows(tmp_path)[0], *yolo.trainer.metrics]
    assert not any(name.startswith(("focal/", "rare/", "AP/")) for name in names)
