"""The paired bootstrap: its measurements, its variance components, and how often it is right."""

import dataclasses
import math

import numpy as np
import pytest

from tests.comparison.simulation import World, repeat_comparisons, simulate_matches
from yolo_focal.comparison.metrics import Metrics
from yolo_focal.comparison.statistics.bootstrap import (
    Measured,
    VarianceComponents,
    measure_resamples,
    paired_differences,
)
from yolo_focal.comparison.statistics.student_t import student_critical
from yolo_focal.evaluation.coco_eval import average_precision_from_matches
from yolo_focal.evaluation.matching import ImageMatches

SMALL = World(images=40, objects=(2.0, 1.0, 0.5), training_spread=0.03)
NAMES = ["cell", "dot", "ring"]


def random():
    return np.random.default_rng(0)


def with_images_repeated(matches, counts):
    """The matches of a dataset that really holds image i `counts[i]` times, built row by row."""
    rows = [row for row, image in enumerate(matches.image) for _ in range(counts[image])]
    objects = [row for row, image in enumerate(matches.object_image) for _ in range(counts[image])]
    fields = {name: getattr(matches, name)[rows] for name in ("image", "category", "rank", "scores")}
    flags = {name: getattr(matches, name)[:, rows] for name in ("matched", "ignored")}
    return ImageMatches(
        images=matches.images,
        classes=matches.classes,
        object_image=matches.object_image[objects],
        object_category=matches.object_category[objects],
        **fields,
        **flags,
    )


def test_a_draw_measures_a_dataset_with_the_images_drawn():
    """AP of a resample is that of a dataset in which each image stands as often as it was resampled."""
    matches = simulate_matches(SMALL, {"bce": (0.0,) * 3}, 1, random())["bce"][0]
    metrics = Metrics.of(matches, NAMES)
    measured = measure_resamples({0: matches}, metrics, resamples=3, seed=5)
    generator = np.random.default_rng(5)
    for resampled in measured.resampled[:, 0]:
        counts = np.bincount(generator.integers(0, 40, 40), minlength=40)
        average_precision = average_precision_from_matches(with_images_repeated(matches, counts))
        by_class = average_precision.mean(0)
        expected = [np.nanmean(by_class), np.nanmean(average_precision[0]), *by_class]
        np.testing.assert_allclose(resampled, expected, atol=1e-12)


def test_the_same_images_are_drawn_for_every_configuration():
    """Two configurations with the same detections differ by nothing, on every resample."""
    matches = simulate_matches(SMALL, {"bce": (0.0,) * 3}, 2, random())["bce"]
    metrics = Metrics.of(matches[0], NAMES)
    one, other = (measure_resamples(matches, metrics, resamples=10) for _ in range(2))
    np.testing.assert_array_equal(one.resampled, other.resampled)
    for each in paired_differences(one, other, metrics):
        assert (each.difference, each.low, each.high) == (0, 0, 0) and each.p_value == pytest.approx(1)


def test_only_seeds_that_both_have_are_paired():
    """A trial that failed on one side takes its partner out of the difference."""
    metrics = Metrics.of(simulate_matches(SMALL, {"bce": (0.0,) * 3}, 1, random())["bce"][0], NAMES)
    rows = len(metrics.names)
    value = np.arange(3.0)[:, None] + np.zeros(rows)
    resampled = random().normal(size=(50, 3, rows))
    three = Measured((0, 1, 2), value, resampled)
    two = Measured((2, 0), 10 * value[[2, 0]], resampled[:, [2, 0]])
    difference = paired_differences(two, three, metrics)[0]
    assert difference.components.seeds == 2
    assert difference.difference == pytest.approx((9 * 2 + 9 * 0) / 2)
    assert difference.baseline == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("spreads", "most"),
    [((0.3, 0.2, 0.1), 1.25), ((0.0, 0.5, 0.0), 1.25), ((0.05, 0.0, 0.4), 1.6)],  # a part is never below zero
)
def test_the_variance_is_that_of_the_simulation(spreads, most):
    """For a plain mean over images the squared standard error is, on average, the true variance, or errs upwards."""
    by_image, by_seed, by_both = spreads
    images, seeds, resamples = 30, 4, 60
    generator = random()
    metrics = dataclasses.replace(_one_metric(), images=np.array([images]))
    totals = []
    for _ in range(150):
        effect = (
            generator.normal(0, by_image, images)
            + generator.normal(0, by_seed, (seeds, 1))
            + generator.normal(0, by_both, (seeds, images))
        )
        chosen = generator.integers(0, images, (resamples, images))
        weights = np.array([np.bincount(row, minlength=images) for row in chosen])
        resampled = (weights @ effect.T / images)[:, :, None]
        ours = Measured(tuple(range(seeds)), effect.mean(1, keepdims=True), resampled)
        zero = Measured(ours.seeds, np.zeros_like(ours.value), np.zeros_like(resampled))
        components = paired_differences(ours, zero, metrics)[0].components
        totals.append(components.standard_error(seeds, images) ** 2)
    true = by_image**2 / images + by_seed**2 / seeds + by_both**2 / (images * seeds)
    assert 0.85 * true <= np.mean(totals) <= most * true


