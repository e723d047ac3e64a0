"""Each loss equals its definition, written plainly in float64, and the others where they meet."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from yolo_focal.losses import (
    LOSSES,
    asymmetric_loss,
    class_balanced_weights,
    matchability_aware_loss,
    poly_loss,
    quality_focal_loss,
    sigmoid_focal_loss,
    varifocal_loss,
)

GAMMAS = (0.0, 0.25, 1.0, 1.5, 2.0, 5.0)


def batch(seed: int = 0, shape: tuple[int, ...] = (6, 40), density: float = 0.3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64) * 3
    t = torch.rand(shape, generator=generator, dtype=torch.float64)
    return x, t * (torch.rand(shape, generator=generator) < density)


def bce(x: Tensor, t: Tensor, pos_weight: float | Tensor = 1.0) -> Tensor:
    return -pos_weight * t * F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_is_yolov5s_formula(gamma):
    """Focal loss is alpha_t (1 - p_t)^gamma BCE, with p_t and alpha_t interpolated by a soft target."""
    x, t = batch()
    p = torch.sigmoid(x)
    p_t = t * p + (1 - t) * (1 - p)
    expected = (t * 0.3 + (1 - t) * 0.7) * (1 - p_t) ** gamma * bce(x, t)
    torch.testing.assert_close(sigmoid_focal_loss(x, t, 0.3, gamma), expected)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_quality_focal_is_the_papers_formula(gamma):
    """Quality focal loss is |t - p|^gamma BCE."""
    x, t = batch()
    torch.testing.assert_close(quality_focal_loss(x, t, gamma=gamma), (t - torch.sigmoid(x)).abs() ** gamma * bce(x, t))


@pytest.mark.parametrize("gamma", GAMMAS)
def test_varifocal_is_the_papers_formula(gamma):
    """Varifocal loss weights BCE by t on positives and by alpha p^gamma on negatives."""
    x, t = batch()
    weight = torch.where(t > 0, t, 0.6 * torch.sigmoid(x) ** gamma)
    torch.testing.assert_close(varifocal_loss(x, t, 0.6, gamma), weight * bce(x, t))


@pytest.mark.parametrize("gamma", GAMMAS)
def test_matchability_is_the_papers_formula(gamma):
    """Matchability-aware loss is BCE against t^gamma on positives and alpha p^gamma BCE on negatives."""
    x, t = batch()
    positives, negatives = bce(x, t**gamma), 0.6 * torch.sigmoid(x) ** gamma * bce(x, torch.zeros_like(t))
    torch.testing.assert_close(matchability_aware_loss(x, t, 0.6, gamma), torch.where(t > 0, positives, negatives))


@pytest.mark.parametrize("clip", [0.0, 0.05, 0.7])
@pytest.mark.parametrize(("gamma_pos", "gamma_neg"), [(0.0, 4.0), (1.0, 2.0), (0.5, 0.25)])
def test_asymmetric_is_the_papers_formula(gamma_pos, gamma_neg, clip):
    """Asymmetric loss focuses positives by gamma_pos, and by gamma_neg negatives shifted down by clip."""
    x, t = batch()
    p = torch.sigmoid(x)
    shifted = (p - clip).clamp_min(0)
    entropy = -t * torch.log(p) - (1 - t) * torch.log(1 - shifted)
    miss = t * (1 - p) + (1 - t) * shifted
    expected = torch.where(entropy > 0, miss ** (gamma_pos * t + gamma_neg * (1 - t)) * entropy, 0.0)
    torch.testing.assert_close(asymmetric_loss(x, t, gamma_pos, gamma_neg, clip), expected)


@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 2.0])
def test_poly_adds_one_term_to_focal(epsilon):
    """Poly-1 focal loss is focal plus alpha_t epsilon (1 - p_t)^(gamma + 1)."""
    x, t = batch()
    miss = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)
    term = (t * 0.3 + (1 - t) * 0.7) * epsilon * miss**2.5
    torch.testing.assert_close(poly_loss(x, t, 0.3, 1.5, epsilon), sigmoid_focal_loss(x, t, 0.3, 1.5) + term)


@pytest.mark.parametrize("name", ["bce", "focal", "qfl"])
def test_gamma_zero_is_binary_cross_entropy(name):
    """Without focusing and balance, the loss is torch's binary cross-entropy, pos_weight and weight included."""
    x, t = batch()
    pos_weight, weight = torch.rand(40, dtype=torch.float64) + 0.5, torch.rand(6, 1, dtype=torch.float64)
    criterion = LOSSES[name].make(gamma=0.0, alpha=None, weight=weight, pos_weight=pos_weight)
    torch.testing.assert_close(
        criterion(x, t),
        F.binary_cross_entropy_with_logits(x, t, weight=weight, pos_weight=pos_weight, reduction="none"),
    )


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name].elementwise])
def test_weight_scales_value_and_gradient(name):
    """`weight` multiplies the loss and its gradient, per class or per element."""
    x, t = batch()
    for weight in (torch.rand(40, dtype=torch.float64), torch.rand(6, 40, dtype=torch.float64)):
        plain, weighted = x.clone().requires_grad_(), x.clone().requires_grad_()
        expected = LOSSES[name].make(gamma=1.5, alpha=0.25)(plain, t) * weight
        found = LOSSES[name].make(gamma=1.5, alpha=0.25, weight=weight, reduction="sum")(weighted, t)
        expected.sum().backward()
        found.backward()
        torch.testing.assert_close(found, expected.sum())
        torch.testing.assert_close(weighted.grad, plain.grad)


