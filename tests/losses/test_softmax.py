"""The softmax focal loss against torch's cross-entropy, its plain formula, and saturated logits."""

import math

import pytest
import torch
from torch.nn import functional as F

from yolo_focal.losses import LOSSES, SoftmaxFocalLoss, softmax_focal_loss


def operands(shape=(9, 4), dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(shape, generator=generator, dtype=dtype) * 3
    return x, torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)


@pytest.mark.parametrize("shape", [(9, 4), (2, 5, 7), (2, 3, 4, 6)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gamma_zero_is_cross_entropy(shape, reduction, smoothing):
    """Without focusing it is torch's cross-entropy, ignored places and class weights included."""
    x, y = operands(shape)
    y.view(-1)[::3] = 255
    weight = torch.rand(shape[1], dtype=torch.float64)
    kwargs = {"reduction": reduction, "ignore_index": 255}
    torch.testing.assert_close(
        softmax_focal_loss(x, y, gamma=0, weight=weight, **kwargs), F.cross_entropy(x, y, weight, **kwargs)
    )
    torch.testing.assert_close(
        softmax_focal_loss(x, y, gamma=0, label_smoothing=smoothing, **kwargs),
        F.cross_entropy(x, y, label_smoothing=smoothing, **kwargs),
    )


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_is_the_plain_formula(gamma):
    """It is alpha_y (1 - p_y)^gamma times cross-entropy."""
    x, y = operands()
    alpha = torch.tensor([0.1, 0.4, 0.7, 1.0], dtype=torch.float64)
    p = torch.softmax(x, 1).gather(1, y[:, None])[:, 0]
    torch.testing.assert_close(softmax_focal_loss(x, y, alpha, gamma, "none"), -alpha[y] * (1 - p) ** gamma * p.log())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradient_is_the_derivative(gamma, reduction):
    """The gradient passes gradcheck, with ignored places, smoothing, weights and alpha."""
    x, y = operands((3, 4, 2))
    y[0, 0] = -100
    criterion = SoftmaxFocalLoss(
        gamma, [0.2, 0.4, 0.6, 0.8], weight=torch.rand(4), label_smoothing=0.1, reduction=reduction
    )
    assert torch.autograd.gradcheck(lambda x: criterion(x, y), x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.5, 5.0])
def test_saturated_logits_stay_finite(gamma, dtype):
    """Confidently right, confidently wrong and infinite logits give no NaN and no infinite gradient."""
    sizes = [0.0, 10.0, 50.0, 88.0, 100.0, 1e4, math.inf]
    x = torch.tensor([[s, -s, 0.0] for s in sizes] + [[-s, s, 0.0] for s in sizes]).to(dtype).requires_grad_()
    value = softmax_focal_loss(x, torch.zeros(len(x), dtype=torch.int64), gamma=gamma, reduction="none")
    value.float().sum().backward()
    assert not value.isnan().any() and x.grad.isfinite().all()


def test_confident_predictions_keep_their_digits():
    """In float32 a loss of 1e-9 has the relative error of a rounding, where 1 - p_y would be 0."""
    x = torch.tensor([[20.0, 0.0, 1.0]])
    for gamma in (0.0, 0.5, 2.0):
        single, double = x.clone().requires_grad_(), x.double().requires_grad_()
        found = softmax_focal_loss(single, torch.tensor([0]), gamma=gamma)
        expected = softmax_focal_loss(double, torch.tensor([0]), gamma=gamma)
        torch.autograd.backward((found, expected))
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)
        torch.testing.assert_close(single.grad.double(), double.grad, rtol=1e-5, atol=0)


def test_nothing_to_judge_is_zero():
    """Where every place is ignored, or there is none, the loss and its gradient are 0, not NaN."""
    for x, y in ((torch.randn(3, 4), torch.full((3,), -100)), (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))):
        x.requires_grad_()
        loss = softmax_focal_loss(x, y)
        loss.backward()
        assert loss == 0 and not x.grad.any()


def test_two_classes_are_a_sigmoid():
    """On two classes it is the sigmoid focal loss of the difference of the logits."""
    x, y = operands((20, 2))
    sigmoid = LOSSES["focal"].make(gamma=2.0, alpha=None)(x[:, 1] - x[:, 0], y.double())
    torch.testing.assert_close(softmax_focal_loss(x, y, reduction="none"), sigmoid)