def _one_metric():
    return Metrics(("AP",), np.ones((1, 1)), np.array([10]), np.array([1]), 1)


def test_more_images_and_seeds_shrink_the_parts_they_belong_to():
    """Images leave the part of the seeds as it is, and the other way round."""
    components = VarianceComponents(100, seeds=4, from_images=3.0, from_seeds=2.0, from_both=1.0, between_seeds=3.0)
    assert components.standard_error(4, 100) == pytest.approx(math.sqrt(6))
    assert components.standard_error(4, 10**12) == pytest.approx(math.sqrt(2))
    assert components.standard_error(10**12, 100) == pytest.approx(math.sqrt(3))
    assert components.standard_error(8, 200) == pytest.approx(math.sqrt(3 / 2 + 2 / 2 + 1 / 4))


def test_one_image_gives_no_interval():
    """A class that a single image shows has a difference but no interval and no p-value."""
    world = dataclasses.replace(SMALL, objects=(2.0,))
    matches = simulate_matches(world, {"bce": (0.0,), "focal": (0.3,)}, 2, random())
    metrics = dataclasses.replace(Metrics.of(matches["bce"][0], NAMES), images=np.array([1, 1, 1]))
    measured = {name: measure_resamples(trials, metrics, resamples=20) for name, trials in matches.items()}
    difference = paired_differences(measured["focal"], measured["bce"], metrics)[0]
    assert math.isnan(difference.low) and math.isnan(difference.high) and math.isnan(difference.p_value)
    assert difference.difference != 0


def test_seeds_that_all_differ_by_the_same_are_no_certainty():
    """A class that one side always finds and the other never: no interval, no p-value; equal sides are equal."""
    resampled = np.tile(np.random.default_rng(0).normal(0, 0.01, (50, 1, 1)), (1, 2, 1))
    never = Measured((0, 1), np.zeros((2, 1)), np.zeros((50, 2, 1)))
    always = Measured((0, 1), np.ones((2, 1)), 1 + resampled)
    metrics = dataclasses.replace(_one_metric(), images=np.array([10]))
    (difference,), (none,) = (paired_differences(each, never, metrics) for each in (always, never))
    assert difference.difference == 1 and math.isnan(difference.p_value) and math.isnan(difference.low)
    assert none.difference == 0 and none.p_value == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "luck"), [(3, 0.03), (5, 0.1)])
def test_intervals_and_verdicts_are_right_as_often_as_they_say(seeds, luck):
    """Of 400 comparisons, 93 to 97 % of AP's 95 % intervals hold the truth, and at most 5 % make any false claim.

    Classes with few objects may be covered more often than that, never less.
    """
    world = dataclasses.replace(SMALL, training_spread=luck)
    found = [repeat_comparisons(world, (0.1, 0.2, 0.3), seeds, 60, 100, seed) for seed in range(4)]
    covered = np.mean([each.covered for each in found], axis=0)
    assert 0.93 <= covered[0] <= 0.97
    assert covered.min() >= 0.93
    assert np.mean([each.false_verdicts for each in found]) <= 0.05


