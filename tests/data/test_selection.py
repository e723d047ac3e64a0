"""Choosing the images of a subset from their class counts."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_focal.data.selection import Selection, SelectionRules, partition, select_images
from yolo_focal.errors import DataError

image_counts = st.dictionaries(
    st.integers(1, 500), st.dictionaries(st.integers(0, 4), st.integers(1, 6), max_size=3), min_size=1, max_size=40
)
rules = st.one_of(
    st.builds(SelectionRules, max_images=st.none() | st.integers(1, 30), max_per_class=st.none() | st.integers(1, 30)),
    st.builds(SelectionRules, min_per_class=st.integers(1, 9), max_images=st.none() | st.integers(1, 30)),
    st.builds(SelectionRules, profile=st.sampled_from(["zipf", "exponential"]), imbalance=st.floats(1, 20)),
)


def total(counts: dict[int, dict[int, int]], images: list[int]) -> Counter[int]:
    return sum((Counter(counts[image]) for image in images), Counter[int]())


@given(image_counts, rules, st.integers(0, 5))
@settings(deadline=None)
def test_the_choice_does_not_depend_on_the_order_of_images_or_classes(
    counts: dict[int, dict[int, int]], rules: SelectionRules, seed: int
) -> None:
    """Shuffled input gives the same images."""
    if rules.profile and not any(counts.values()):
        return
    items = [(image, dict(reversed(classes.items()))) for image, classes in counts.items()]
    random.Random(seed).shuffle(items)
    first = select_images(counts, range(5), rules, seed)
    second = select_images(dict(items), reversed(range(5)), rules, seed)
    assert first.images == second.images


@given(image_counts, rules, st.integers(0, 5))
@settings(deadline=None)
def test_limits_hold_and_reached_counts_are_those_of_the_images(
    counts: dict[int, dict[int, int]], rules: SelectionRules, seed: int
) -> None:
    """No more images than max_images, no class above max_per_class, and `reached` is the sum over the images."""
    if rules.profile and not any(counts.values()):
        return
    found = select_images(counts, range(5), rules, seed)
    summed = total(counts, found.images)
    assert found.reached == {kind: summed[kind] for kind in range(5)}
    assert found.images == sorted(set(found.images))
    assert len(found.images) <= (rules.max_images or len(counts))
    assert max(found.reached.values()) <= (rules.max_per_class or float("inf"))


@given(image_counts, st.integers(1, 9), st.integers(0, 5))
def test_every_minimum_is_reached_that_the_source_allows(
    counts: dict[int, dict[int, int]], minimum: int, seed: int
) -> None:
    """Without other limits each class gets its minimum or all there is, and the shortfalls name the others."""
    found = select_images(counts, range(5), SelectionRules(min_per_class=minimum), seed)
    available = total(counts, list(counts))
    for kind in range(5):
        assert found.reached[kind] >= min(minimum, available[kind])
    assert set(found.shortfalls()) == {kind for kind in range(5) if available[kind] < minimum}


def test_no_rule_takes_every_image_and_max_images_a_seeded_sample() -> None:
    """A sample has the asked size, differs between seeds, and repeats with the seed."""
    counts = {image: {0: 1} for image in range(100)}
    assert select_images(counts, [0], SelectionRules(), 0).images == list(range(100))
    samples = [select_images(counts, [0], SelectionRules(max_images=10), seed).images for seed in (0, 0, 1)]
    assert len(samples[0]) == 10
    assert samples[0] == samples[1] != samples[2]


@pytest.mark.parametrize("profile", ["zipf", "exponential"])
@pytest.mark.parametrize("imbalance", [5.0, 20.0, 100.0])
def test_a_long_tail_is_reached_within_ten_percent_on_crowded_images(profile: str, imbalance: float) -> None:
    """With images of several classes each, as in COCO, every class ends within 10 % of its target."""
    generator = np.random.default_rng(1)
    popularity = np.array([0.5, 0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05])
    counts = {
        image: {kind: int(generator.integers(1, 5)) for kind in range(8) if generator.random() < popularity[kind]}
        for image in range(3000)
    }
    found = select_images(counts, range(8), SelectionRules(profile=profile, imbalance=imbalance), 0)
    assert found.shortfalls() == {}
    reached = sorted(found.reached.values(), reverse=True)
    assert 0.8 * imbalance <= reached[0] / reached[-1] <= 1.25 * imbalance


def test_an_asked_size_sets_the_most_frequent_class() -> None:
    """`largest` is the target of the first class."""
    counts = {image: {image % 3: 1} for image in range(300)}
    found = select_images(counts, range(3), SelectionRules(profile="zipf", imbalance=10, largest=40), 0)
    assert sorted(found.asked.values()) == [4, 9, 40]
    assert found.reached == found.asked


def test_a_target_out_of_reach_is_told_as_shortfall() -> None:
    """Where one class always comes with ten of another, a flat profile misses and says so."""
    counts = {image: {0: 10, 1: 1} for image in range(20)}
    found = select_images(counts, range(2), SelectionRules(profile="zipf", imbalance=1), 0)
    assert found.shortfalls()


def test_max_images_makes_a_long_tail_smaller() -> None:
    """The profile shrinks until its images fit."""
    counts = {image: {image % 2: 1} for image in range(400)}
    found = select_images(counts, range(2), SelectionRules(profile="zipf", imbalance=4, max_images=50), 0)
    assert len(found.images) <= 50
    assert found.shortfalls() == {}
    assert sum(found.reached.values()) > 40


@given(st.lists(st.integers(), unique=True), st.floats(0, 1), st.integers(0, 9))
def test_a_partition_loses_nothing(images: list[int], share: float, seed: int) -> None:
    """Both parts together are all images, the second is the asked share, and order does not matter."""
    if round(share * len(images)) == len(images):
        with pytest.raises(DataError, match=rf"^val_share={share:g} leaves none of the {len(images)} images to train"):
            partition(images, share, seed)
        return
    rest, part = partition(images, share, seed)
    assert sorted(rest + part) == sorted(images)
    assert len(part) == round(share * len(images))
    assert partition(reversed(images), share, seed) == (rest, part)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_images": 0}, "max_images must be at least 1, got 0"),
        ({"min_per_class": 5, "max_per_class": 3}, "min_per_class 5 is above max_per_class 3"),
        ({"largest": 5}, "largest=5 belongs to a long-tail profile"),
        ({"profile": "zipf", "max_per_class": 3}, "leave out min_per_class and max_per_class"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(values: dict[str, int], message: str) -> None:
    """The message has the values and what to leave out."""
    with pytest.raises(DataError, match=message):
        SelectionRules(**values)


def test_a_long_tail_that_cannot_fit_into_max_images_is_refused() -> None:
    """The message has the images needed and the limit."""
    counts = {image: {image: 1} for image in range(10)}
    with pytest.raises(DataError, match="needs 10 images, more than max_images=3; raise it or lower imbalance"):
        select_images(counts, range(10), SelectionRules(profile="zipf", imbalance=1, max_images=3), 0)


def test_a_long_tail_over_nothing_is_refused() -> None:
    """Images without objects have no frequencies."""
    with pytest.raises(DataError, match="no image has an object of the chosen classes"):
        select_images({1: {}}, [0], SelectionRules(profile="zipf"), 0)


def test_more_than_a_tenth_off_is_a_shortfall() -> None:
    """Of a long tail in both directions, and of a target of one where there is none."""
    found = Selection([], {0: 89, 1: 90, 2: 110, 3: 111, 4: 0}, {**dict.fromkeys(range(4), 100), 4: 1}, exact=True)
    assert found.shortfalls() == {0: -0.11, 3: 0.11, 4: -1.0}


@pytest.mark.parametrize("seed", range(5))
def test_the_rarest_class_gets_its_minimum_first(seed: int) -> None:
    """Where max_images does not leave room for all."""
    counts = {number: {0: 1} for number in range(8)} | {8: {1: 1}, 9: {1: 1}}
    assert select_images(counts, range(2), SelectionRules(min_per_class=2, max_images=2), seed).images == [8, 9]
