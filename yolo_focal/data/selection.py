"""Which images make up a subset: a pure function of per-image class counts, rules and a seed."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from yolo_focal.arguments.commands import PROFILES
from yolo_focal.data.long_tail import long_tail_counts
from yolo_focal.errors import DataError

__all__ = ["Selection", "SelectionRules", "partition", "select_images"]

ImageCounts = Mapping[int, Mapping[int, int]]  # image id -> class -> instances

TOLERANCE = 0.10  # relative deviation from a long-tail target that counts as reached
SHRINK = 0.9  # factor on a profile that cannot be reached at its size
SMALLEST_SHARE = 0.25  # of the largest possible profile; a smaller one is no longer what was asked for
MOST_SWEEPS = 8


@dataclass(frozen=True)
class SelectionRules:
    """What a subset should look like; None switches a rule off.

    Attributes:
        max_images: most images.
        min_per_class: instances to reach for every class, as far as there are so many.
        max_per_class: instances that no class may exceed; images are taken whole, so one that would exceed it is left.
        profile: `exponential` or `zipf` long tail over instances, by descending frequency in the source.
        imbalance: instances of the most over those of the least frequent class, for `profile`.
        largest: instances of the most frequent class, for `profile`; None: as many as can be reached.
    """

    max_images: int | None = None
    min_per_class: int | None = None
    max_per_class: int | None = None
    profile: str | None = None
    imbalance: float = 50.0
    largest: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_images", "min_per_class", "max_per_class", "largest"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise DataError(f"{name} must be at least 1, got {value}")
        if self.min_per_class and self.max_per_class and self.min_per_class > self.max_per_class:
            raise DataError(f"min_per_class {self.min_per_class} is above max_per_class {self.max_per_class}")
        idle = [
            f"{name}={getattr(self, name):g}"
            for name in ("imbalance", "largest")
            if getattr(self, name) != getattr(type(self), name)
        ]
        if self.profile is None and idle:
            raise DataError(f"{' '.join(idle)} belongs to a long-tail profile; add profile={' or '.join(PROFILES)}")
        if self.profile is not None and (self.min_per_class or self.max_per_class):
            raise DataError("a long-tail profile sets every class's count; leave out min_per_class and max_per_class")


@dataclass(frozen=True)
class Selection:
    """The chosen images and how they meet the rules.

    Attributes:
        images: ids, ascending.
        reached: instances per class in the chosen images.
        asked: instances asked for per class; absent where no rule names a number.
        exact: whether `asked` is a target (long tail) or a minimum.
    """

    images: list[int]
    reached: dict[int, int]
    asked: dict[int, int]
    exact: bool = False

    def shortfalls(self) -> dict[int, float]:
        """Relative deviation of every class that is below its minimum, or off its target by more than 10 %."""
        missed = {}
        for kind, asked in self.asked.items():
            off = self.reached[kind] - asked
            if off < 0 if not self.exact else abs(off) > max(TOLERANCE * asked, 0.5):
                missed[kind] = off / asked
        return missed


def select_images(counts: ImageCounts, classes: Iterable[int], rules: SelectionRules, seed: int) -> Selection:
    """Choose images by `rules`; the same ids, counts and seed give the same choice in whatever order they come.

    Without a profile: first, from the rarest class on, the images that `min_per_class` needs; then any others up to
    `max_images` and `max_per_class` (nothing more where only `min_per_class` is given). With a profile: see
    `_long_tail`. Images without instances count as images and are never needed by a rule.
    """
    ranked = _by_frequency(counts, classes)
    order = _seeded_order(counts, seed)
    if rules.profile is not None:
        return _long_tail(counts, ranked, rules, order)
    chosen = _within_caps(counts, [kind for kind, _ in ranked], rules, order)
    asked: dict[int, int] = {}
    if rules.min_per_class is not None:
        asked = {kind: rules.min_per_class for kind, _ in ranked}
    return Selection(sorted(chosen), _reached(counts, chosen, ranked), asked)


def partition(image_ids: Iterable[int], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Split ids at random into the rest and a `share` of them (rounded), both ascending; order-independent.

    Raises:
        DataError: there is no rest.
    """
    order = _seeded_order(image_ids, seed)
    number = round(share * len(order))
    if number == len(order):
        raise DataError(f"val_share={share:g} leaves none of the {number} images to train on; lower it")
    return sorted(order[number:]), sorted(order[:number])


def _by_frequency(counts: ImageCounts, classes: Iterable[int]) -> list[tuple[int, int]]:
    """(class, instances available), most frequent first, ties by class."""
    available = Counter(dict.fromkeys(classes, 0))
    for image in counts.values():
        for kind, number in image.items():
            available[kind] += number
    return sorted(available.items(), key=lambda pair: (-pair[1], pair[0]))


