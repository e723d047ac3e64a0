"""Class weights from the number of objects of each class."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from yolo_focal.errors import ConfigError
from yolo_focal.losses.module import as_fraction, as_number
from yolo_focal.losses.run import as_factor

__all__ = ["class_balanced_weights", "object_normalised_weights"]

LARGEST_RATIO = 5.0  # of the largest weight to the smallest


def object_normalised_weights(counts: Tensor | Sequence[int], power: float) -> Tensor:
    """One weight for each class, n_c^-power, such that the mean weight of an object is 1.

    w_c = n_c^-q sum(n) / sum(n^(1-q)). Weights whose mean over classes is 1 instead (Ultralytics' `cls_pw`) have a mean
    over objects far below 1 where one class has most of them, which cuts the class loss as a whole.

    Args:
        counts: n_c >= 0, shape (classes,): objects of each class in the training set. A class without any has the
            smallest weight.
        power: q in [0, 1]; 0 gives equal weights.

    Returns:
        Shape (classes,), float32; the largest weight is at most 5 times the smallest.

    Raises:
        ConfigError: power is outside [0, 1], counts are no such numbers, or no class has an object.
    """
    power = as_fraction("power", power)
    numbers = _checked_counts(counts)
    if not numbers.any():
        raise ConfigError("class counts must have an object of some class, got none")
    rarity = (numbers.max() / numbers).pow(power).clamp_max(LARGEST_RATIO)
    rarity = torch.where(numbers > 0, rarity, 1.0)
    return (rarity * (numbers.sum() / (numbers * rarity).sum())).float()


def _checked_counts(counts: Tensor | Sequence[int]) -> Tensor:
    numbers = as_factor("class counts", counts)
    if numbers is None or numbers.dim() != 1:
        found = None if numbers is None else f"shape {tuple(numbers.shape)}"
        raise ConfigError(f"class counts must be one number for each class, got {found}")
    numbers = numbers.double()
    wrong = numbers[~((numbers >= 0) & numbers.isfinite())]
    if wrong.numel():
        raise ConfigError(f"class counts must be finite numbers >= 0, got {wrong[0].item():g}")
    return numbers


def class_balanced_weights(counts: Tensor | Sequence[int], beta: float = 0.999) -> Tensor:
    """One weight for each class, inverse to its effective number of samples, with mean 1.

    w_c is proportional to (1 - beta) / (1 - beta^n_c). beta = 0 gives equal weights; beta -> 1 inverse frequencies.
    Give it as the `weight` of any loss: it scales positives and negatives of a class alike.

    Args:
        counts: n_c >= 0, shape (classes,): objects of each class in the training set. A class without any counts as
            having one, the most that can be said of it.
        beta: in [0, 1).

    Returns:
        Shape (classes,), float32.

    Raises:
        ConfigError: beta is outside [0, 1), or counts are no such numbers.

    Source: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, 2019.
    """
    beta = as_number("beta", beta, lambda number: 0 <= number < 1, "in [0, 1)")
    numbers = _checked_counts(counts)
    if beta == 0:
        return torch.ones(len(numbers), device=numbers.device)
    # 1 - beta^n without cancellation for beta near 1.
    inverse = -1 / torch.expm1(numbers.clamp_min(1) * math.log(beta))
    return (inverse * (len(numbers) / inverse.sum())).float()
