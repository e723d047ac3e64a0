"""The map of scores: a likelihood's maximum, strictly increasing, and finite whatever the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_focal.errors import DataError
from yolo_focal.evaluation.recalibration.score_map import ScoreMap, fit_score_map, logits_of_scores


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, dtype=np.float64)))


def drawn(scale, shift, detections=60_000, classes=3, class_shifts=None, seed=0):
    """Logits of detections, their classes, and whether each is true with probability sigmoid(scale * logit + shift)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1.5, 1.2, (detections, len(scale)))
    category = rng.integers(0, classes, detections)
    mapped = logits * scale + shift
    if class_shifts is not None:
        mapped[:, -1] += np.asarray(class_shifts)[category]
    return logits, rng.random(detections) < sigmoid(mapped).prod(1), category


def negative_log_likelihood(parameters, logits, true):
    """Plainly written, one factor, with Platt's targets."""
    scale, shift = parameters
    score = sigmoid(scale * logits[:, 0] + shift)
    positives, negatives = true.sum(), (~true).sum()
    target = np.where(true, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    return -(target * np.log(score) + (1 - target) * np.log(1 - score)).sum()


def test_the_map_maximises_the_likelihood():
    """No step away from the fitted scale or shift makes the outcomes more likely."""
    logits, true, category = drawn([2.0], [0.7], detections=2_000)
    found = fit_score_map(logits, true, category, 3)
    best = negative_log_likelihood((found.scale[0], found.shift[0]), logits, true)
    for step in [(1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3), (1e-3, 1e-3), (-1e-3, 1e-3)]:
        moved = (found.scale[0] + step[0], found.shift[0] + step[1])
        assert negative_log_likelihood(moved, logits, true) > best


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (3.0, 1.5), (0.6, -1.0)])
def test_a_known_map_is_found(scale, shift):
    """Outcomes drawn from a map give that map back; scores that are probabilities already stay as they are."""
    found = fit_score_map(*drawn([scale], [shift]), 3)
    assert found.scale[0] == pytest.approx(scale, rel=0.05)
    assert found.shift[0] == pytest.approx(shift, abs=0.1)


def test_class_shifts_are_found():
    """With `per_class` each class gets its own offset, and a class without detections none."""
    logits, true, category = drawn([1.5], [0.2], class_shifts=[0.0, 1.0, -1.0])
    found = fit_score_map(logits, true, category, 4, per_class=True)
    offsets = np.array(found.class_shifts[:3]) + found.shift[0]
    assert offsets == pytest.approx([0.2, 1.2, -0.8], abs=0.12)
    assert found.class_shifts[3] == pytest.approx(0, abs=1e-6)
    assert not found.keeps_order


def test_a_product_of_two_sigmoids_is_fitted_jointly():
    """Objectness and class each get a scale and a shift, and the new scores are calibrated."""
    logits, true, category = drawn([2.0, 1.3], [2.0, 2.5])
    found = fit_score_map(logits, true, category, 3)
    score = found.scores(logits, category)
    assert score == pytest.approx(sigmoid(logits * [2.0, 1.3] + [2.0, 2.5]).prod(1), abs=0.03)
    assert score.mean() == pytest.approx(true.mean(), abs=2e-3)
    assert not found.keeps_order


@given(
    st.lists(st.floats(0.0001, 0.999), min_size=2, max_size=30, unique=True),
    st.floats(0.2, 5),
    st.floats(-3, 3),
)
def test_a_map_of_one_factor_keeps_the_order(scores, scale, shift):
    """The order by new score is the order by old score."""
    old = np.array(scores)
    new = ScoreMap((scale,), (shift,)).scores(logits_of_scores(old), np.zeros(len(old), dtype=np.int64))
    assert (np.diff(new[np.argsort(old)]) >= 0).all()
    assert new == pytest.approx(sigmoid(scale * np.log(old / (1 - old)) + shift), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40).filter(
        lambda rows: len({true for _, true in rows}) == 2
    )
)
def test_every_fit_is_finite_and_increasing(rows):
    """Even where a threshold parts true from false, or scores are exactly 0 or 1; or the fit is refused."""
    scores, true = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    try:
        found = fit_score_map(logits_of_scores(scores), true, np.zeros(len(rows), dtype=np.int64), 1)
    except DataError:
        return
    assert np.isfinite([*found.scale, *found.shift]).all()
    assert found.scale[0] > 0


def test_logits_of_scores_invert_the_sigmoid():
    """A 32-bit score that was rounded to 1 has a large but finite logit."""
    x = np.array([-12.0, -1.0, 0.0, 3.0])
    assert logits_of_scores(sigmoid(x))[:, 0] == pytest.approx(x, abs=1e-9)
    assert 15 < logits_of_scores(np.array([1.0]))[0, 0] < 20
    assert np.isfinite(logits_of_scores(np.array([0.0]))).all()


def test_a_threshold_moves_like_the_scores():
    """`score` gives a cut-off the place that a detection with this score would get; without an order there is none."""
    moved = ScoreMap((2.0,), (-1.0,))
    assert moved.score(0.001) == pytest.approx(sigmoid(2 * np.log(0.001 / 0.999) - 1))
    with pytest.raises(ValueError, match="no single new value"):
        ScoreMap((2.0,), (-1.0,), (0.0, 1.0)).score(0.001)


@pytest.mark.parametrize("true", [[True, True], [False, False], []])
def test_one_kind_of_outcome_is_refused(true):
    """Nothing can be learned from true positives alone or from false ones alone."""
    logits = np.zeros((len(true), 1))
    with pytest.raises(DataError, match="needs both true and false ones; fit on a split with more labelled images"):
        fit_score_map(logits, np.array(true, dtype=bool), np.zeros(len(true), dtype=np.int64), 1)


def test_scores_that_say_nothing_are_refused():
    """Where true positives score lower no increasing map helps, and a decreasing one would turn AP around."""
    with pytest.raises(DataError, match="true positives score no higher than false ones"):
        fit_score_map(np.array([[-1.0], [1.0]]), np.array([True, False]), np.zeros(2, dtype=np.int64), 1)


def test_no_factor_is_erased():
    """Where the data would have a scale of nearly 0, or of 100, the bounds hold."""
    generator = np.random.default_rng(0)
    true = generator.random(2000) < 0.3
    useless, exact = generator.normal(size=2000), np.where(true, 1.0, -1.0) + generator.normal(0, 0.01, 2000)
    found = fit_score_map(np.stack([useless, exact], 1), true, np.zeros(2000, int), 1)
    assert all(0.1 <= scale <= 10 for scale in found.scale)
    assert found.scale[0] == pytest.approx(0.1, abs=0.05)
