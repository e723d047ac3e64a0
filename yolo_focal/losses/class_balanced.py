"""Class weights by the effective number of samples."""

import math

import torch
from torch import Tensor

from yolo_focal.errors import ConfigError

__all__ = ["class_balanced_weights"]


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
    numbers = counts.double()
    wrong = numbers[~((numbers >= 0) & numbers.isfinite())]
    if wrong.numel():
        raise ConfigError(f"class counts must be finite numbers >= 0, got {wrong[0].item():g}")
    if beta == 0:
        return torch.ones(len(numbers), device=counts.device)
    # 1 - beta^n without cancellation for beta near 1.
    inverse = -1 / torch.expm1(numbers.clamp_min(1) * math.log(beta))
    return (inverse * (len(numbers) / inverse.sum())).float()
