"""Every message: the value, what was expected, and the remedy where it is not plain."""

import math

import numpy as np
import pytest
import torch

from yolo_focal.errors import ConfigError
from yolo_focal.losses import (
    LOSSES,
    AsymmetricLoss,
    FocalLoss,
    MultiBoxLoss,
    PolyLoss,
    QualityFocalLoss,
    SoftmaxFocalLoss,
    asymmetric_loss,
    class_balanced_weights,
    equalized_focal_loss,
    object_normalised_weights,
    poly_loss,
    quality_focal_loss,
    sigmoid_focal_loss,
    softmax_focal_loss,
    varifocal_loss,
)

X, T = torch.zeros(2, 3), torch.zeros(2, 3)
LABELS = torch.tensor([0, 2])
ANCHORS = torch.zeros(1, 2, 4), torch.zeros(1, 2, 3), torch.zeros(1, 2, 4)


@pytest.mark.parametrize("loss", [sigmoid_focal_loss, quality_focal_loss, varifocal_loss])
@pytest.mark.parametrize("gamma", [-1, -0.001, math.nan, math.inf])
def test_gamma_out_of_range(loss, gamma):
    """A gamma that is negative or not finite is named."""
    with pytest.raises(ConfigError, match=rf"gamma must be a finite number >= 0, got {gamma}"):
        loss(X, T, gamma=gamma)


@pytest.mark.parametrize("alpha", [1.5, math.nan, math.inf])
def test_alpha_out_of_range(alpha):
    """An alpha above 1 or NaN is named, with the way to switch it off."""
    with pytest.raises(ConfigError, match=rf"alpha must be in \[0, 1\], or negative or None.*got {alpha}"):
        FocalLoss(alpha=alpha)


@pytest.mark.parametrize("alphas", [[0.1, 1.5, 0.2], [0.1, -1.0, 0.2], torch.tensor([math.nan, 0.0, 1.0])])
def test_alpha_of_a_class_out_of_range(alphas):
    """Per-class numbers must all be in range: none of them switches alpha off."""
    with pytest.raises(ConfigError, match=r"alpha for each class must be in \[0, 1\], got (1\.5|-1|nan)"):
        sigmoid_focal_loss(X, T, alphas)


