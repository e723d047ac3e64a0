"""Reading, measuring and finding anchors."""

import pytest
import torch

from yolo_focal.detector.anchors import anchor_fit, find_anchors, read_anchors
from yolo_focal.errors import ConfigError

ROWS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]


def test_rows_become_pairs_in_their_order():
    """Each row is width, height, width, height, ..."""
    assert read_anchors(ROWS, 3)[0] == ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0))


@pytest.mark.parametrize(
    ("rows", "phrase"),
    [
        (None, "the model YAML has anchors: None, expected 3 rows like"),
        ([], "the model YAML has anchors: [], expected 3 rows like"),
        (ROWS[:2], "the model YAML has 2 rows of anchors, expected 3 rows like"),
        ([*ROWS[:2], [1, 2, 3]], "anchors row [1, 2, 3] must be pairs of width and height"),
        ([*ROWS[:2], [1, 2]], "anchors row [1, 2] must be pairs of width and height, as many as in the first row"),
        ([*ROWS[:2], [1, 2, 3, 4, 5, -6]], "must hold sizes in pixels > 0"),
        ([*ROWS[:2], [1, 2, 3, 4, 5, 0]], "must hold sizes in pixels > 0"),
        ([*ROWS[:2], [1, 2, 3, 4, 5, float("inf")]], "must hold sizes in pixels > 0"),
        ([*ROWS[:2], [1, 2, 3, 4, 5, "6"]], "must hold sizes in pixels > 0"),
        (3, "the model YAML has anchors: 3, expected 3 rows like"),
    ],
)
def test_wrong_rows_are_named(rows, phrase):
    """One line that says what is there and what was expected."""
    with pytest.raises(ConfigError) as caught:
        read_anchors(rows, 3)
    assert phrase in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fit_counts_anchors_within_the_ratio():
    """A 10 x 10 box has both the 20 x 20 and the 5 x 39 anchor at ratio 4, the 41 x 10 one has neither."""
    anchors = torch.tensor([[20.0, 20.0], [5.0, 39.0]])
    fit = anchor_fit(torch.tensor([[10.0, 10.0], [100.0, 1.0]]), anchors, 4.0)
    assert fit.best_possible_recall == pytest.approx(0.5)
    assert fit.anchors_per_box == pytest.approx(1.0)


def test_found_anchors_fit_what_they_were_found_for():
    """Three well separated clusters are found, sorted by area, and every box is reached."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[8.0, 12.0], [60.0, 40.0], [300.0, 280.0]])
    sizes = (centres.repeat(200, 1) * (1 + 0.05 * torch.randn(600, 2, generator=generator))).clamp(min=1)
    found = find_anchors(sizes, 3, 4.0, seed=0, generations=200)
    assert found.prod(1).diff().gt(0).all()
    assert anchor_fit(sizes, found, 4.0).best_possible_recall == 1
    torch.testing.assert_close(found, centres, rtol=0.15, atol=0)


def test_one_box_is_its_own_anchor():
    """There is no spread to divide by."""
    found = find_anchors(torch.tensor([[30.0, 20.0]]), 1, 4.0, seed=0, generations=0)
    torch.testing.assert_close(found, torch.tensor([[30.0, 20.0]]).to(found.dtype))


def test_the_seed_decides():
    """The same seed gives the same anchors."""
    sizes = torch.rand(100, 2, generator=torch.Generator().manual_seed(1)) * 300 + 3
    first, again = (find_anchors(sizes, 9, 4.0, seed=3, generations=50) for _ in range(2))
    assert torch.equal(first, again)


def test_mutation_never_makes_it_worse():
    """More generations never lower the mean closeness that they maximise."""
    sizes = torch.rand(200, 2, generator=torch.Generator().manual_seed(2)) ** 2 * 500 + 2

    def fitness(anchors):
        ratio = sizes[:, None] / anchors
        best = torch.minimum(ratio, 1 / ratio).amin(2).amax(1)
        return (best * (best > 0.25)).mean().item()

    few, many = (fitness(find_anchors(sizes, 9, 4.0, seed=0, generations=n)) for n in (0, 300))
    assert many >= few


def test_too_few_boxes_are_refused_with_the_remedy():
    """Nine anchors cannot come from two boxes."""
    with pytest.raises(ConfigError, match=r"2 boxes of at least 2 pixels cannot give 9 anchors; train with autoanchor"):
        find_anchors(torch.tensor([[10.0, 10.0], [20.0, 20.0]]), 9, 4.0, seed=0)


def test_fit_is_strict_as_the_assignment_is():
    """A box of exactly four times the anchor's width has no anchor."""
    assert anchor_fit(torch.tensor([[80.0, 20.0]]), torch.tensor([[20.0, 20.0]]), 4.0).best_possible_recall == 0


def test_thin_boxes_have_anchors_too():
    """One side of 2 pixels is enough."""
    sizes = torch.tensor([[1.0, 50.0], [1.0, 90.0]])
    torch.testing.assert_close(find_anchors(sizes, 2, 4.0, seed=0, generations=0), sizes)
