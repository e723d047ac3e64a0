"""Simulated comparisons whose truth is known: what the intervals and verdicts of `compare` are checked against.

Images differ in difficulty, objects in visibility, trainings in luck; a model finds an object when their sum with fresh
noise is positive, the better the sum, the better its box and the higher its score. Another configuration differs by a
known shift of that sum, class by class. Nothing here is a model of a loss: it only has the same sources of chance as a
real comparison, all of them at once, so that an interval that is right here had to account for each.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from yolo_focal.comparison.metrics import Metrics
from yolo_focal.comparison.statistics.bootstrap import measure_resamples, paired_differences
from yolo_focal.comparison.statistics.verdicts import Verdict, judge
from yolo_focal.evaluation.boxes import Floats, Ints
from yolo_focal.evaluation.coco_eval import average_precision_from_matches
from yolo_focal.evaluation.matching import IOU_THRESHOLDS, ImageMatches

__all__ = ["Frequencies", "World", "repeat_comparisons", "simulate_matches", "true_difference"]


@dataclass(frozen=True)
class World:
    """The chances of a simulated comparison.

    Attributes:
        images: number of evaluated images.
        objects: mean number of objects of each class in an image.
        false_positives: mean number of detections in an image and class that are no object.
        image_spread: standard deviation of the difficulty of an image, the same for every training.
        object_spread: standard deviation of the visibility of an object, the same for every training.
        training_spread: standard deviation of the luck of a training, the same for all its images.
        noise: standard deviation of what differs from training to training and object to object.
    """

    images: int = 200
    objects: tuple[float, ...] = (3.0, 1.0, 0.5, 0.3)
    false_positives: float = 2.0
    image_spread: float = 0.7
    object_spread: float = 0.7
    training_spread: float = 0.1
    noise: float = 0.7


def simulate_matches(
    world: World, shifts: Mapping[str, tuple[float, ...]], seeds: int, random: np.random.Generator
) -> dict[str, dict[int, ImageMatches]]:
    """The matches of every configuration and seed on one resample of images.

    Args:
        world: the chances.
        shifts: for each configuration, how much better it finds the objects of each class; 0 is the baseline's skill.
        seeds: trainings of each configuration.
        random: where all chance comes from.
    """
    classes = len(world.objects)
    counts = random.poisson(world.objects, (world.images, classes))
    image = np.repeat(np.arange(world.images), counts.sum(1))
    category = np.repeat(np.tile(np.arange(classes), world.images), counts.ravel())
    ease = random.normal(0, world.image_spread, world.images)[image]
    ease = 0.5 + ease + random.normal(0, world.object_spread, len(image))
    return {
        name: {
            seed: _train(world, image, category, ease + np.asarray(shift)[category], random) for seed in range(seeds)
        }
        for name, shift in shifts.items()
    }


def _train(world: World, image: Ints, category: Ints, ease: Floats, random: np.random.Generator) -> ImageMatches:
    """What one training detects: a part of the objects, and false positives."""
    skill = ease + random.normal(0, world.training_spread) + random.normal(0, world.noise, len(ease))
    found = skill > 0
    iou = 0.5 + 0.5 / (1 + np.exp(-1.5 * skill[found] + 1.5 + random.normal(0, 0.5, int(found.sum()))))
    classes = len(world.objects)
    wrong = random.poisson(world.false_positives, (world.images, classes))
    wrong_image = np.repeat(np.arange(world.images), wrong.sum(1))
    wrong_category = np.repeat(np.tile(np.arange(classes), world.images), wrong.ravel())
    evidence = np.r_[skill[found] + random.normal(0, 0.5, len(iou)), random.normal(-0.5, 1.0, len(wrong_image))]

    rows_image, rows_category = np.r_[image[found], wrong_image], np.r_[category[found], wrong_category]
    scores = 1 / (1 + np.exp(-evidence))
    overlap = np.r_[iou, np.zeros(len(wrong_image))]
    order = np.lexsort((-scores, rows_category))
    matched = overlap[order] >= IOU_THRESHOLDS[:, None]
    return ImageMatches(
        images=world.images,
        classes=classes,
        image=rows_image[order],
        category=rows_category[order],
        rank=np.zeros(len(order), dtype=np.int64),
        scores=scores[order],
        matched=matched,
        ignored=np.zeros_like(matched),
        object_image=image,
        object_category=category,
    )


@dataclass(frozen=True, eq=False)
class Frequencies:
    """How often simulated comparisons were right.

    Attributes:
        repetitions: how many comparisons.
        covered: (R,) share whose interval of each metric held the true difference.
        half_widths: (R,) mean half-width of these intervals.
        false_verdicts: share with any better or worse on the configuration that equals the baseline.
        true_verdicts: (R,) share with the right verdict on the configuration that differs.
    """

    repetitions: int
    covered: Floats
    half_widths: Floats
    false_verdicts: float
    true_verdicts: Floats


def repeat_comparisons(
    world: World, shift: tuple[float, ...], seeds: int, resamples: int, repetitions: int, seed: int = 0
) -> Frequencies:
    """Compare a baseline with a configuration that differs by `shift` and one that does not differ, again and again.

    Args:
        world: the chances.
        shift: how much better one configuration finds the objects of each class.
        seeds: trainings of each.
        resamples: resamples of the images in each comparison.
        repetitions: how many comparisons.
        seed: where all chance comes from.
    """
    shifts = {"baseline": (0.0,) * len(shift), "other": shift, "equal": (0.0,) * len(shift)}
    truth = true_difference(world, shifts, 10 * repetitions, np.random.default_rng([seed, 0]))
    covered, half_widths, right, false_verdicts = [], [], [], 0
    for repetition in range(repetitions):
        random = np.random.default_rng([seed, 1, repetition])
        verdicts = _simulate_comparison(world, shifts, seeds, resamples, random)
        ends = np.array([(each.difference.low, each.difference.high) for each in verdicts["other"]])
        covered.append((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
        half_widths.append((ends[:, 1] - ends[:, 0]) / 2)
        words = np.array([each.word for each in verdicts["other"]])
        right.append(words == np.where(truth > 0, "better", "worse"))
        false_verdicts += any(each.word != "cannot tell" for each in verdicts["equal"])
    means = (np.asarray(np.mean(each, axis=0)) for each in (covered, half_widths, right))
    share, width, power = means
    return Frequencies(repetitions, share, width, false_verdicts / repetitions, power)


def _simulate_comparison(
    world: World, shifts: Mapping[str, tuple[float, ...]], seeds: int, resamples: int, random: np.random.Generator
) -> dict[str, list[Verdict]]:
    """The verdicts of one whole comparison on simulated trainings; the first configuration is the baseline."""
    matches = simulate_matches(world, shifts, seeds, random)
    metrics = _metrics(world, matches)
    measured = {name: measure_resamples(trials, metrics, resamples) for name, trials in matches.items()}
    baseline, *others = measured
    return judge({name: paired_differences(measured[name], measured[baseline], metrics) for name in others})


def true_difference(
    world: World, shifts: Mapping[str, tuple[float, ...]], repetitions: int, random: np.random.Generator
) -> Floats:
    """(R,) the expected difference of every metric between the second configuration and the first.

    The mean of `repetitions` comparisons with one seed each, on images of their own: as the intervals see it, the
    small-sample bias of AP included.
    """
    first_two = dict(itertools.islice(shifts.items(), 2))
    differences = []
    for _ in range(repetitions):
        matches = simulate_matches(world, first_two, 1, random)
        metrics = _metrics(world, matches)
        first, second = (metrics.measure(average_precision_from_matches(trials[0])) for trials in matches.values())
        differences.append(second - first)
    return np.asarray(np.mean(differences, axis=0))


def _metrics(world: World, matches: dict[str, dict[int, ImageMatches]]) -> Metrics:
    any_training = next(iter(matches.values()))[0]
    return Metrics.of(any_training, [f"class {index}" for index in range(len(world.objects))])
