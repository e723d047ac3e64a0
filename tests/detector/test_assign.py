"""Which cells answer for which targets."""

import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.detector import reference
from yolo_focal.detector.assign import assign_level

ANCHORS = [[1.25, 1.6], [2.0, 3.75], [4.1, 2.9]]

unit = st.floats(0.0, 0.999, allow_subnormal=False)
size = st.floats(0.01, 1.0)
target = st.tuples(st.integers(0, 3), st.integers(0, 5), unit, unit, size, size)


@given(st.lists(target, max_size=8), st.integers(1, 12), st.integers(1, 12), st.floats(1.1, 8.0))
def test_assignment_is_the_plain_one_in_the_same_order(targets, rows, columns, anchor_t):
    """Every match, its cell, its relative box and the order are those of the loop over targets."""
    expected = reference.matches([list(t) for t in targets], ANCHORS, rows, columns, anchor_t)
    tensor = torch.tensor(targets, dtype=torch.float64).view(-1, 6)
    found = assign_level(tensor, torch.tensor(ANCHORS, dtype=torch.float64), rows, columns, anchor_t)
    assert len(found.image) == len(expected)
    for i, (image, anchor, row, column, box, cls) in enumerate(expected):
        assert (found.image[i], found.anchor[i], found.row[i], found.column[i], found.classes[i]) == (
            image,
            anchor,
            row,
            column,
            cls,
        )
        assert found.sizes[i].tolist() == ANCHORS[anchor]
        torch.testing.assert_close(found.boxes[i], torch.tensor(box, dtype=torch.float64))


@given(st.lists(target, min_size=1, max_size=8), st.integers(2, 12))
def test_a_target_gets_one_to_three_cells_of_each_matching_anchor(targets, cells):
    """Its own cell, at most one neighbour sideways and at most one up or down; all inside the grid."""
    tensor = torch.tensor(targets).view(-1, 6)
    assume((tensor[:, 2:4] * cells % 1 > 0).all())  # on a grid line YOLOv5 gives the own cell once more
    found = assign_level(tensor, torch.tensor([[2.0, 2.0]]), cells, cells, 1e6)
    assert len(targets) <= len(found.image) <= 3 * len(targets)
    assert ((found.row >= 0) & (found.row < cells) & (found.column >= 0) & (found.column < cells)).all()
    # What the decoder can reach: the centre is within (-0.5, 1.5) cells of every cell it was given to.
    assert ((found.boxes[:, :2] >= -0.5) & (found.boxes[:, :2] <= 1.5)).all()


def test_a_target_on_the_middle_of_a_cell_has_no_helpers():
    """At a fractional offset of exactly one half neither neighbour is nearer."""
    found = assign_level(torch.tensor([[0, 0, 3.5 / 8, 3.5 / 8, 0.25, 0.25]]), torch.tensor([[2.0, 2.0]]), 8, 8, 4.0)
    assert (found.row.tolist(), found.column.tolist()) == ([3], [3])


def test_the_ratio_bound_is_strict_and_symmetric():
    """A target exactly anchor_t times larger or smaller than the anchor does not match."""
    anchors = torch.tensor([[2.0, 2.0]])
    for width, matched in ((8.0, False), (7.9, True), (0.5, False), (0.51, True)):
        targets = torch.tensor([[0, 0, 0.5, 0.5, width / 16, 2 / 16]])
        assert bool(len(assign_level(targets, anchors, 16, 16, 4.0).image)) is matched
