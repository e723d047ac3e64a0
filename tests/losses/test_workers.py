"""Chunks worked on at once: the same numbers as one after the other, and nothing else of the process is changed."""

import multiprocessing
import os

import pytest
import torch

from yolo_focal.losses import LOSSES
from yolo_focal.losses.chunked import THREADED_ELEMENTS
from yolo_focal.losses.workers import in_threads

pytestmark = pytest.mark.usefixtures("two_threads")


@pytest.fixture
def two_threads():
    """PyTorch with two threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def large(seed=0):
    """Logits and sparse targets that are worked on in threads."""
    generator = torch.Generator().manual_seed(seed)
    shape = (THREADED_ELEMENTS // 80 + 3, 80)
    targets = torch.rand(shape, generator=generator) * (torch.rand(shape, generator=generator) < 1e-3)
    return torch.randn(shape, generator=generator) * 2 - 5, targets


@pytest.mark.parametrize("reduction", ["none", "sum"])
@pytest.mark.parametrize("name", ["focal", "asl"])  # with a formula of its own for target 0, and without
def test_threads_change_neither_loss_nor_gradient(name, reduction):
    """The elements are the same bits; sums differ by rounding, since chunks are cut elsewhere."""
    loss = LOSSES[name].make(gamma=1.5, alpha=0.25, reduction=reduction)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        x, t = large()
        x.requires_grad_()
        result = loss(x, t)
        result.sum().backward()
        found.append((result.detach(), x.grad))
    (one, one_gradient), (two, two_gradient) = found
    torch.testing.assert_close(two, one, rtol=0 if reduction == "none" else 1e-5, atol=0)
    torch.testing.assert_close(two_gradient, one_gradient, rtol=0, atol=0)


def test_the_same_sum_every_time():
    """Chunks are added in their order, whichever is ready first."""
    loss = LOSSES["focal"].make(gamma=1.5, alpha=0.25, reduction="sum")
    x, t = large()
    assert len({float(loss(x, t)) for _ in range(5)}) == 1


def test_results_come_in_the_order_of_the_parts_and_errors_come_through():
    """As `map` has it."""
    assert in_threads(lambda part: part * part, list(range(20))) == [n * n for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda part: 1 // part, [1, 2, 0, 3])


def test_a_part_runs_on_one_thread_and_the_process_keeps_its_own():
    """From the first operation on, which would otherwise take the number of threads from the process."""
    assert in_threads(lambda _: (torch.ones(10**6).exp().sum(), torch.get_num_threads())[1], list(range(6))) == [1] * 6
    assert torch.get_num_threads() == 2


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not bind threads to cores")
def test_parts_may_use_all_cores_although_their_maker_is_bound_to_one():
    """OpenMP binds the first thread of a process, and new threads inherit that."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("one core")
    used = in_threads(lambda _: frozenset(os.sched_getaffinity(0)), list(range(6)))
    assert set(used) == {frozenset(cores)}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_autograd(mode):
    """Tensors of inference mode may be written in it only."""
    loss = LOSSES["focal"].make(gamma=1.5, alpha=0.25, reduction="none")
    x, t = large()
    expected = loss(x, t)
    with mode():
        torch.testing.assert_close(loss(x, t), expected, rtol=0, atol=0)


def _numbers_in_child(queue):
    queue.put(in_threads(lambda part: part + 1, [1, 2, 3]))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_threads_are_made_anew_after_a_fork():
    """A child has none of its parent's threads, and would wait for them for ever."""
    assert in_threads(lambda part: part, [1, 2]) == [1, 2]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_numbers_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=600) == [2, 3, 4]
    child.join(timeout=600)
