"""YOLOv5's loss written out plainly: one prediction at a time, in float64, straight from the published formulas."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Setting:
    """One way to train: gamma 0 is plain BCE, as in YOLOv5."""

    gamma: float = 0.0
    alpha: float = 0.25
    obj_pw: float = 1.0
    cls_pw: float = 1.0
    smoothing: float = 0.0
    anchor_t: float = 4.0
    balance: tuple[float, ...] = (4.0, 1.0, 0.4)


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def criterion(x: Tensor, t: float, pos_weight: float, setting: Setting) -> Tensor:
    """Loss of one logit against one target."""
    p = sigmoid(x)
    loss = -(pos_weight * t * torch.log(p) + (1 - t) * torch.log(1 - p))
    if setting.gamma > 0:
        p_t = t * p + (1 - t) * (1 - p)
        loss = loss * (t * setting.alpha + (1 - t) * (1 - setting.alpha)) * (1 - p_t) ** setting.gamma
    return loss


def complete_iou(a: list[Tensor], b: list[float]) -> Tensor:
    """CIoU of two (x, y, w, h) boxes."""
    eps = 1e-7
    ax, ay, aw, ah = a
    bx, by, bw, bh = (torch.tensor(value, dtype=torch.float64) for value in b)
    overlap_w = torch.minimum(ax + aw / 2, bx + bw / 2) - torch.maximum(ax - aw / 2, bx - bw / 2)
    overlap_h = torch.minimum(ay + ah / 2, by + bh / 2) - torch.maximum(ay - ah / 2, by - bh / 2)
    overlap = overlap_w.clamp(0) * overlap_h.clamp(0)
    iou = overlap / (aw * ah + bw * bh - overlap + eps)
    around_w = torch.maximum(ax + aw / 2, bx + bw / 2) - torch.minimum(ax - aw / 2, bx - bw / 2)
    around_h = torch.maximum(ay + ah / 2, by + bh / 2) - torch.minimum(ay - ah / 2, by - bh / 2)
    diagonal = around_w**2 + around_h**2 + eps
    distance = (ax - bx) ** 2 + (ay - by) ** 2
    v = 4 / math.pi**2 * (torch.atan(bw / bh) - torch.atan(aw / ah)) ** 2
    alpha = (v / (v - iou + 1 + eps)).detach()
    return iou - distance / diagonal - alpha * v


def matches(targets: list[list[float]], anchors: list[list[float]], rows: int, columns: int, anchor_t: float):
    """(image, anchor index, row, column, box relative to the cell, class), in YOLOv5's order."""
    found = []
    for side in ("own", "left", "up", "right", "down"):
        for index, (anchor_w, anchor_h) in enumerate(anchors):
            for image, cls, x, y, w, h in targets:
                x_, y_, w_, h_ = x * columns, y * rows, w * columns, h * rows
                if max(w_ / anchor_w, anchor_w / w_, h_ / anchor_h, anchor_h / h_) >= anchor_t:
                    continue
                column, row = int(x_), int(y_)
                if side == "left":
                    if not (x_ % 1 < 0.5 and x_ > 1):
                        continue
                    column -= 1
                if side == "up":
                    if not (y_ % 1 < 0.5 and y_ > 1):
                        continue
                    row -= 1
                if side == "right":
                    if not ((columns - x_) % 1 < 0.5 and columns - x_ > 1):
                        continue
                    column = int(x_ + 0.5)
                if side == "down":
                    if not ((rows - y_) % 1 < 0.5 and rows - y_ > 1):
                        continue
                    row = int(y_ + 0.5)
                column, row = min(max(column, 0), columns - 1), min(max(row, 0), rows - 1)
                found.append((int(image), index, row, column, [x_ - column, y_ - row, w_, h_], int(cls)))
    return found


def objective(maps: list[Tensor], targets: list[list[float]], anchors: list[list[list[float]]], setting: Setting):
    """Box, objectness and class terms before gains; maps are float64, (batch, anchors, 5 + classes, rows, columns)."""
    box = objectness = classes = torch.tensor(0.0, dtype=torch.float64)
    for level, logits in enumerate(maps):
        batch, number_of_anchors, channels, rows, columns = logits.shape
        wanted: dict[tuple[int, int, int, int], float] = {}
        box_terms, class_terms = [], []
        for image, anchor, row, column, target, cls in matches(
            targets, anchors[level], rows, columns, setting.anchor_t
        ):
            t = logits[image, anchor, :, row, column]
            predicted = [
                2 * sigmoid(t[0]) - 0.5,
                2 * sigmoid(t[1]) - 0.5,
                (2 * sigmoid(t[2])) ** 2 * anchors[level][anchor][0],
                (2 * sigmoid(t[3])) ** 2 * anchors[level][anchor][1],
            ]
            iou = complete_iou(predicted, target)
            box_terms.append(1 - iou)
            wanted[image, anchor, row, column] = max(iou.item(), 0.0)
            if channels > 6:
                for index in range(channels - 5):
                    hot = 1 - setting.smoothing / 2 if index == cls else setting.smoothing / 2
                    class_terms.append(criterion(t[5 + index], hot, setting.cls_pw, setting))
        cells = [
            criterion(
                logits[image, anchor, 4, row, column],
                wanted.get((image, anchor, row, column), 0.0),
                setting.obj_pw,
                setting,
            )
            for image in range(batch)
            for anchor in range(number_of_anchors)
            for row in range(rows)
            for column in range(columns)
        ]
        if box_terms:
            box = box + sum(box_terms) / len(box_terms)
        if class_terms:
            classes = classes + sum(class_terms) / len(class_terms)
        objectness = objectness + setting.balance[level] * sum(cells) / len(cells)
    return box, objectness, classes
