"""No NaN, no false infinity, no lost gradient, and small errors: for every loss, dtype, gamma and logit."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_focal.losses import LOSSES

path = Path(__file__).resolve().parents[2] / "benchmarks" / "numerics_table.py"
spec = importlib.util.spec_from_file_location("numerics_table", path)
numerics_table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(numerics_table)

ELEMENTWISE = [name for name, row in LOSSES.items() if row.elementwise]
# float32 after a handful of operations; for half precision, the one rounding of the result.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 4e-3, torch.float16: 5e-4}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_table_is_clean(name, dtype):
    """On the grid of the numerics table nothing is NaN, falsely infinite or lost, and errors are roundings."""
    row = numerics_table.tally(name, numerics_table.ours(name), dtype)
    assert (row.nan, row.infinite, row.lost) == (0, 0, 0)
    assert max(row.value_error, row.gradient_error) <= TOLERANCE[dtype]


@pytest.mark.parametrize("name", ["focal", "qfl", "vfl"])
def test_table_is_clean_without_alpha(name):
    """The same holds where alpha is off."""
    row = numerics_table.tally(name, numerics_table.ours(name, None), torch.float32, None)
    assert (row.nan, row.infinite, row.lost) == (0, 0, 0)
    assert max(row.value_error, row.gradient_error) <= TOLERANCE[torch.float32]


def test_table_finds_the_faults_of_the_textbook_formula():
    """The measure is one that a naive focal loss fails: NaN gradients and lost gradients are counted."""

    def naive(x, t, gamma):
        p = torch.sigmoid(x)
        p_t = t * p + (1 - t) * (1 - p)
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(x, t.to(x.dtype), reduction="none")
        return (t * 0.25 + (1 - t) * 0.75) * (1 - p_t) ** gamma * entropy

    row = numerics_table.tally("focal", naive, torch.float32)
    assert row.nan and row.lost and row.gradient_error > 0.1


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_summed_loss_is_the_sum_of_the_elements(name):
    """The sum that training uses, and its gradient, come from the elements that the table checks."""
    grid = [(x, t) for x in numerics_table.LOGITS if math.isfinite(x) for t in (0.0, 0.0, 0.0, *numerics_table.TARGETS)]
    x, t = torch.tensor(grid).T.contiguous()
    for gamma in numerics_table.GAMMAS:
        single, summed = x.clone().requires_grad_(), x.clone().requires_grad_()
        values = LOSSES[name].make(gamma=gamma, alpha=0.25)(single, t)
        total = LOSSES[name].make(gamma=gamma, alpha=0.25, reduction="sum")(summed, t)
        values.sum().backward()
        total.backward()
        torch.testing.assert_close(total, values.sum())
        torch.testing.assert_close(summed.grad, single.grad)


@given(
    name=st.sampled_from(ELEMENTWISE),
    x=st.floats(width=32, allow_nan=False),
    t=st.floats(0, 1, width=32),
    gamma=st.floats(0, 50),
    dtype=st.sampled_from(list(TOLERANCE)),
)
@settings(max_examples=300, deadline=None)
def test_never_nan(name, x, t, gamma, dtype):
    """No logit, infinite ones included, no target and no gamma give a NaN or a negative loss."""
    logit = torch.tensor([x]).to(dtype).requires_grad_()
    value = LOSSES[name].make(gamma=gamma, alpha=0.25)(logit, torch.tensor([t]))
    value.float().sum().backward()
    assert value.item() >= 0
    assert math.isfinite(logit.grad.item())


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("rows", [2, 100_000])  # in one piece, and in chunks with a short cut for the background
@pytest.mark.parametrize("spoilt", ["logit", "target"])
def test_nan_in_is_nan_out(name, rows, spoilt):
    """A NaN logit or target is not hidden: the loss is NaN there and nowhere else, and so is its sum."""
    x, t = torch.ones(rows, 2), torch.zeros(rows, 2)
    t[:2, 0] = 1.0
    (x if spoilt == "logit" else t)[0, 0] = math.nan
    x.requires_grad_()
    value = LOSSES[name].make(gamma=1.5, alpha=0.25)(x, t)
    total = LOSSES[name].make(gamma=1.5, alpha=0.25, reduction="sum")(x, t)
    total.backward()
    assert value.isnan().nonzero().tolist() == x.grad.isnan().nonzero().tolist() == [[0, 0]]
    assert total.isnan()


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_loses_no_gradient_before_scaling(name, dtype):
    """A loss scaled up, as gradient scalers do, gives half-precision gradients where the unscaled ones underflow."""
    torch.manual_seed(0)
    x = (torch.randn(64, 80) - 6).to(dtype)
    t = torch.zeros(64, 80)
    half, full = x.clone().requires_grad_(), x.float().requires_grad_()
    criterion = LOSSES[name].make(gamma=1.5, alpha=0.25, reduction="sum").eval()
    (criterion(half, t) * 1024).backward()
    (criterion(full, t) * 1024).backward()
    torch.testing.assert_close(half.grad, full.grad.to(dtype))
