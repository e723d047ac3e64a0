"""From logits to boxes and scores: what the anchor head's numbers mean."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["BOX_AND_OBJECTNESS", "decode_boxes", "decode_maps", "objectness_and_class_start"]

BOX_AND_OBJECTNESS = 5  # channels of an anchor before its classes: x, y, w, h, objectness


def decode_boxes(logits: Tensor, anchors: Tensor) -> Tensor:
    """Boxes relative to their cell, in the unit of `anchors`' grid.

        xy = 2 * sigmoid(t_xy) - 0.5,   wh = (2 * sigmoid(t_wh))^2 * anchor

    Args:
        logits: shape (n, 4), t_x, t_y, t_w, t_h.
        anchors: shape (n, 2), width and height in grid units (pixels / stride).

    Returns:
        Shape (n, 4): centre in (-0.5, 1.5) cells from the cell's corner; width and height in (0, 4) anchors.
    """
    doubled = logits.sigmoid() * 2
    return torch.cat((doubled[:, :2] - 0.5, doubled[:, 2:].square() * anchors), 1)


def decode_maps(maps: Sequence[Tensor], anchors: Tensor, strides: Sequence[float], xyxy: bool = False) -> Tensor:
    """Boxes in pixels and class scores of every cell and anchor of an image, ready for non-maximum suppression.

        xy = (2 * sigmoid(t_xy) - 0.5 + cell) * stride,   wh = (2 * sigmoid(t_wh))^2 * anchor
        score of class c = sigmoid(t_objectness) * sigmoid(t_c)

    Args:
        maps: one tensor a level, shape (batch, anchors, 5 + classes, rows, columns): t_x, t_y, t_w, t_h, objectness,
            classes, all logits.
        anchors: shape (levels, anchors, 2), width and height in pixels.
        strides: pixels per cell, one a level.
        xyxy: corners instead of centre and size.

    Returns:
        Shape (batch, 4 + classes, N). N runs over anchors, then levels, rows and columns, so that `N index modulo the
        number of cells` is the cell, as in a head with one prediction a cell.
    """
    cell, stride, size = [], [], []
    for level, (logits, level_stride) in enumerate(zip(maps, strides, strict=True)):
        rows, columns = logits.shape[-2:]
        y = torch.arange(rows, device=logits.device, dtype=logits.dtype)
        x = torch.arange(columns, device=logits.device, dtype=logits.dtype)
        grid = torch.stack((x.expand(rows, columns), y[:, None].expand(rows, columns))).flatten(1)
        cell.append(grid)
        stride.append(torch.full_like(grid[:1], level_stride))
        size.append(anchors[level].to(grid)[:, :, None] * torch.ones_like(grid))
    flat = torch.cat([logits.flatten(3) for logits in maps], 3).sigmoid()
    xy = (flat[:, :, :2] * 2 - 0.5 + torch.cat(cell, 1)) * torch.cat(stride, 1)
    wh = (flat[:, :, 2:4] * 2).square() * torch.cat(size, 2)
    scores = flat[:, :, BOX_AND_OBJECTNESS - 1 : BOX_AND_OBJECTNESS] * flat[:, :, BOX_AND_OBJECTNESS:]
    box = (xy - wh / 2, xy + wh / 2) if xyxy else (xy, wh)
    decoded = torch.cat((*box, scores), 2)
    return decoded.transpose(1, 2).flatten(2)


def objectness_and_class_start(stride: float, number_of_classes: int) -> tuple[float, Tensor]:
    """What is added to a fresh head's objectness and class biases so that its first scores are near the truth.

        objectness: log(8 / (640 / stride)^2), eight objects in a 640-pixel image
        classes:    log(0.6 / (classes - 0.99999))

    Args:
        stride: pixels per cell.
        number_of_classes: at least 1.

    Returns:
        The objectness addend and the class addends, shape (classes,).
    """
    objectness = torch.log(torch.tensor(8 / (640 / stride) ** 2)).item()
    return objectness, torch.full((number_of_classes,), 0.6 / (number_of_classes - 0.99999)).log()
