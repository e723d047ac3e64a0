"""From differences to words: better, worse or cannot tell, after correction for the number of questions asked.

All verdicts of a comparison are one family: the chance that any of them is false, when nothing differs, is at most 5 %.
Holm's procedure with weights gives half of the 5 % to the main question, AP, shared by the configurations, and half to
everything else; what the questions answered first leave over goes to the rest.

Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979, including its weighted form.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from yolo_focal.comparison.metrics import PRIMARY
from yolo_focal.comparison.statistics.bootstrap import Difference, VarianceComponents
from yolo_focal.comparison.statistics.student_t import student_quantile

__all__ = ["AP_SHARE", "LEVEL", "RequiredSize", "Verdict", "Word", "holm", "judge"]

LEVEL = 0.05  # chance of any false verdict
AP_SHARE = 0.5  # of it, for the main question; the rest is for all others
POWER = 0.8  # chance that an experiment of the advised size would settle a difference as large as the one seen
# Beyond these the advice is that the difference is too small to settle.
MOST_SEEDS = 50  # or five times those at hand
MOST_TIMES = 20  # the images at hand
Word = Literal["better", "worse", "cannot tell"]


@dataclass(frozen=True)
class RequiredSize:
    """What would likely settle a difference as large as the one seen; None where no practical number would.

    Attributes:
        seeds: with the images at hand.
        images_times: how many times the images at hand, with the seeds at hand.
        both_times: how many times both.
    """

    seeds: int | None
    images_times: float | None
    both_times: float | None


@dataclass(frozen=True)
class Verdict:
    """A difference and what may be said about it.

    Attributes:
        difference: as measured.
        adjusted_p: its p-value after the correction; NaN where it has none.
        word: better, worse or cannot tell.
        share: the part of LEVEL that the correction starts this question with.
    """

    difference: Difference
    adjusted_p: float
    word: Word
    share: float

    @cached_property
    def required(self) -> RequiredSize | None:
        """What would likely settle an open question; None where it is settled or nothing can be said."""
        components = self.difference.components
        if self.word != "cannot tell" or components.seeds < 2 or math.isnan(self.difference.low):
            return None
        return _required_size(abs(self.difference.difference), components, LEVEL * self.share)


def holm(p_values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Adjusted p-values of Holm's weighted procedure; a hypothesis is rejected where its own is <= the level.

    Args:
        p_values: NaN counts as never rejected.
        weights: positive, the share of the level each hypothesis starts with; they sum to 1.
    """
    order = sorted(
        range(len(p_values)), key=lambda i: math.inf if math.isnan(p_values[i]) else p_values[i] / weights[i]
    )
    adjusted = [math.nan] * len(p_values)
    remaining, highest = math.fsum(weights), 0.0
    for index in order:
        if math.isnan(p_values[index]):
            break
        highest = max(highest, min(p_values[index] / weights[index] * remaining, 1.0))
        adjusted[index] = highest
        remaining -= weights[index]
    return adjusted


def judge(differences: Mapping[str, Sequence[Difference]]) -> dict[str, list[Verdict]]:
    """A verdict on every difference of every configuration, corrected for their number.

    Args:
        differences: by configuration.
    """
    rows = [(name, each) for name, several in differences.items() for each in several]
    primary = sum(each.metric == PRIMARY for _, each in rows)
    others = len(rows) - primary
    weights = [AP_SHARE / primary if each.metric == PRIMARY else (1 - AP_SHARE) / others for _, each in rows]
    adjusted = holm([each.p_value for _, each in rows], weights)
    verdicts: dict[str, list[Verdict]] = {name: [] for name in differences}
    for (name, each), weight, p_value in zip(rows, weights, adjusted, strict=True):
        verdicts[name].append(_verdict(each, p_value, weight))
    return verdicts


def _verdict(difference: Difference, adjusted_p: float, share: float) -> Verdict:
    if difference.components.seeds < 2:  # the luck of a training is unknown, however clear its images are
        return Verdict(difference, math.nan, "cannot tell", share)
    if adjusted_p <= LEVEL:
        return Verdict(difference, adjusted_p, "better" if difference.difference > 0 else "worse", share)
    return Verdict(difference, adjusted_p, "cannot tell", share)


def _required_size(size: float, components: VarianceComponents, level: float) -> RequiredSize:
    """What it would take to see a true difference of `size` at `level` with a chance of POWER."""
    if size == 0:
        return RequiredSize(None, None, None)

    power = student_quantile(POWER, math.inf)

    def settles(seeds: float, images: float) -> bool:
        return size >= components.least_shown(level, seeds, images) + power * components.standard_error(seeds, images)

    most_seeds = max(MOST_SEEDS, 5 * components.seeds)
    images_times = _smallest(lambda n: settles(components.seeds, components.images * n / 10), 10, 10 * MOST_TIMES)
    both_times = _smallest(
        lambda n: settles(components.seeds * n / 10, components.images * n / 10),
        10,
        min(10 * MOST_TIMES, 10 * most_seeds // components.seeds),
    )
    return RequiredSize(
        seeds=_smallest(lambda n: settles(n, components.images), components.seeds, most_seeds),
        images_times=None if images_times is None else images_times / 10,
        both_times=None if both_times is None else both_times / 10,
    )


def _smallest(settles: Callable[[int], bool], low: int, high: int) -> int | None:
    """The least whole number from `low` to `high` that settles; None where not even `high` does."""
    if not settles(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle + 1, high)
    return low
