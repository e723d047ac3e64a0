"""Per-class alpha from training frequencies, for `fl_alpha=auto`.

Why the inverse power with exponent 1/2, and not the effective number of samples (Cui et al. 2019, arXiv:1901.05555)?
(1 - beta) / (1 - beta^n) knows a scale: with beta = 0.999 every class beyond some 3,000 boxes gets the same weight, and
below some 300 the weight is the full inverse frequency. The same imbalance would be treated differently in a small and
in a large dataset, and beta would have to be tuned to each. A power of the frequency has no scale: twice the data gives
the same alpha. The exponent 1/2 halves the imbalance on a log scale; the full inverse (1) lets a handful of boxes of
one class outweigh everything else.
"""

import math
from collections.abc import Sequence

from yolo_focal.errors import DataError

__all__ = ["alpha_from_frequencies"]

BISECTIONS = 200  # each halves the interval; double precision is exhausted before


def alpha_from_frequencies(counts: Sequence[int], alpha: float = 0.25, power: float = 0.5) -> list[float]:
    """One alpha per class, larger for rarer classes, all in (0, 1), with mean `alpha`.

    In the focal loss a class's positives weigh alpha_c and its negatives 1 - alpha_c, so what balances a class is the
    ratio of the two. That ratio is made proportional to n_c^-power, with n_c the instances of the class:
        alpha_c / (1 - alpha_c) = k n_c^-power,   k such that mean(alpha_c) = alpha over the classes with instances.
    Odds keep every alpha inside (0, 1) without clipping. Equal counts give `alpha` for every class, and so does
    power = 0. A class without any instance gets `alpha`: there is nothing to learn its weight from.

    Args:
        counts: instances per class in the training labels, at least one of them above 0.
        alpha: the mean to keep, in (0, 1).
        power: 0 (no weighting) to 1 (full inverse frequency).

    Raises:
        DataError: no class has an instance, a count is negative, or `alpha` or `power` is out of range.
    """
    if not counts or max(counts) <= 0 or min(counts) < 0:
        raise DataError(f"class frequencies need counts >= 0 with one above 0, got {list(counts)[:10]}")
    if not 0 < alpha < 1:
        raise DataError(f"alpha to be spread over classes must be between 0 and 1, got {alpha}")
    if not 0 <= power <= 1:
        raise DataError(f"power of the class frequency must be between 0 and 1, got {power}")
    log_weights = [-power * math.log(count) for count in counts if count]
    middle = math.log(alpha / (1 - alpha))
    low, high = middle - max(log_weights), middle - min(log_weights)
    log_k = low
    for _ in range(BISECTIONS):
        log_k = (low + high) / 2
        mean = math.fsum(_sigmoid(log_k + weight) for weight in log_weights) / len(log_weights)
        low, high = (log_k, high) if mean < alpha else (low, log_k)
    return [_sigmoid(log_k - power * math.log(count)) if count else alpha for count in counts]


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