CALLS = {
    "alpha of shape (2,) does not broadcast against logits of shape (2, 3); give one number, or one for each class": (
        lambda: sigmoid_focal_loss(X, T, [0.1, 0.2])
    ),
    "weight of shape (4,) does not broadcast": lambda: quality_focal_loss(X, T, weight=torch.ones(4)),
    "targets must have the shape of the logits, (2, 3), got (2, 1)": lambda: sigmoid_focal_loss(X, T[:, :1]),
    "logits must be floating point, got torch.int64; call .float()": lambda: sigmoid_focal_loss(X.long(), T),
    "reduction must be one of none, mean, sum, got 'avg'": lambda: sigmoid_focal_loss(X, T, reduction="avg"),
    "reduction must be one of none, mean, sum, got 'all'": lambda: QualityFocalLoss(reduction="all"),
    "reduction must be one of none, mean, sum, got ''": lambda: SoftmaxFocalLoss(reduction=""),
    "loss_fcn must be an nn.BCEWithLogitsLoss, got 2.0; gamma is the next argument": lambda: QualityFocalLoss(2.0),
    "gamma_neg must be a finite number >= 0, got -1": lambda: AsymmetricLoss(gamma_neg=-1),
    "gamma_pos must be a finite number >= 0, got -2": lambda: asymmetric_loss(X, T, gamma_pos=-2),
    "clip must be in [0, 1], got 1.5": lambda: asymmetric_loss(X, T, clip=1.5),
    "epsilon must be a finite number >= -1, got -3": lambda: poly_loss(X, T, epsilon=-3),
    "label_smoothing must be in [0, 1], got 2": lambda: softmax_focal_loss(X, LABELS, label_smoothing=2),
    "logits (N, C, ...), C >= 1, and class indices (N, ...), got (2, 3) and (2, 3)": lambda: softmax_focal_loss(
        X, T.long()
    ),
    "must be integer class indices, got torch.float32": lambda: softmax_focal_loss(X, LABELS.float()),
    "class index 3 is outside [0, 3) and is not ignore_index -100": (
        lambda: softmax_focal_loss(X, torch.tensor([0, 3]))
    ),
    "C >= 1, and class indices (N, ...), got (2, 0) and (2,)": lambda: softmax_focal_loss(X[:, :0], LABELS),
    "ignore_index must be a whole number, got None": lambda: softmax_focal_loss(X, LABELS, ignore_index=None),
    "ignore_index must be a whole number, got 'x'": lambda: SoftmaxFocalLoss(ignore_index="x"),
    "alpha has 2 numbers, but the logits have 3 classes": lambda: softmax_focal_loss(X, LABELS, [0.1, 0.2]),
    "weight has 4 numbers, but the logits have 3 classes": (
        lambda: softmax_focal_loss(X, LABELS, weight=torch.ones(4))
    ),
    "class_loss must be one of hard_negative, focal, got 'ohem'": lambda: MultiBoxLoss("ohem"),
    "negative_ratio must be a finite number >= 0, got -3": lambda: MultiBoxLoss(negative_ratio=-3),
    "MultiBoxLoss takes offsets (images, anchors, 4)": lambda: MultiBoxLoss()(X, X, X, LABELS),
    "class index 3 is outside [0, 3)": lambda: MultiBoxLoss()(*ANCHORS, torch.tensor([[0, 3]])),
    "class index -100 is outside [0, 3)": lambda: MultiBoxLoss("focal")(*ANCHORS, torch.tensor([[0, -100]])),
    "class targets must be integer class indices, got torch.float32": (
        lambda: MultiBoxLoss()(*ANCHORS, torch.zeros(1, 2))
    ),
    "epsilon must be a finite number >= -1, got 'x'": lambda: PolyLoss(epsilon="x"),
    "epsilon must be a finite number >= -1, got tensor([1., 2.])": (
        lambda: poly_loss(X, T, epsilon=torch.tensor([1.0, 2.0]))
    ),
    "ratio has 2 numbers, but the logits have 3 classes": lambda: equalized_focal_loss(X, T, [0.5, 0.5]),
    "beta must be in [0, 1), got 'x'": lambda: class_balanced_weights(LABELS, beta="x"),
    "power must be in [0, 1], got None": lambda: object_normalised_weights(LABELS, None),
    "class counts must be one number for each class, got shape ()": lambda: class_balanced_weights(torch.tensor(3)),
    "class counts must be one number for each class, got None": lambda: object_normalised_weights(None, 0.5),
    "class counts must be a tensor or numbers, one or one for each class, got 'abc'": (
        lambda: class_balanced_weights("abc")
    ),
    "beta must be in [0, 1), got 1": lambda: class_balanced_weights(LABELS, beta=1),
    "class counts must be finite numbers >= 0, got -5": lambda: class_balanced_weights(torch.tensor([1, -5])),
}


@pytest.mark.parametrize("message", CALLS)
def test_message(message):
    """Each wrong call raises ConfigError with its message on one line."""
    with pytest.raises(ConfigError) as caught:
        CALLS[message]()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_class_counts_may_be_a_list():
    """As those of a spreadsheet are."""
    assert torch.equal(class_balanced_weights([3, 40]), class_balanced_weights(torch.tensor([3, 40])))
    assert torch.equal(object_normalised_weights([3, 40], 0.5), object_normalised_weights(torch.tensor([3, 40]), 0.5))


@pytest.mark.parametrize("off", [torch.tensor(-1.0), np.float64(-1)])
def test_one_number_switches_alpha_off_in_whatever_wraps_it(off):
    """A tensor without dimensions is a number, not numbers of classes."""
    assert torch.equal(sigmoid_focal_loss(X, T, off), sigmoid_focal_loss(X, T, None))


@pytest.mark.parametrize("name", LOSSES)
def test_rows_check_too(name):
    """A row of the table refuses what its function refuses."""
    if LOSSES[name].uses_gamma:
        with pytest.raises(ConfigError, match=r"must be a finite number >= 0, got -1"):
            LOSSES[name].make(gamma=-1, alpha=None)
