"""The equalized focal loss: the paper's formula, what it remembers, and where it is the focal loss exactly."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from yolo_focal.errors import ConfigError
from yolo_focal.losses import (
    ClassGradients,
    EqualizedFocalLoss,
    FocalLoss,
    equalized_focal_loss,
    set_backend,
    sigmoid_focal_loss,
)


@pytest.fixture(autouse=True)
def default_backend(monkeypatch):
    """Each test starts from, and leaves behind, the backend that was set."""
    monkeypatch.setenv("YOLO_FOCAL_BACKEND", "auto")


def operands(seed=0, shape=(40, 5), dtype=torch.float64, density=0.2):
    """Logits and sparse soft targets; the last class has no positive."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64) * 2 - 1
    t = torch.rand(shape, generator=generator) * (torch.rand(shape, generator=generator) < density)
    t[..., -1] = 0
    return x.to(dtype), t.to(dtype)


def reference(x, t, ratio, alpha=0.25, gamma=2.0, scale=8.0, weight=1.0):
    """In float64 and plainly, from the paper."""
    x, t, ratio = x.double(), t.double(), ratio.double()
    p = torch.sigmoid(x)
    p_t = t * p + (1 - t) * (1 - p)
    cross_entropy = -t * F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x)
    gamma_j = gamma + scale * (1 - ratio)
    return weight * (t * alpha + (1 - t) * (1 - alpha)) * (gamma_j / gamma) * (1 - p_t) ** gamma_j * cross_entropy


def sums_of(x, t, ratio, **terms):
    """(2, classes): of the reference's |derivative| on targets above 0 and on the others."""
    x = x.double().requires_grad_()
    (slope,) = torch.autograd.grad(reference(x, t, ratio, **terms).sum(), x)
    return torch.stack([(slope.abs() * side).sum(0) for side in (t > 0, t <= 0)])


def ratio_of(sums):
    """The paper's g: positives over negatives, in [0, 1]."""
    return (sums[0] / sums[1]).clamp(0, 1)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 99),
    gamma=st.floats(0.1, 4),
    scale=st.floats(0, 10),
    alpha=st.floats(0, 1),
    density=st.sampled_from([0.0, 0.03, 0.5]),
)
def test_it_is_the_papers_formula(seed, gamma, scale, alpha, density):
    """For every class its own exponent and weight, with few targets and with many."""
    x, t = operands(seed, density=density)
    ratio = torch.linspace(0, 1, 5, dtype=torch.float64)
    found = equalized_focal_loss(x, t, ratio, alpha, gamma, scale)
    torch.testing.assert_close(found, reference(x, t, ratio, alpha, gamma, scale), rtol=1e-6, atol=1e-12)