@pytest.mark.parametrize("parts", [(1.0, 0.0, 0.0), (0.1, 0.6, 0.3), (0.05, 0.9, 0.05), (0.0, 0.0, 1.0)])
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("level", [0.05, 0.002])
def test_few_seeds_do_not_pass_for_certainty(level, seeds, parts):
    """Of normal differences with true value zero at most the level is called more than chance, whatever dominates."""
    generator = np.random.default_rng(7)
    images, both, repetitions = 10_000, parts[2], 20_000
    differences = generator.normal(0, math.sqrt(sum(parts)), repetitions)
    between = (parts[1] + both) * generator.chisquare(seeds - 1, repetitions) / (seeds - 1)
    chances = [VarianceComponents(images, seeds, parts[0], max(each - both, 0.0), both, each) for each in between[:1]]
    normal = chances[0].least_shown(level, seeds, images)  # the formula itself, then all repetitions at once
    assert normal == pytest.approx(reach(level, seeds, parts, between[0]), rel=1e-3)
    claimed = np.mean(np.abs(differences) > reach(level, seeds, parts, between))
    assert claimed <= level + 3 * math.sqrt(level / repetitions)


def reach(level, seeds, parts, between):
    """The least difference shown: normal for images, Student's for seeds, never below what images alone demand."""
    normal, student = student_critical(level, math.inf), student_critical(level, seeds - 1)
    return np.maximum(np.sqrt(normal**2 * parts[0] + student**2 * between), normal * math.sqrt(parts[0] + parts[2]))


def test_the_p_value_is_the_level_at_which_a_difference_is_just_shown():
    """The inverse of `least_shown`, from the largest differences to none."""
    components = VarianceComponents(80, seeds=4, from_images=1e-4, from_seeds=2e-4, from_both=1e-4, between_seeds=3e-4)
    for level in (0.9, 0.3, 0.05, 1e-3, 1e-8):
        assert components.p_value(-components.least_shown(level, 4, 80)) == pytest.approx(level, rel=1e-5)
    assert components.p_value(0.0) == pytest.approx(1.0)
    assert components.p_value(1e9) <= 1e-12


def test_without_luck_of_images_the_interval_is_student_s_of_the_paired_seeds():
    """Mean +- t(0.975, S - 1) sd / sqrt(S), as in any textbook."""
    differences = np.array([0.01, 0.05, 0.02, 0.04])
    metrics = dataclasses.replace(_one_metric(), images=np.array([50]))
    ours = Measured((0, 1, 2, 3), differences[:, None], np.tile(differences[None, :, None], (20, 1, 1)))
    none = Measured(ours.seeds, np.zeros((4, 1)), np.zeros((20, 4, 1)))
    (found,) = paired_differences(ours, none, metrics)
    half = 3.182446305 * differences.std(ddof=1) / math.sqrt(4)
    assert (found.low, found.high) == pytest.approx((0.03 - half, 0.03 + half), rel=1e-6)


def test_the_variance_of_a_mean_over_few_images_is_not_too_small():
    """s^2 / n with s^2 over n - 1, of which resampling five images shows four fifths."""
    values, generator = np.array([0.1, 0.5, 0.2, 0.9, 0.4]), random()
    weights = np.array([np.bincount(generator.integers(0, 5, 5), minlength=5) for _ in range(4000)])
    ours = Measured((0,), np.array([[values.mean()]]), (weights @ values / 5)[:, None, None])
    none = Measured((0,), np.zeros((1, 1)), np.zeros((4000, 1, 1)))
    metrics = dataclasses.replace(_one_metric(), images=np.array([5]))
    found = paired_differences(ours, none, metrics)[0].components.from_images
    assert found == pytest.approx(values.var(ddof=1) / 5, rel=0.08)


def test_an_image_shows_a_metric_once():
    """However many objects of its classes are in it."""
    matches = simulate_matches(SMALL, {"bce": (0.0,) * 3}, 1, random())["bce"][0]
    metrics = Metrics.of(matches, NAMES)
    shown = set(zip(matches.object_image.tolist(), matches.object_category.tolist(), strict=True))
    assert metrics.images[0] == len({image for image, _ in shown})
    assert metrics.images[metrics.classes :].tolist() == [sum(c == k for _, c in shown) for k in range(3)]
