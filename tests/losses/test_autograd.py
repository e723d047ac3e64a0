"""Gradients: exact, repeatable, scaled rightly, and refused where they do not exist."""

import pytest
import torch

from yolo_focal.errors import ConfigError, YoloFocalError
from yolo_focal.losses import LOSSES, FocalLoss, sigmoid_focal_loss

ELEMENTWISE = [name for name, row in LOSSES.items() if row.elementwise]


def operands(shape=(4, 6)):
    generator = torch.Generator().manual_seed(1)
    x = (torch.randn(shape, generator=generator, dtype=torch.float64) * 2).requires_grad_()
    t = torch.rand(shape, generator=generator, dtype=torch.float64)
    t[::2] = 0
    return x, t


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gradient_is_the_derivative(name, reduction, gamma):
    """The gradient passes gradcheck in float64, with per-class alpha, weight and pos_weight."""
    x, t = operands()
    criterion = LOSSES[name].make(
        gamma=gamma,
        alpha=[0.1, 0.3, 0.5, 0.7, 0.9, 1.0],
        weight=torch.rand(6, dtype=torch.float64),
        pos_weight=torch.rand(6, dtype=torch.float64) + 1,
        reduction=reduction,
    )
    criterion.eval()  # in training, the equalized focal loss remembers
    assert torch.autograd.gradcheck(criterion, (x, t))


@pytest.mark.parametrize("name", LOSSES)
def test_second_derivative_is_refused(name):
    """A second derivative, as a gradient penalty takes it, is refused instead of being taken for 0."""
    x, t = operands()
    targets = t if LOSSES[name].elementwise else torch.tensor([0, 1, 5, 2])
    value = LOSSES[name].make(gamma=2.0, alpha=0.25, reduction="sum")(x, targets)
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    with pytest.raises(YoloFocalError, match=r"second derivative.*leave create_graph out"):
        (value + gradient.norm()).backward()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_second_backward_over_one_graph_gives_the_same(reduction):
    """With retain_graph, every backward pass adds the same gradient, whatever the first one did with its memory."""
    x, t = operands()
    loss = sigmoid_focal_loss(x, t, reduction=reduction) * 3
    loss.backward(retain_graph=True)
    first = x.grad.clone()
    loss.backward(retain_graph=True)
    loss.backward()
    torch.testing.assert_close(x.grad, 3 * first)


def test_inputs_are_never_changed():
    """Logits, targets, weights and alpha are bit for bit what they were."""
    x, t = torch.randn(300, 80), torch.rand(300, 80) * (torch.rand(300, 80) > 0.98)
    alpha, weight = torch.rand(80), torch.rand(80)
    before = [tensor.clone() for tensor in (x, t, alpha, weight)]
    for name in ELEMENTWISE:
        x.requires_grad_(True)
        LOSSES[name].make(gamma=1.5, alpha=alpha, weight=weight, reduction="sum")(x, t).backward()
    assert all(torch.equal(now.detach(), then) for now, then in zip((x, t, alpha, weight), before, strict=True))


def test_same_input_same_result():
    """Two runs agree bit for bit."""
    x, t = torch.randn(500, 80), torch.rand(500, 80) * (torch.rand(500, 80) > 0.98)
    results = []
    for _ in range(2):
        logits = x.clone().requires_grad_()
        value = sigmoid_focal_loss(logits, t, reduction="sum")
        value.backward()
        results.append((value, logits.grad))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_without_gradient(name, mode):
    """Under no_grad and inference_mode the value is the same and nothing is recorded."""
    x, t = operands()
    criterion = LOSSES[name].make(gamma=1.5, alpha=0.25, reduction="sum").eval()
    expected = criterion(x, t).detach()
    with mode():
        found = criterion(x, t)
    assert torch.equal(found, expected) and not found.requires_grad


def test_result_may_be_changed_in_place():
    """The scalar is a tensor of its own: multiplying it in place scales the gradient and breaks nothing."""
    x, t = operands()
    y = x.detach().clone().requires_grad_()
    loss = FocalLoss(reduction="sum")(x, t)
    loss *= 4
    loss.backward()
    (FocalLoss(reduction="sum")(y, t) * 4).backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_targets_that_require_a_gradient_are_refused():
    """No gradient flows into the targets, and the error says what to do."""
    x, t = operands()
    with pytest.raises(ConfigError, match=r"targets require a gradient.*call \.detach\(\)"):
        sigmoid_focal_loss(x, t.requires_grad_())


def test_training_step_under_autocast():
    """Under bfloat16 autocast a layer gets finite gradients, and the loss is float32."""
    layer = torch.nn.Linear(8, 5)
    features, t = torch.randn(7, 8), torch.zeros(7, 5)
    with torch.autocast("cpu", torch.bfloat16):
        logits = layer(features)
        loss = FocalLoss(reduction="sum")(logits, t.to(logits.dtype))
    loss.backward()
    assert logits.dtype == torch.bfloat16 and loss.dtype == torch.float32 and loss.dim() == 0
    assert layer.weight.grad.isfinite().all() and layer.weight.grad.abs().sum() > 0


def test_criterion_works_inside_a_compiled_function():
    """A function that calls a criterion can be compiled, here without code generation."""
    x, t = operands()
    criterion = FocalLoss(reduction="sum")
    compiled = torch.compile(lambda x, t: criterion(x * 2, t), backend="eager")
    y = x.detach().clone().requires_grad_()
    compiled(x, t).backward()
    criterion(y * 2, t).backward()
    torch.testing.assert_close(x.grad, y.grad)
