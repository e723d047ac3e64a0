"""Evaluations side by side: the order of the rows, differences, and what is undefined."""

import math
from types import SimpleNamespace

from yolo_focal.evaluation.side_by_side import Row, markdown_table, plain_table, side_by_side


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
    foreign = Row("AP a|b\n<img src=x>", (0.25, 0.5))  # a name of a class
    assert markdown_table(["BCE", "focal"], [foreign]).splitlines()[2:] == [
        r"| AP a\|b\n&lt;img src=x&gt; | 0.250 | 0.500 | +0.250 |"
    ]
    widths = {len(line) for line in plain_table(["BCE", "focal"], rows).splitlines()}
    assert len(widths) == 1


def test_buckets_stand_between_the_whole_and_its_classes():
    """With their AP, the most frequent first."""
    one = evaluation(0.5, ("cell", 90, 0.6))
    one.buckets = (SimpleNamespace(name="rare", ap=0.2, ap50=0.4), SimpleNamespace(name="frequent", ap=0.6, ap50=0.9))
    rows = [(row.label, row.values) for row in side_by_side({"BCE": one})]
    assert rows[2:4] == [("AP frequent classes", (0.6,)), ("AP rare classes", (0.2,))]
