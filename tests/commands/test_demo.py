"""The demo trains, evaluates and reports, whichever way it goes; here on a handful of images for one epoch."""

import math
from types import SimpleNamespace

from yolo_focal import cli
from yolo_focal.evaluation.side_by_side import Row, markdown_table, plain_table, side_by_side


def test_the_demo_reports_both_trainings(small_set, tmp_path, capfd):
    """One table with the per-class rows, a report with the same numbers, a picture, and both runs."""
    out = tmp_path / "demo"
    words = [f"data={small_set}", "epochs=1", "imgsz=64", "device=cpu", f"out={out}", "fl_gamma=2"]
    assert cli.main(["demo", *words]) == 0
    printed = capfd.readouterr().out
    report = (out / "report.md").read_text()
    for label in ("AP", "AP50", "AP rare classes", "AP disc"):
        assert label in printed and f"| {label}" in report
    assert "BCE against focal(gamma=2, alpha=0.25)" in printed and "BCE against focal(gamma=2, alpha=0.25)" in report
    assert (out / "classes.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "bce" / "args.yaml").is_file() and "fl_gamma: 2" in (out / "focal" / "args.yaml").read_text()
    assert "focal" not in (out / "bce" / "args.yaml").read_text().replace(str(out), "")


def test_a_bad_setting_is_refused_before_anything_is_written(tmp_path, capfd):
    """The focal run's arguments are checked first."""
    assert cli.main(["demo", "fl_gamma=-1", f"out={tmp_path / 'demo'}"]) == 2
    assert "fl_gamma must be a number >= 0" in capfd.readouterr().err
    assert not any(tmp_path.iterdir())


def evaluation(ap, *classes):
    """What a table reads of an evaluation: AP and (name, instances, AP) of each class."""
    results = [
        SimpleNamespace(category=SimpleNamespace(name=name), training_instances=seen, ap=value)
        for name, seen, value in classes
    ]
    return SimpleNamespace(stats={"AP": ap, "AP50": ap}, buckets=(), classes=tuple(results))


def test_classes_stand_in_the_order_of_their_frequency():
    """The most frequent in training comes first, whatever its index."""
    rows = side_by_side({"BCE": evaluation(0.5, ("rare", 3, 0.1), ("common", 90, 0.9))})
    assert [row.label for row in rows] == ["AP", "AP50", "AP common (90 in training)", "AP rare (3 in training)"]


def test_differences_are_to_the_first_and_undefined_stays_undefined():
    """A class without objects has no AP and no difference."""
    rows = [Row("AP", (0.25, 0.5)), Row("AP x", (math.nan, math.nan))]
    assert markdown_table(["BCE", "focal"], rows).splitlines()[2:] == [
        "| AP | 0.250 | 0.500 | +0.250 |",
        "| AP x | - | - | - |",
    ]
    widths = {len(line) for line in plain_table(["BCE", "focal"], rows).splitlines()}
    assert len(widths) == 1
