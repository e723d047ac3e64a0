"""Long-tail frequency profiles."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_focal.data.long_tail import PROFILES, long_tail_counts
from yolo_focal.errors import DataError


@given(st.sampled_from(PROFILES), st.integers(2, 200), st.integers(1, 10**6), st.floats(1, 1000))
def test_counts_fall_from_largest_over_the_imbalance(
    profile: str, classes: int, largest: int, imbalance: float
) -> None:
    """The first class has `largest`, no class is empty, and first over last is the imbalance, rounded down."""
    counts = long_tail_counts(profile, classes, largest, imbalance)
    assert counts[0] == largest
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == max(1, math.floor(largest / imbalance * (1 + 1e-12) + 1e-6))


def test_zipf_is_a_power_law_and_exponential_is_geometric() -> None:
    """Log n is linear in log rank for zipf, and in rank for exponential."""
    zipf = long_tail_counts("zipf", 10, 10**9, 50)
    slopes = [math.log(zipf[0] / count) / math.log(rank) for rank, count in enumerate(zipf[1:], 2)]
    assert max(slopes) - min(slopes) < 1e-6
    exponential = long_tail_counts("exponential", 10, 10**9, 50)
    ratios = [first / second for first, second in itertools.pairwise(exponential)]
    assert max(ratios) - min(ratios) < 1e-6


@pytest.mark.parametrize("profile", PROFILES)
def test_no_imbalance_and_one_class_are_flat(profile: str) -> None:
    """An imbalance of 1 gives every class the same, and one class gets all."""
    assert long_tail_counts(profile, 4, 7, 1) == [7] * 4
    assert long_tail_counts(profile, 1, 7, 50) == [7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pareto", 3, 10, 5), "profile must be one of exponential, zipf, got 'pareto'"),
        (("zipf", 0, 10, 5), "at least 1 class and 1 instance, got 0 and 10"),
        (("zipf", 3, 0, 5), "at least 1 class and 1 instance, got 3 and 0"),
        (("zipf", 3, 10, 0.5), "imbalance factor must be a number >= 1, got 0.5"),
        (("zipf", 3, 10, math.nan), "imbalance factor must be a number >= 1, got nan"),
    ],
)
def test_impossible_profiles_are_refused(arguments: tuple[str, int, int, float], message: str) -> None:
    """The message has the value and what was expected."""
    with pytest.raises(DataError, match=message):
        long_tail_counts(*arguments)
