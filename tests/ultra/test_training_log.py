"""What a focal loss did in an epoch stands in results.csv and goes to every logger."""

import csv

import pytest

from tests.ultra.helpers import Interrupted, interrupt_after, train_quickly


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


def test_a_resumed_training_keeps_the_columns(enabled, tiny_data, tmp_path):
    """A row a epoch, under one header."""
    from ultralytics import YOLO

    with pytest.raises(Interrupted):
        train_quickly(tiny_data, tmp_path, fl_gamma=1.5, epochs=3, callbacks={"on_fit_epoch_end": interrupt_after(0)})
    YOLO(tmp_path / "run" / "weights" / "last.pt").train(resume=True)
    found = rows(tmp_path)
    assert [row["epoch"] for row in found] == [1, 2, 3]
    assert all(row["focal/gamma"] == 1.5 and row["focal/gain"] > 0 for row in found)


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
    """results.csv is that of stock Ultralytics."""
    trainer = train_quickly(tiny_data, tmp_path)
    assert not any(name.startswith("focal/") for name in [*rows(tmp_path)[0], *trainer.metrics])
