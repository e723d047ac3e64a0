"""The best threshold is the best of all thresholds, by counting."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.coco_reference import random_case
from tests.evaluation.test_calibration import matches_of
from yolo_focal.evaluation.boxes import Detections
from yolo_focal.evaluation.matching import match_detections
from yolo_focal.evaluation.thresholds import best_f1, best_f1_per_class, operating_point, threshold_curve


def counted_f1(scores, true, objects, threshold):
    kept = [hit for score, hit in zip(scores, true, strict=True) if score >= threshold]
    return 2 * sum(kept) / (len(kept) + objects)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), coarse=st.booleans())
def test_no_threshold_is_better(seed, coarse):
    """Counting at every score that occurs finds no better F1, for each class and for all together."""
    matches = match_detections(*random_case(seed, coarse=coarse))["all"]
    counted = ~matches.ignored[0]
    groups = [(best_f1(matches), counted, len(matches.object_category))]
    groups += [
        (point, counted & (matches.category == index), int(matches.objects_per_class[index]))
        for index, point in enumerate(best_f1_per_class(matches))
    ]
    for point, rows, objects in groups:
        if point is None:
            assert objects == 0
            continue
        scores, true = matches.scores[rows], matches.matched[0][rows]
        best = max((counted_f1(scores, true, objects, threshold) for threshold in set(scores)), default=0)
        assert point.f1 == pytest.approx(best)
        assert counted_f1(scores, true, objects, point.threshold) == pytest.approx(best)


def test_the_point_at_a_threshold_counts_what_is_kept():
    """Precision and recall at conf=0.25 are those of the detections with at least that score."""
    matches = match_detections(*random_case(7))["all"]
    kept = (matches.scores >= 0.25) & ~matches.ignored[0]
    point = operating_point(matches, 0.25)
    assert point.precision == pytest.approx(matches.matched[0][kept].mean())
    assert point.recall == pytest.approx(matches.matched[0][kept].sum() / len(matches.object_category))
    assert point.f1 == pytest.approx(2 / (1 / point.precision + 1 / point.recall))


def test_recall_rises_as_the_threshold_falls():
    """The curve runs from the highest threshold to the lowest, each once."""
    curve = threshold_curve(match_detections(*random_case(7, coarse=True))["all"])
    assert (np.diff(curve.threshold) < 0).all()
    assert (np.diff(curve.recall) >= 0).all()


def test_nothing_found():
    """Where no detection is right, F1 is 0 and no threshold below 1 is recommended."""
    truth, found = random_case(3)
    beyond = found.boxes_xywh + np.array([5000, 0, 0, 0])
    far = Detections(found.image, found.category, beyond, found.scores)
    point = best_f1(match_detections(truth, far)["all"])
    assert (point.threshold, point.recall, point.f1) == (1.0, 0.0, 0.0)
    assert math.isnan(point.precision)


def test_no_objects_no_threshold():
    """F1 needs objects."""
    matches = match_detections(*random_case(3, objects=0))["all"]
    assert best_f1(matches) is None
    assert operating_point(matches, 0.25) is None
    assert best_f1_per_class(matches) == [None] * 3


def test_a_score_of_just_the_threshold_is_kept():
    """At the best threshold a model does what the best point says."""
    matches = match_detections(*random_case(7))["all"]
    best = best_f1(matches)
    assert operating_point(matches, best.threshold) == best


def test_of_equally_good_thresholds_the_highest_is_taken():
    """Of two objects one at 0.9, or both and two false ones at 0.6: F1 is 2/3 either way."""
    found = matches_of([0.9, 0.8, 0.7, 0.6], [True, False, False, True])
    tied = replace(found, object_image=np.array([0, 3]), object_category=np.zeros(2, dtype=int))
    assert best_f1(tied).threshold == 0.9
