"""Means, differences and verdicts over the seeds of a study, by Student's t."""

import math
import statistics
from collections.abc import Mapping, Sequence

from yolo_focal.comparison.statistics.student_t import student_critical, student_two_sided
from yolo_focal.comparison.statistics.verdicts import AP_SHARE, LEVEL, holm

__all__ = ["mean_and_half", "mean_with_interval", "differences_by_seed", "verdicts"]


def mean_with_interval(values: Sequence[float], form: str) -> str:
    """Mean and 95 % interval."""
    mean, half = mean_and_half(values)
    return f"{mean:{form}} ({mean - half:{form}} to {mean + half:{form}})" if len(values) > 1 else f"{mean:{form}}"


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half of the length of its 95 % interval; 0 where there is one value."""
    if len(values) < 2:
        return statistics.mean(values), 0.0
    half = student_critical(0.05, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), half


def differences_by_seed(measured: Mapping[tuple[str, int], float], first: str, second: str) -> list[float]:
    """What `first` has above `second`, for every seed that both have; `measured` is by configuration and seed."""
    seeds = sorted(seed for name, seed in measured if name == first and (second, seed) in measured)
    return [measured[first, seed] - measured[second, seed] for seed in seeds]


def verdicts(questions: Sequence[Sequence[float]]) -> list[str]:
    """Better, worse or cannot tell for the differences in AP of each question, corrected for their number.

    As `compare` would if nothing but AP were shown: AP has its share of the level, the rest is kept for all other
    metrics. A table is a family of its own.
    """
    shares = [AP_SHARE / len(questions)] * len(questions)
    adjusted = holm([*map(_p_value, questions), math.nan], [*shares, 1 - AP_SHARE])[:-1]  # the last: all other metrics
    return [
        "cannot tell" if not p_value <= LEVEL else "better" if statistics.mean(differences) > 0 else "worse"
        for differences, p_value in zip(questions, adjusted, strict=True)
    ]


def _p_value(differences: Sequence[float]) -> float:
    """Of no difference; NaN for one seed, which does not tell how much seeds differ."""
    if len(differences) < 2:
        return math.nan
    mean, error = statistics.mean(differences), statistics.stdev(differences) / math.sqrt(len(differences))
    return student_two_sided(mean / error, len(differences) - 1) if error else float(mean == 0)
