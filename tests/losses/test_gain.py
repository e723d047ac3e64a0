"""gain="auto": a loss gets the total absolute gradient of the cross-entropy that it replaces."""

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from yolo_focal.errors import ConfigError
from yolo_focal.losses import LOSSES, FocalLoss, QualityFocalLoss, SoftmaxFocalLoss

ELEMENTWISE = [name for name, row in LOSSES.items() if row.elementwise]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture(autouse=True)
def default_backend(monkeypatch):
    """Each test starts from, and leaves behind, the backend that was set."""
    monkeypatch.setenv("YOLO_FOCAL_BACKEND", "auto")


def operands(seed=0, shape=(4, 300, 6), density=0.05, dtype=torch.float32):
    """Logits of a detector that has learnt a little, and sparse soft targets."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator) * 3 - 3
    t = torch.rand(shape, generator=generator) * (torch.rand(shape, generator=generator) < density)
    return x.to(dtype), t.to(dtype)


def loss_of(name, gain, gamma=1.5, alpha=0.25, reduction="sum", **terms):
    """A row of LOSSES with a gain."""
    loss = LOSSES[name].make(gamma=gamma, alpha=alpha, reduction=reduction, **terms)
    loss.gain = gain
    return loss


def gradient(loss, x, t):
    """Derivative of the reduced loss by the logits."""
    logits = x.detach().clone().requires_grad_()
    loss(logits, t).sum().backward()
    return logits.grad


def bce_gradient(x, t, weight=1.0, pos_weight=1.0):
    """In float64 and plainly: weight ((1 - t) p - pos_weight t (1 - p))."""
    x, t = x.double(), t.double()
    p = torch.sigmoid(x)
    return weight * ((1 - t) * p - pos_weight * t * (1 - p))


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_total_absolute_gradient_is_that_of_the_cross_entropy(name, reduction):
    """For every loss, with class weights and a weight of positives."""
    x, t = operands()
    weight, pos_weight = torch.linspace(0.5, 2, 6), torch.tensor(1.7)
    loss = loss_of(name, "auto", weight=weight, pos_weight=pos_weight, reduction=reduction)
    found = gradient(loss, x, t).double().abs().sum()
    expected = bce_gradient(x, t, weight.double(), 1.7).abs().sum() / (x.numel() if reduction == "mean" else 1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


@settings(deadline=None, max_examples=40)
@given(
    gamma=st.floats(0, 5), alpha=st.floats(0.05, 0.95), seed=st.integers(0, 99), density=st.sampled_from([0, 0.02, 1])
)
def test_it_is_so_for_every_gamma_and_alpha(gamma, alpha, seed, density):
    """Also without a target, and with nothing but targets."""
    x, t = operands(seed, (50, 3), density)
    found = gradient(loss_of("focal", "auto", gamma=gamma, alpha=alpha), x, t).double().abs().sum()
    torch.testing.assert_close(found, bce_gradient(x, t).abs().sum(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", ["bce", "focal", "qfl"])
@pytest.mark.parametrize("density", [0.02, 1.0])
def test_gamma_0_without_alpha_is_the_cross_entropy_to_the_bit(name, density):
    """The gain is exactly 1."""
    x, t = operands(density=density)
    loss = loss_of(name, "auto", gamma=0.0, alpha=None)
    assert loss.measured(x, t).gain == 1
    assert torch.equal(gradient(loss, x, t), gradient(loss_of(name, 1.0, gamma=0.0, alpha=None), x, t))


@settings(deadline=None, max_examples=25)
@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_scaling_the_loss_changes_nothing(factor, seed):
    """Alpha = 1/2 halves the focal loss; the gain takes that back, and so it does for any factor."""
    x, t = operands(seed, (60, 4))
    torch.testing.assert_close(
        gradient(loss_of("focal", "auto", alpha=0.5), x, t), gradient(loss_of("focal", "auto", alpha=None), x, t)
    )
    measured = loss_of("focal", "auto").measured(x, t)
    scaled = measured._replace(own=measured.own * factor)
    torch.testing.assert_close(scaled.gain * factor, measured.gain)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("case", ["empty", "no gradient", "saturated", "infinite"])
def test_where_there_is_nothing_to_match_the_gain_is_1(name, case):
    """Empty batches and gradients of 0 never give NaN."""
    x = {
        "empty": torch.zeros(0, 3),
        "no gradient": torch.full((5, 3), -1e4),
        "saturated": torch.full((5, 3), -200.0),
        "infinite": torch.full((5, 3), -torch.inf),
    }[case]
    loss = loss_of(name, "auto")
    assert loss.measured(x, torch.zeros_like(x)).gain == 1
    assert torch.isfinite(loss(x, torch.zeros_like(x)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_precision_logits_have_the_gain_of_their_values(dtype):
    """The sums are made in float32 at least."""
    x, t = operands(dtype=dtype)
    found = loss_of("focal", "auto").measured(x, t).gain
    expected = loss_of("focal", "auto").measured(x.double(), t.double()).gain
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=0)
    assert found.dtype == torch.promote_types(dtype, torch.float32)


def test_a_gain_beyond_half_precision_gives_numbers():
    """Hardly any loss is left of sure negatives, so that the gain is above what float16 holds."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(64, 80, generator=generator) - 10).half()
    loss = FocalLoss(gamma=2.0, gain="auto", reduction="none")
    assert loss.measured(x, torch.zeros_like(x)).gain > torch.finfo(torch.float16).max
    found = loss(x, torch.zeros_like(x))
    assert found.dtype == torch.float16 and torch.isfinite(found).all()


