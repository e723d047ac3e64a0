"""Which cells and anchors answer for which targets: YOLOv5's assignment, one level at a time."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Matches", "assign_level"]

# Where a cell looks for helpers: itself, then left, up, right, down, in that order.
_NEIGHBOURS = ((0.0, 0.0), (-0.5, 0.0), (0.0, -0.5), (0.5, 0.0), (0.0, 0.5))


class Matches(NamedTuple):
    """The matched (target, anchor, cell) triples of one level; n of them, a target may appear many times.

    Attributes:
        image: shape (n,), index in the batch.
        anchor: shape (n,), index among the level's anchors.
        row: shape (n,).
        column: shape (n,).
        boxes: shape (n, 4), the target's centre relative to the cell's corner, width, height; in cells.
        sizes: shape (n, 2), width and height of the anchor in cells.
        classes: shape (n,), int64.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    boxes: Tensor
    sizes: Tensor
    classes: Tensor


def assign_level(targets: Tensor, anchors: Tensor, rows: int, columns: int, anchor_t: float) -> Matches:
    """Match targets with the anchors and cells of one level.

    A target matches an anchor where max(w / w_a, w_a / w, h / h_a, h_a / h) < anchor_t. Each match is given to the
    target's own cell and to the neighbours (at most one sideways, one up or down) nearer than half a cell, inside the
    grid. A centre exactly on a grid line counts its own cell once more, as in YOLOv5.

    Args:
        targets: shape (t, 6), image index, class, centre x, centre y, width, height; the box in [0, 1] of the image.
        anchors: shape (a, 2), width and height in cells.
        rows: height of the grid.
        columns: width of the grid.
        anchor_t: greatest ratio of sizes, > 1; YOLOv5 takes 4.

    Returns:
        Own cells first, then left, up, right and down neighbours; within each by anchor, then by target.
    """
    grid = targets.new_tensor([columns, rows])
    xy, wh = targets[:, 2:4] * grid, targets[:, 4:6] * grid
    ratio = wh / anchors[:, None]
    fits = torch.maximum(ratio, 1 / ratio).amax(2) < anchor_t
    anchor, target = fits.nonzero(as_tuple=True)

    xy = xy[target]
    from_end = grid - xy
    before = (xy % 1 < 0.5) & (xy > 1)
    after = (from_end % 1 < 0.5) & (from_end > 1)
    chosen = torch.stack((torch.ones_like(before[:, 0]), *before.T, *after.T))
    neighbour, match = chosen.nonzero(as_tuple=True)

    anchor, target, xy = anchor[match], target[match], xy[match]
    cell = (xy + targets.new_tensor(_NEIGHBOURS)[neighbour]).long()
    cell = torch.minimum(cell.clamp(min=0), grid.long() - 1)
    return Matches(
        image=targets[target, 0].long(),
        anchor=anchor,
        row=cell[:, 1],
        column=cell[:, 0],
        boxes=torch.cat((xy - cell, wh[target]), 1),
        sizes=anchors[anchor],
        classes=targets[target, 1].long(),
    )