@pytest.mark.parametrize("name", ["focal", "qfl"])
def test_pos_weight_multiplies_the_positive_term(name):
    """pos_weight enters the cross-entropy as in BCEWithLogitsLoss, and the focusing factor not at all."""
    x, t = batch()
    weighted = LOSSES[name].make(gamma=2.0, alpha=None, pos_weight=torch.tensor([3.0]))(x, t)
    factor = LOSSES[name].make(gamma=2.0, alpha=None)(x, t) / bce(x, t)
    torch.testing.assert_close(weighted, factor * bce(x, t, 3.0))


@given(st.floats(0, 5), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_hard_targets_make_focal_and_quality_focal_one(gamma, seed):
    """For targets 0 and 1, |t - p| is 1 - p_t: the two losses and their gradients agree."""
    x, t = batch(seed)
    t = t.round()
    results = []
    for loss in (sigmoid_focal_loss, quality_focal_loss):
        logits = x.clone().requires_grad_()
        value = loss(logits, t, 0.25, gamma)
        value.sum().backward()
        results.append((value, logits.grad))
    torch.testing.assert_close(results[0], results[1])


def test_focal_agrees_with_torchvision_where_that_is_exact():
    """In float64 and for moderate logits torchvision's values and gradients are ours."""
    ops = pytest.importorskip("torchvision.ops")
    x, t = batch()
    t = t.round()
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    for reduction in ("none", "mean", "sum"):
        torch.testing.assert_close(
            sigmoid_focal_loss(ours, t, 0.25, 2.0, reduction), ops.sigmoid_focal_loss(theirs, t, 0.25, 2.0, reduction)
        )
    sigmoid_focal_loss(ours, t, reduction="sum").backward()
    ops.sigmoid_focal_loss(theirs, t, reduction="sum").backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("alpha", [None, -1, -0.5])
def test_alpha_off_is_weight_one(alpha):
    """None and negative numbers switch the balance off: positives and negatives weigh 1."""
    x, t = batch()
    torch.testing.assert_close(sigmoid_focal_loss(x, t, alpha, 2.0), 2 * sigmoid_focal_loss(x, t, 0.5, 2.0))


@pytest.mark.parametrize("name", ["focal", "qfl", "vfl", "mal", "poly"])
def test_alpha_per_class_acts_column_by_column(name):
    """With one alpha for each class, every column is the loss with that class's number."""
    x, t = batch(shape=(4, 3, 5))
    alphas = [0.0, 0.25, 0.5, 0.75, 1.0]
    together = LOSSES[name].make(gamma=1.5, alpha=alphas)(x, t)
    for column, alpha in enumerate(alphas):
        alone = LOSSES[name].make(gamma=1.5, alpha=alpha)(x, t)
        torch.testing.assert_close(together[..., column], alone[..., column])


def minimiser(name: str, t: float, **kwargs) -> float:
    """Probability at which the loss for a soft target is least, by a fine search."""
    x = torch.linspace(-8, 8, 160001, dtype=torch.float64)
    values = LOSSES[name].make(alpha=None, **kwargs)(x, torch.full_like(x, t))
    return torch.sigmoid(x[values.argmin()]).item()


@pytest.mark.parametrize("t", [0.1, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("gamma", [0.5, 1.5, 2.0])
@pytest.mark.parametrize("name", ["bce", "qfl", "vfl"])
def test_minimum_meets_the_soft_target(name, gamma, t):
    """BCE, quality focal and varifocal loss are least at p = t."""
    assert math.isclose(minimiser(name, t, gamma=gamma), t, abs_tol=1e-4)


@pytest.mark.parametrize(
    ("gamma", "t", "p"), [(1.5, 0.3, 0.154), (1.5, 0.5, 0.5), (1.5, 0.7, 0.846), (2.0, 0.6, 0.724)]
)
def test_focal_minimum_is_further_from_one_half(gamma, t, p):
    """Classic focal loss does not meet a soft target: its minimum lies where the docstring says."""
    assert math.isclose(minimiser("focal", t, gamma=gamma), p, abs_tol=5e-4)
    assert abs(minimiser("poly", t, gamma=gamma) - 0.5) >= abs(t - 0.5) - 1e-4


@pytest.mark.parametrize("t", [0.3, 0.6, 0.9])
def test_matchability_minimum_is_at_t_to_the_gamma(t):
    """Matchability-aware loss is least at p = t^gamma."""
    assert math.isclose(minimiser("mal", t, gamma=1.5), t**1.5, abs_tol=1e-4)


@pytest.mark.parametrize(("t", "p"), [(0.3, 0.161), (0.7, 0.809)])
def test_asymmetric_minimum_is_not_at_the_target(t, p):
    """Asymmetric loss does not meet a soft target: its minimum lies where the docstring says."""
    assert math.isclose(minimiser("asl", t, gamma=2.0), p, abs_tol=5e-4)


def test_class_balanced_weights_follow_the_effective_number():
    """Weights are inverse to (1 - beta^n) / (1 - beta), have mean 1, and an unseen class counts as seen once."""
    counts, beta = [1, 10, 1000, 0], 0.99
    effective = [(1 - beta ** max(n, 1)) / (1 - beta) for n in counts]
    weights = class_balanced_weights(torch.tensor(counts), beta)
    assert math.isclose(weights.mean().item(), 1, rel_tol=1e-6)
    torch.testing.assert_close(weights * torch.tensor(effective), (weights * torch.tensor(effective))[:1].expand(4))


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20), st.floats(0, 0.9999))
@settings(max_examples=50, deadline=None)
def test_class_balanced_weights_never_favour_the_frequent(counts, beta):
    """A rarer class has at least the weight of a more frequent one."""
    weights = class_balanced_weights(torch.tensor(counts), beta)
    order = torch.tensor(counts).argsort()
    assert (weights[order].diff() <= 1e-6 * weights.max()).all()


@pytest.mark.parametrize("name", ["vfl", "mal", "poly", "asl", "efl"])
def test_pos_weight_acts_on_the_positive_term_of_every_loss(name):
    """The loss is linear in it, grows with it where the target is above 0, and does not feel it elsewhere."""
    x = torch.linspace(-4, 4, 40, dtype=torch.float64)
    for t in (0.0, 0.6, 1.0):
        one, three, five = (
            LOSSES[name].make(gamma=1.5, alpha=0.25, pos_weight=torch.tensor([w]))(x, torch.full_like(x, t))
            for w in (1.0, 3.0, 5.0)
        )
        torch.testing.assert_close(five - one, 2 * (three - one))
        assert (three > one).all() if t else torch.equal(three, one)