def test_it_is_deterministic_and_the_same_without_a_gradient():
    """A validation loss follows the same rule; the same input gives the same bits."""
    x, t = operands()
    loss = loss_of("vfl", "auto")
    with torch.inference_mode():
        validated = loss(x, t)
    assert validated == loss(x, t) == loss(x.clone().requires_grad_(), t)


@pytest.mark.parametrize("name", ["bce", "focal", "qfl", "vfl", "asl"])
def test_every_backend_finds_the_same_gain(name, monkeypatch):
    """Sparse, dense and compiled."""
    from yolo_focal.losses import chunked, set_backend

    x, t = operands()
    weight = torch.linspace(0.5, 2, 6)
    sparse = loss_of(name, "auto", weight=weight).measured(x, t)
    monkeypatch.setattr(chunked, "_places_with_targets", lambda *_: None)
    torch.testing.assert_close(loss_of(name, "auto", weight=weight).measured(x, t), sparse)
    set_backend("compile")
    torch.testing.assert_close(loss_of(name, "auto", weight=weight).measured(x, t), sparse)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_matches_the_cross_entropy_over_classes(smoothing):
    """Labels that are ignored do not count."""
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.arange(40) % 5
    y[::7] = -100
    weight = torch.linspace(0.5, 2, 5, dtype=torch.float64)
    loss = SoftmaxFocalLoss(gamma=2.0, weight=weight, label_smoothing=smoothing, reduction="sum", gain="auto")
    logits = x.clone().requires_grad_()
    F.cross_entropy(logits, y, weight, label_smoothing=smoothing, reduction="sum").backward()
    torch.testing.assert_close(gradient(loss, x, y).abs().sum(), logits.grad.abs().sum())


def test_a_number_is_a_factor():
    """gain=4 is four times the loss; the default is 1, the published scale."""
    x, t = operands()
    assert FocalLoss().gain == 1
    four = FocalLoss()
    four.gain = 4.0
    torch.testing.assert_close(four(x, t), 4 * FocalLoss()(x, t))


def test_copies_keep_the_gain():
    """A criterion is copied into the averaged model, and pickled on its way to another process."""
    loss = QualityFocalLoss(gain="auto")
    assert copy.deepcopy(loss).gain == pickle.loads(pickle.dumps(loss)).gain == "auto"


@pytest.mark.parametrize(
    ("gain", "message"), [("much", "or auto, got 'much'"), (-1.0, "gain must be a finite number >= 0")]
)
def test_a_bad_gain_is_refused(gain, message):
    """One line with what was expected."""
    with pytest.raises(ConfigError, match=message):
        QualityFocalLoss(gain=gain)
    with pytest.raises(ConfigError, match=message):
        SoftmaxFocalLoss(gain=gain)
