"""Class weights from the number of objects of each class."""

import math

import torch
from torch import Tensor

from yolo_focal.errors import ConfigError

__all__ = ["class_balanced_weights", "object_normalised_weights"]

LARGEST_RATIO = 5.0  # of the largest weight to the smallest


def object_normalised_weights(counts: Tensor, power: float) -> Tensor:
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
        ConfigError: power is outside [0, 1], a count is negative or not finite, or no class has an object.
    """
    if not 0 <= power <= 1:
        raise ConfigError(f"power must be in [0, 1], got {power}")
    numbers = _checked_counts(counts)
    if not numbers.any():
        raise ConfigError("class counts must have an object of some class, got none")
    rarity = (numbers.max() / numbers).pow(power).clamp_max(LARGEST_RATIO)
    rarity = torch.where(numbers > 0, rarity, 1.0)
    return (rarity * (numbers.sum() / (numbers * rarity).sum())).float()


def _checked_counts(counts: Tensor) -> Tensor:
    numbers = counts.double()
    wrong = numbers[~((numbers >= 0) & numbers.isfinite())]
    if wrong.numel():
        raise ConfigError(f"class counts must be finite numbers >= 0, got {wrong[0].item():g}")
    return numbers


def class_balanced_weights(counts: Tensor, beta: float = 0.999) -> Tensor:
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
        ConfigError: beta is outside [0, 1), or a count is negative or not finite.

    Source: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, 2019.
    """
    if not 0 <= beta < 1:
        raise ConfigError(f"beta must be in [0, 1), got {beta}")
    numbers = _checked_counts(counts)
    if beta == 0:
        return torch.ones(len(numbers), device=counts.device)
    # 1 - beta^n without cancellation for beta near 1.
    inverse = -1 / torch.expm1(numbers.clamp_min(1) * math.log(beta))
    return (inverse * (len(numbers) / inverse.sum())).float()
