"""Long-tail frequency profiles: how many instances each class has, from the most to the least frequent."""

import math

from yolo_focal.arguments.commands import PROFILES
from yolo_focal.errors import DataError

__all__ = ["long_tail_counts"]


def long_tail_counts(profile: str, classes: int, largest: int, imbalance: float) -> list[int]:
    """Instances per class, most frequent first, for a profile whose first and last class differ by `imbalance`.

    With rank r = 0 ... C-1 and imbalance factor I:
        exponential  n_r = n_0 I^(-r / (C-1))          (Cui et al. 2019, CIFAR-LT)
        zipf         n_r = n_0 (r+1)^(-ln I / ln C)    (a power law; its exponent makes n_0 / n_(C-1) = I)
    Counts are rounded down, at least 1, so that n_0 / n_(C-1) >= I wherever n_0 >= I.

    Raises:
        DataError: an unknown profile, fewer than one class or instance, or an imbalance below 1.
    """
    if profile not in PROFILES:
        raise DataError(f"the long-tail profile must be one of {', '.join(PROFILES)}, got '{profile}'")
    if classes < 1 or largest < 1:
        raise DataError(f"a long tail needs at least 1 class and 1 instance, got {classes} and {largest}")
    if not (math.isfinite(imbalance) and imbalance >= 1):
        raise DataError(f"the imbalance factor must be a number >= 1, got {imbalance}")
    if classes == 1:
        return [largest]
    if profile == "exponential":
        shares = [imbalance ** (-rank / (classes - 1)) for rank in range(classes)]
    else:
        exponent = math.log(imbalance) / math.log(classes)
        shares = [(rank + 1) ** -exponent for rank in range(classes)]
    return [max(1, math.floor(largest * share + 1e-9)) for share in shares]
