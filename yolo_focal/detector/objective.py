"""The training objective of the anchor detector: box, objectness and class terms of YOLOv5, as a pure function."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from yolo_focal.detector.assign import Matches, assign_level
from yolo_focal.detector.decode import BOX_AND_OBJECTNESS, decode_boxes
from yolo_focal.detector.geometry import complete_iou

__all__ = ["Criterion", "Gains", "Objective", "anchor_objective", "level_balance", "next_balance", "scaled_gains"]

Criterion = Callable[[Tensor, Tensor], Tensor]  # (logits, targets in [0, 1], same shape) -> mean loss, a scalar

_OBJECTNESS = 4


class Gains(NamedTuple):
    """Factors on the three terms."""

    box: float
    objectness: float
    classes: float


class Objective(NamedTuple):
    """The three terms of one batch, gains not yet applied, each a scalar.

    Attributes:
        box: sum over levels of the mean of 1 - CIoU.
        objectness: sum over levels of balance * mean loss.
        classes: sum over levels of the mean loss; 0 with a single class.
        level_objectness: shape (levels,), the mean objectness losses without balance, detached.
    """

    box: Tensor
    objectness: Tensor
    classes: Tensor
    level_objectness: Tensor


def scaled_gains(gains: Gains, levels: int, number_of_classes: int, imgsz: float) -> Gains:
    """YOLOv5's scaling of the gains to another number of levels and classes and another image size.

        box * 3 / levels,   classes * nc / 80 * 3 / levels,   objectness * (imgsz / 640)^2 * 3 / levels

    Args:
        gains: for 3 levels, 80 classes and 640 pixels; YOLOv5's are 0.05, 1.0, 0.5.
        levels: number of levels of the head.
        number_of_classes: of the dataset.
        imgsz: training image size in pixels.
    """
    share = 3 / levels
    return Gains(
        box=gains.box * share,
        objectness=gains.objectness * (imgsz / 640) ** 2 * share,
        classes=gains.classes * number_of_classes / 80 * share,
    )


def level_balance(levels: int) -> tuple[float, ...]:
    """YOLOv5's weights of the levels' objectness losses, finest level first."""
    return (4.0, 1.0, 0.4) if levels == 3 else (4.0, 1.0, 0.25, 0.06, 0.02)[:levels]


def next_balance(
    balance: Sequence[float], level_objectness: Sequence[float], reference_level: int
) -> tuple[float, ...]:
    """One step of automatic balancing: b = 0.9999 * b + 0.0001 / loss for each level, then b / b[reference_level].

    Args:
        balance: the weights so far.
        level_objectness: mean objectness loss of each level, >= 0, without weights.
        reference_level: the level whose weight stays 1; YOLOv5 takes the one with stride 16.
    """
    losses = [max(loss, 1e-12) for loss in level_objectness]  # a large gamma can round one to 0
    moved = [0.9999 * weight + 0.0001 / loss for weight, loss in zip(balance, losses, strict=True)]
    return tuple(weight / moved[reference_level] for weight in moved)


def anchor_objective(
    maps: Sequence[Tensor],
    targets: Tensor,
    anchors: Sequence[Tensor],
    *,
    objectness_criterion: Criterion,
    class_criterion: Criterion,
    balance: Sequence[float],
    anchor_t: float = 4.0,
    smoothing: float = 0.0,
) -> Objective:
    """YOLOv5's objective.

        box        = sum over levels of mean over matches of (1 - CIoU)
        objectness = sum over levels of balance * mean over all cells and anchors of criterion(t_objectness, target)
        classes    = sum over levels of mean over matches and classes of criterion(t_class, target)

    The objectness target is the match's detached CIoU in [0, 1], and 0 where nothing matched; of several matches in
    one cell and anchor the last counts. Class targets are 1 - smoothing / 2 for the target's class, else smoothing / 2.

    Args:
        maps: one tensor a level, shape (batch, anchors, 5 + classes, rows, columns), logits of any float type;
            losses are computed in float32 at least.
        targets: shape (t, 6), image index, class, centre x, centre y, width, height; the box in [0, 1] of the image.
        anchors: one tensor a level, shape (anchors, 2), width and height in cells.
        objectness_criterion: mean loss of logits against soft targets.
        class_criterion: mean loss of logits against targets; called only where there are matches and classes.
        balance: weight of each level's objectness.
        anchor_t: greatest ratio of a target's size to its anchor's.
        smoothing: label smoothing of the classes, in [0, 1).
    """
    dtype = torch.promote_types(maps[0].dtype, torch.float32)
    targets = targets.to(dtype)
    box = classes = maps[0].new_zeros((), dtype=dtype)
    objectness = []
    for logits, sizes in zip(maps, anchors, strict=True):
        rows, columns = logits.shape[-2:]
        matches = assign_level(targets, sizes.to(targets), rows, columns, anchor_t)
        wanted = logits.new_zeros((*logits.shape[:2], rows, columns), dtype=dtype)
        if len(matches.image):
            predicted = logits[matches.image, matches.anchor, :, matches.row, matches.column].to(dtype)
            iou = complete_iou(decode_boxes(predicted[:, :4], matches.sizes), matches.boxes)
            box = box + (1 - iou).mean()
            _write_last(wanted, matches, iou.detach().clamp(0, 1))  # rounding can lift that of equal boxes above 1
            class_logits = predicted[:, BOX_AND_OBJECTNESS:]
            if class_logits.shape[1] > 1:
                classes = classes + class_criterion(class_logits, _one_hot(class_logits, matches.classes, smoothing))
        objectness.append(objectness_criterion(logits[:, :, _OBJECTNESS].to(dtype), wanted))
    levels = torch.stack(objectness)
    return Objective(box, (levels * levels.new_tensor(balance)).sum(), classes, levels.detach())


def _write_last(grid: Tensor, matches: Matches, values: Tensor) -> None:
    """Write each match's value into `grid` (batch, anchors, rows, columns); of several in one place the last stays."""
    _, anchors, rows, columns = grid.shape
    place = ((matches.image * anchors + matches.anchor) * rows + matches.row) * columns + matches.column
    order = torch.arange(len(place), device=place.device)
    last = place.new_full((grid.numel(),), -1).scatter_reduce_(0, place, order, "amax")
    grid.view(-1)[place] = values[last[place]]  # equal values where places repeat: the same on every device


def _one_hot(like: Tensor, classes: Tensor, smoothing: float) -> Tensor:
    targets = torch.full_like(like, smoothing / 2)
    return targets.scatter_(1, classes[:, None], 1 - smoothing / 2)
