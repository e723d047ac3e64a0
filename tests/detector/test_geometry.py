"""Theorems of the complete IoU."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.detector import reference
from yolo_focal.detector.geometry import complete_iou

box = st.tuples(*[st.floats(-20, 20)] * 2, *[st.floats(0.05, 20)] * 2)


@given(box, box)
def test_it_is_the_plain_formula(a, b):
    """Value and gradient are those of the formula in float64."""
    predicted = torch.tensor([a], dtype=torch.float64, requires_grad=True)
    found = complete_iou(predicted, torch.tensor([b], dtype=torch.float64))
    plain = torch.tensor(a, dtype=torch.float64, requires_grad=True)
    expected = reference.complete_iou(list(plain), list(b))
    torch.testing.assert_close(found[0], expected)
    (ours,) = torch.autograd.grad(found.sum(), predicted)
    (theirs,) = torch.autograd.grad(expected, plain)
    torch.testing.assert_close(ours[0], theirs)


@given(box)
def test_equal_boxes_have_one(a):
    """No other box can do better."""
    boxes = torch.tensor([a], dtype=torch.float64)
    assert abs(complete_iou(boxes, boxes).item() - 1) < 1e-4


@given(box, box, st.floats(-5, 5), st.floats(0.5, 4))
def test_moving_and_scaling_both_changes_nothing(a, b, shift, scale):
    """The measure depends on relative place and size only (up to the 1e-7 that guards boxes without area)."""
    first, second = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    moved = [(boxes + torch.tensor([shift, -shift, 0, 0])) * scale for boxes in (first, second)]
    torch.testing.assert_close(complete_iou(*moved), complete_iou(first, second), atol=1e-3, rtol=0)


@given(box, box)
def test_range(a, b):
    """Between -1.5 and 1, whatever the boxes."""
    value = complete_iou(torch.tensor([a]), torch.tensor([b])).item()
    assert -1.5 < value <= 1 + 1e-4  # a float32 ratio of equal numbers may round past 1
