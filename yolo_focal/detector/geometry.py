"""Overlap of axis-aligned boxes: the complete IoU that YOLOv5 regresses on and takes as its objectness target."""

import math

import torch
from torch import Tensor

__all__ = ["complete_iou"]

_EPSILON = 1e-7  # YOLOv5's: keeps 0 / 0 out of boxes without area


def complete_iou(boxes: Tensor, targets: Tensor) -> Tensor:
    """Complete IoU of each box with its target.

        CIoU = IoU - d^2 / c^2 - a * v,   v = (4 / pi^2) * (atan(w_t / h_t) - atan(w / h))^2,   a = v / (v - IoU + 1)

    d is the distance between the centres, c the diagonal of the smallest box around both; a takes no gradient.

    Args:
        boxes: shape (n, 4), centre x, centre y, width, height in any one unit.
        targets: shape (n, 4), the same layout and unit.

    Returns:
        Shape (n,), in (-1.5, 1], 1 for equal boxes.

    Source: Zheng et al., Distance-IoU Loss (arXiv:1911.08287) and its sequel (arXiv:2005.03572).
    """
    centre, size = boxes[:, :2], boxes[:, 2:]
    target_centre, target_size = targets[:, :2], targets[:, 2:]
    low, high = centre - size / 2, centre + size / 2
    target_low, target_high = target_centre - target_size / 2, target_centre + target_size / 2

    overlap = (torch.minimum(high, target_high) - torch.maximum(low, target_low)).clamp(min=0).prod(-1)
    union = size.prod(-1) + target_size.prod(-1) - overlap + _EPSILON
    iou = overlap / union

    around = torch.maximum(high, target_high) - torch.minimum(low, target_low)
    diagonal_squared = around.square().sum(-1) + _EPSILON
    distance_squared = (target_centre - centre).square().sum(-1)

    angle = torch.atan(size[:, 0] / size[:, 1])
    target_angle = torch.atan(target_size[:, 0] / target_size[:, 1])
    aspect = (4 / math.pi**2) * (target_angle - angle).square()
    with torch.no_grad():
        # Rounding can lift the IoU of equal boxes above 1, and 0 / 0 would then make the loss NaN.
        weight = aspect / (aspect - iou + (1 + _EPSILON)).clamp(min=_EPSILON)
    complete: Tensor = iou - (distance_squared / diagonal_squared + aspect * weight)
    return complete
