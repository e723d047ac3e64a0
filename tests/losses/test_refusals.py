"""Hyperparameters that a loss cannot take: one clear line each, and none that is silently not learnt."""

import numpy as np
import pytest
import torch

from yolo_focal.errors import ConfigError
from yolo_focal.losses import LOSSES, SoftmaxFocalLoss, asymmetric_loss, sigmoid_focal_loss, softmax_focal_loss

LEARNT = torch.ones(3, requires_grad=True)
X, T = torch.zeros(2, 3), torch.zeros(2, 3)


@pytest.mark.parametrize("name", ["weight", "pos_weight", "alpha"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_criterion_refuses_what_is_to_be_learnt(loss, name):
    """It would get no gradient."""
    if (name == "alpha" and loss == "asl") or (name == "pos_weight" and loss == "softmax"):
        pytest.skip("not an argument of this loss")
    with pytest.raises(ConfigError, match=f"{name} requires a gradient, which this loss does not give"):
        LOSSES[loss].make(**{"gamma": 1.0, "alpha": None, name: torch.nn.Parameter(torch.full((3,), 0.5))})


@pytest.mark.parametrize("name", ["weight", "pos_weight", "alpha", "gamma"])
def test_a_function_refuses_what_is_to_be_learnt(name):
    """As it refuses targets that require a gradient."""
    value = torch.tensor(1.0, requires_grad=True) if name == "gamma" else LEARNT
    with pytest.raises(ConfigError, match=f"{name} requires a gradient"):
        sigmoid_focal_loss(X, T, **{name: value})


def test_softmax_refuses_a_weight_that_is_to_be_learnt():
    """In the function and in the criterion."""
    with pytest.raises(ConfigError, match="weight requires a gradient"):
        softmax_focal_loss(X, torch.tensor([0, 1]), weight=LEARNT)
    with pytest.raises(ConfigError, match="weight requires a gradient"):
        SoftmaxFocalLoss(weight=LEARNT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": None}, "gamma must be a finite number >= 0, got None"),
        ({"gamma": "two"}, "gamma must be a finite number >= 0, got 'two'"),
        ({"gamma": [1, 2]}, r"gamma must be a finite number >= 0, got \[1, 2\]"),
        ({"alpha": "auto"}, "alpha must be .*, got 'auto'"),
        ({"alpha": ["a", "b"]}, "alpha must be a tensor or numbers"),
        ({"weight": "w"}, "weight must be a tensor or numbers"),
        ({"pos_weight": {}}, "pos_weight must be a tensor or numbers"),
    ],
)
def test_what_is_no_number_is_one_clear_line(arguments, message):
    """Of functions and criteria alike."""
    with pytest.raises(ConfigError, match=message):
        sigmoid_focal_loss(X, T, **arguments)
    with pytest.raises(ConfigError, match=message):
        LOSSES["focal"].make(**{"gamma": 1.0, "alpha": None, **arguments})
    if "alpha" not in arguments and "gamma" not in arguments:
        with pytest.raises(ConfigError, match=message):
            asymmetric_loss(X, T, **arguments)


def test_arrays_and_lists_are_taken_as_tensors():
    """One number for each class, from numpy or written down."""
    x, t = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([[1.0, 0, 0.5]] * 2)
    expected = sigmoid_focal_loss(x, t, torch.tensor([0.1, 0.2, 0.3]), weight=torch.tensor([1.0, 2, 3]))
    for kind in (list, np.array, tuple):
        found = sigmoid_focal_loss(x, t, kind([0.1, 0.2, 0.3]), weight=kind([1.0, 2, 3]))
        torch.testing.assert_close(found, expected, check_dtype=False)