def test_its_gradient_is_the_derivative():
    """By gradcheck, with weights."""
    x, t = operands(shape=(6, 5))
    pos_weight, weight = torch.linspace(0.5, 2, 5).double(), torch.linspace(2, 1, 5).double()

    def loss(logits):
        return equalized_focal_loss(logits, t, [0, 0.3, 1, 0.9, 0.5], pos_weight=pos_weight, weight=weight)

    assert torch.autograd.gradcheck(loss, x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gamma", [0.5, 1.5, 2.0])
def test_where_all_classes_are_balanced_it_is_the_focal_loss_to_the_bit(gamma, dtype):
    """Every ratio is 1: value and gradient; and so for a fresh criterion, for gamma 0 and for scale 0."""
    x, t = operands(dtype=dtype)
    expected = sigmoid_focal_loss(x, t, 0.25, gamma)
    assert torch.equal(equalized_focal_loss(x, t, torch.ones(5), 0.25, gamma), expected)
    assert torch.equal(equalized_focal_loss(x, t, torch.zeros(5), 0.25, gamma, scale=0), expected)
    assert torch.equal(equalized_focal_loss(x, t, torch.zeros(5), 0.25, 0.0), sigmoid_focal_loss(x, t, 0.25, 0.0))
    ours, focal = (x.clone().requires_grad_() for _ in range(2))
    balanced = EqualizedFocalLoss(gamma=gamma, gain="auto", reduction="sum")
    balanced.gradients.load([[3.0] * 5, [2.0] * 5])
    balanced(ours, t).backward()
    FocalLoss(gamma=gamma, gain="auto", reduction="sum")(focal, t).backward()
    assert torch.equal(ours.grad, focal.grad)


def train(criterion, steps, dtype=torch.float64, start=0):
    """Some calls with a gradient on seeded batches."""
    for seed in range(start, start + steps):
        x, t = operands(seed, dtype=dtype)
        criterion(x.requires_grad_(), t).sum().backward()


@pytest.mark.parametrize("gain", [1.0, "auto"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_the_ratios_are_those_of_the_gradients_so_far(reduction, gain):
    """Each step is made with the ratios of those before it, whatever the reduction and the gain."""
    criterion = EqualizedFocalLoss(gamma=1.5, alpha=0.3, scale=4.0, reduction=reduction, gain=gain)
    sums, ratio = torch.zeros(2, 5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    for seed in range(4):
        x, t = operands(seed)
        sums += sums_of(x, t, ratio, alpha=0.3, gamma=1.5, scale=4.0)
        ratio = ratio_of(sums)
        criterion(x.requires_grad_(), t).sum().backward()
        torch.testing.assert_close(criterion.gradients.ratio.double(), ratio, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(torch.tensor(criterion.gradients.state()).double(), sums, rtol=1e-5, atol=1e-6)
    assert criterion.gradients.ratio[-1] == 0  # the class without a positive: the largest gamma


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_full_precision(dtype):
    """The sums of half-precision logits are those of their values."""
    half, full = (EqualizedFocalLoss(reduction="sum") for _ in range(2))
    for seed in range(3):
        x, t = operands(seed, dtype=dtype)
        half(x.requires_grad_(), t)
        full(x.detach().double().requires_grad_(), t.double())
    found, expected = (torch.tensor(each.gradients.state()) for each in (half, full))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_call_without_a_gradient_or_in_evaluation_mode_changes_nothing():
    """It uses the ratios all the same."""
    criterion = EqualizedFocalLoss(reduction="sum")
    train(criterion, 2)
    before = criterion.gradients.state()
    x, t = operands(7)
    expected = reference(x, t, criterion.gradients.ratio).sum()
    with torch.inference_mode():
        torch.testing.assert_close(criterion(x, t), expected, rtol=1e-6, atol=0)
    criterion.eval()
    torch.testing.assert_close(criterion(x.requires_grad_(), t), expected, rtol=1e-6, atol=0)
    assert criterion.gradients.state() == before


def test_a_second_backward_pass_counts_once():
    """retain_graph makes the gradient anew, which is no new step."""
    once, twice = (EqualizedFocalLoss(reduction="sum") for _ in range(2))
    x, t = operands()
    once(x.clone().requires_grad_(), t).backward()
    loss = twice(x.clone().requires_grad_(), t)
    loss.backward(retain_graph=True)
    loss.backward()
    assert once.gradients.state() == twice.gradients.state()


def test_calls_of_one_step_share_the_ratios_until_they_are_committed():
    """So the levels of a detector are equalized alike; what was added before a state is loaded never counts."""
    criterion = EqualizedFocalLoss(reduction="sum")
    criterion.commits = False
    train(criterion, 2)
    assert criterion.gradients.ratio is None
    criterion.gradients.load(criterion.gradients.state())
    criterion.gradients.commit()
    assert (criterion.gradients.ratio == 1).all()
    train(criterion, 2)
    criterion.gradients.commit()
    fresh = torch.ones(5, dtype=torch.float64)
    expected = sum(sums_of(*operands(seed), fresh) for seed in range(2))
    torch.testing.assert_close(torch.tensor(criterion.gradients.state()).double(), expected, rtol=1e-5, atol=1e-6)


def test_gradients_that_are_not_finite_do_not_count():
    """One NaN logit would otherwise spoil its class for ever."""
    criterion = EqualizedFocalLoss(reduction="sum")
    x, t = operands()
    x[0, 1] = torch.nan
    criterion(x.requires_grad_(), t)
    positives, negatives = criterion.gradients.state()
    assert positives[1] == negatives[1] == 0 and positives[0] > 0
    assert criterion.gradients.ratio[1] == 1


def test_the_state_of_what_has_seen_nothing_goes_on_too():
    """It has no number of classes yet; that of one that knows it has zeros."""
    for classes in (None, 3):
        before, after = ClassGradients(classes), ClassGradients()
        after.load(before.state())
        assert after.state() == before.state()
        after.add(torch.ones(2, 3), torch.eye(2, 3))
        after.commit()
        assert after.state() == [[1, 1, 0], [1, 1, 2]]
        after.load([[], []])  # back to the start
        assert after.state() == [[0] * 3, [0] * 3] and (after.ratio == 1).all()


def test_a_saved_state_goes_on_as_if_nothing_had_happened():
    """By plain numbers, by copy and by pickle: the same bits as an uninterrupted run."""
    whole, first, second = (EqualizedFocalLoss(reduction="sum") for _ in range(3))
    train(whole, 6, torch.float32)
    train(first, 3, torch.float32)
    twins = [second, copy.deepcopy(first), pickle.loads(pickle.dumps(first))]
    second.gradients.load(first.gradients.state())
    for twin in twins:
        train(twin, 3, torch.float32, start=3)
        assert twin.gradients.state() == whole.gradients.state()
    assert not whole.state_dict() and not list(whole.parameters())
    assert len(first.gradients.state()[0]) == 5  # a copy is independent of its original
    assert first.gradients.state() != whole.gradients.state()


@pytest.mark.parametrize("backend", ["compile", "triton"])
def test_other_backends_remember_the_same(backend):
    """Compiled, and eager where Triton has no kernel."""
    eager, other = (EqualizedFocalLoss(reduction="sum") for _ in range(2))
    train(eager, 2, torch.float32)
    set_backend(backend)
    train(other, 2, torch.float32)
    found, expected = (torch.tensor(each.gradients.state()) for each in (other, eager))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    x, t = operands(9, dtype=torch.float32)
    value = other.eval()(x, t)
    set_backend("eager")
    torch.testing.assert_close(value, eager.eval()(x, t), rtol=1e-5, atol=1e-6)


RANKS = """
import sys, torch, torch.distributed as dist, torch.multiprocessing as mp
from yolo_focal.losses import ClassGradients

def rank(index, address):
    dist.init_process_group("gloo", init_method=address, rank=index, world_size=2)
    gradients = ClassGradients(3)
    if index == 0:  # the other rank's step has no call at all
        gradients.add(torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]]), torch.tensor([[1.0, 0, 0], [0, 0, 1]]))
    gradients.commit()
    assert gradients.state() == [[1.0, 0.0, 2.0], [2.0, 4.0, 3.0]], gradients.state()
    assert torch.equal(gradients.ratio, torch.tensor([1 / 2, 0, 2 / 3])), gradients.ratio
    gradients.add(torch.full((1, 3), index + 1.0), torch.ones(1, 3))
    gradients.commit()
    assert gradients.state()[0] == [4.0, 3.0, 5.0], gradients.state()
    dist.barrier()
    dist.destroy_process_group()  # gloo's threads, if they outlive the interpreter, abort the process

if __name__ == "__main__":
    mp.spawn(rank, args=(sys.argv[1],), nprocs=2)
    print("both agree")
"""


def test_the_sums_are_those_of_all_ranks(tmp_path):
    """Two processes; also where one of them has nothing to add."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    finished = subprocess.run(
        [sys.executable, str(script), f"file://{tmp_path / 'meeting'}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert "both agree" in finished.stdout, finished.stderr


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, t: equalized_focal_loss(x, t, [0.5] * 4 + [1.5]), r"ratio for each class must be in \[0, 1\]"),
        (
            lambda x, t: equalized_focal_loss(x, t, None),
            "ratio must be a tensor or numbers, .*, got None",
        ),
        (lambda x, t: equalized_focal_loss(x, t, [0.5] * 4), "ratio has 4 numbers, but the logits have 5 classes"),
        (lambda x, t: equalized_focal_loss(x, t, [1.0], scale=-1), "scale must be a finite number >= 0, got -1"),
        (lambda x, t: EqualizedFocalLoss(scale=float("inf")), "scale must be a finite number >= 0, got inf"),
        (lambda x, t: ClassGradients(5).load([[1.0], [1.0]]), "two lists of finite numbers >= 0 with 5 numbers each"),
        (lambda x, t: ClassGradients().load([[1.0], [-1.0]]), "must be two lists of finite numbers >= 0"),
        (lambda x, t: ClassGradients().load("abc"), "must be two lists of finite numbers >= 0"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    """One line with the value."""
    with pytest.raises(ConfigError, match=message) as caught:
        call(*operands())
    assert "\n" not in str(caught.value)


def test_another_number_of_classes_is_refused():
    """The sums of one classifier say nothing about another."""
    criterion = EqualizedFocalLoss()
    train(criterion, 1)
    with pytest.raises(ConfigError, match="has seen 5 classes, got logits with 3 in the last dimension"):
        criterion(torch.zeros(2, 3, requires_grad=True), torch.zeros(2, 3))