def _seeded_order(image_ids: Iterable[int], seed: int) -> list[int]:
    ascending = sorted(image_ids)
    return [ascending[position] for position in np.random.default_rng(seed).permutation(len(ascending))]


def _reached(counts: ImageCounts, chosen: Iterable[int], ranked: list[tuple[int, int]]) -> dict[int, int]:
    return {kind: sum(counts[image].get(kind, 0) for image in chosen) for kind, _ in ranked}


def _within_caps(counts: ImageCounts, ranked: list[int], rules: SelectionRules, order: list[int]) -> set[int]:
    chosen: set[int] = set()
    reached: Counter[int] = Counter()
    most_images = rules.max_images or len(order)
    cap = rules.max_per_class or math.inf

    def take(image: int) -> None:
        fits = all(reached[kind] + number <= cap for kind, number in counts[image].items())
        if image not in chosen and fits and len(chosen) < most_images:
            chosen.add(image)
            reached.update(counts[image])

    if rules.min_per_class is not None:
        for kind in reversed(ranked):
            for image in order:
                if reached[kind] >= rules.min_per_class:
                    break
                if kind in counts[image]:
                    take(image)
        if rules.max_images is None and rules.max_per_class is None:
            return chosen
    for image in order:
        take(image)
    return chosen


def _long_tail(
    counts: ImageCounts, ranked: list[tuple[int, int]], rules: SelectionRules, order: list[int]
) -> Selection:
    """The largest subset whose counts follow the profile within the tolerance, else the closest one found.

    Objects come in whole images, so a rare class brings frequent ones along; a smaller profile leaves more freedom. The
    size starts at what the source has (or `largest`) and shrinks until every class is within the tolerance.
    """
    present = [(kind, number) for kind, number in ranked if number]
    if not present:
        raise DataError("no image has an object of the chosen classes, so there is no long tail to draw")
    profile = rules.profile or ""
    shares = [number / 1_000_000 for number in long_tail_counts(profile, len(present), 1_000_000, rules.imbalance)]
    size = float(rules.largest or min(number / share for (_, number), share in zip(present, shares, strict=True)))
    smallest = size if rules.largest else SMALLEST_SHARE * size
    best: Selection | None = None
    chosen: set[int] = set()
    while best is None or size >= smallest:
        numbers = long_tail_counts(profile, len(present), max(1, int(size)), rules.imbalance)
        targets = {kind: number for (kind, _), number in zip(present, numbers, strict=True)}
        chosen = _match(counts, targets, order, chosen)
        if rules.max_images is None or len(chosen) <= rules.max_images:
            found = Selection(sorted(chosen), _reached(counts, chosen, ranked), targets, exact=True)
            if not found.shortfalls():
                return found
            if best is None or _worst(found) < _worst(best):
                best = found
        elif rules.largest or size * SHRINK < 1:
            raise DataError(
                f"a {profile} profile with imbalance {rules.imbalance:g} over {len(present)} classes needs "
                f"{len(chosen)} images, more than max_images={rules.max_images}; raise it or lower imbalance or largest"
            )
        size *= SHRINK
    return best


def _worst(selection: Selection) -> float:
    return max((abs(value) for value in selection.shortfalls().values()), default=0.0)


def _match(counts: ImageCounts, targets: dict[int, int], order: list[int], start: set[int]) -> set[int]:
    """Images whose summed counts are close to `targets`: local search from `start` on the squared relative error.

    Each sweep offers every image once, those with the rarest class first, and adds or removes it where that lowers the
    error; it ends when a sweep changes next to nothing.
    """
    weights = {kind: 1 / (target * target) for kind, target in targets.items()}
    chosen = start | {image for image in order if not counts[image]}
    excess = {kind: sum(counts[image].get(kind, 0) for image in chosen) - target for kind, target in targets.items()}
    rarest_first = [(image, sorted(counts[image].items())) for image in order if counts[image]]
    rarest_first.sort(key=lambda entry: min(targets[kind] for kind, _ in entry[1]))
    for _ in range(MOST_SWEEPS):
        changes = 0
        for image, items in rarest_first:
            sign = -1 if image in chosen else 1
            # (e + s n)^2 - e^2 = n (2 s e + n), for the excess e and n objects more or less
            if sum(weights[kind] * number * (2 * sign * excess[kind] + number) for kind, number in items) < 0:
                changes += 1
                chosen ^= {image}
                for kind, number in items:
                    excess[kind] += sign * number
        if changes <= len(rarest_first) // 1000:
            break
    return chosen
