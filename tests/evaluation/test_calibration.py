"""Calibration compares scores with the share of true positives."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.coco_reference import random_case
from yolo_focal.evaluation.calibration import calibration
from yolo_focal.evaluation.matching import ImageMatches, match_detections


def matches_of(scores, true) -> ImageMatches:
    """Detections of one class, one an image, of which some are true at every IoU threshold."""
    count = len(scores)
    zeros = np.zeros(count, dtype=int)
    matched = np.tile(np.asarray(true, dtype=bool), (10, 1))
    places = np.arange(count)
    return ImageMatches(
        count, 1, places, zeros, zeros, np.asarray(scores, float), matched, np.zeros_like(matched), places, zeros
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), bins=st.integers(1, 20), least=st.sampled_from([0.0, 0.05, 0.5]))
def test_the_error_is_its_definition(seed, bins, least):
    """Bin by bin in plain loops: detections / all x |precision - mean score|."""
    matches = match_detections(*random_case(seed, coarse=True))["all"]
    pairs = [
        (score, hit)
        for score, hit, ignored in zip(matches.scores, matches.matched[0], matches.ignored[0], strict=True)
        if not ignored and score >= least
    ]
    expected = 0.0
    for index in range(bins):
        inside = [pair for pair in pairs if min(int(pair[0] * bins), bins - 1) == index]
        if inside:
            precision = sum(hit for _, hit in inside) / len(inside)
            expected += len(inside) / len(pairs) * abs(precision - sum(score for score, _ in inside) / len(inside))
    result = calibration(matches, bins=bins, least_score=least)
    assert result.error == pytest.approx(expected, abs=1e-12)
    assert result.counts.sum() == result.detections == len(pairs)


def test_scores_that_are_probabilities_are_calibrated():
    """With detections right as often as their score says, the error is only sampling noise."""
    rng = np.random.default_rng(0)
    scores = rng.random(100_000)
    assert calibration(matches_of(scores, rng.random(100_000) < scores)).error < 0.01


def test_halved_scores_are_too_low():
    """The bias is negative where scores are lower than precision, as after training with focal loss."""
    rng = np.random.default_rng(0)
    truth = rng.random(100_000)
    result = calibration(matches_of(truth / 2, rng.random(100_000) < truth))
    assert result.bias == pytest.approx(-0.25, abs=0.01)
    assert result.error == pytest.approx(0.25, abs=0.01)


def test_the_least_score_leaves_out_hopeless_detections():
    """Ten thousand rightly hopeless detections do not dilute the error of ten bad ones."""
    scores, true = [0.001] * 10_000 + [0.9] * 10, [False] * 10_010
    assert calibration(matches_of(scores, true)).error < 0.003
    assert calibration(matches_of(scores, true), least_score=0.05).error == pytest.approx(0.9)


def test_without_detections_there_is_no_error():
    """Nothing to calibrate is not perfectly calibrated."""
    result = calibration(matches_of([], []))
    assert result.detections == 0
    assert math.isnan(result.error)
    assert math.isnan(result.bias)
