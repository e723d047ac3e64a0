"""AutoAnchor: the anchors are measured on the training set before training, and replaced only if that helps."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from yolo_focal.arguments.anchor import read_anchor_config
from yolo_focal.data.images import image_size
from yolo_focal.detector.anchors import LevelAnchors, anchor_fit, find_anchors
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.head import AnchorDetect, anchor_head
from yolo_focal.ultra.logger import LOGGER, is_main_process

__all__ = ["fit_anchors_to_data", "object_sizes"]

LEAST_RECALL = 0.98  # YOLOv5's: below it new anchors are looked for
_TRIED_WITH = 20_000  # boxes that mutation measures on; more would cost time and change nothing


def fit_anchors_to_data(trainer: Any) -> None:
    """Measure the anchors of the trainer's model on its training set and replace them where they fit poorly.

    Runs before the averaged model is copied, so that both have the same anchors; without an anchor head, or with
    `autoanchor=False`, nothing happens. Every process of a distributed training finds the same anchors.
    """
    model = host.unwrap_model(trainer.model)
    head = anchor_head(model)
    if head is None:
        return
    config = read_anchor_config(vars(trainer.args))
    if not config.autoanchor:
        return
    sizes = object_sizes(_labels(trainer.train_loader.dataset), float(trainer.args.imgsz), int(trainer.args.seed))
    if not len(sizes):
        return
    anchors = torch.tensor(head.anchor_pixels).flatten(0, 1)
    fit = anchor_fit(sizes, anchors, config.anchor_t)
    line = f"{fit.anchors_per_box:.2f} anchors per object, best possible recall {fit.best_possible_recall:.4f}"
    large = sizes[(sizes >= 2).any(1)]  # what find_anchors looks at
    if fit.best_possible_recall > LEAST_RECALL or len(large) < len(anchors):
        _log(f"AutoAnchor: {line}; the anchors stay")
        return
    chosen = torch.randperm(len(large), generator=torch.Generator().manual_seed(trainer.args.seed))[:_TRIED_WITH]
    found = find_anchors(large[chosen], len(anchors), config.anchor_t, int(trainer.args.seed))
    found_fit = anchor_fit(sizes, found, config.anchor_t)
    if found_fit.best_possible_recall <= fit.best_possible_recall:
        _log(f"AutoAnchor: {line}; none of those tried is better, the anchors stay")
        return
    _replace(model, head, found)
    _log(
        f"AutoAnchor: {line}; new anchors reach {found_fit.anchors_per_box:.2f} and "
        f"{found_fit.best_possible_recall:.4f}: {model.yaml['anchors']}"
    )


def _labels(dataset: Any) -> list[dict[str, Any]]:
    """Those of an Ultralytics dataset with the shapes of their images, which it takes out of them for rect=True."""
    pairs = zip(dataset.labels, dataset.im_files, strict=True)
    return [label if "shape" in label else {**label, "shape": image_size(Path(file))[::-1]} for label, file in pairs]


def object_sizes(labels: list[dict[str, Any]], imgsz: float, seed: int) -> Tensor:
    """Widths and heights in pixels of all objects at training size, each image scaled by a random factor in [0.9, 1.1].

    Args:
        labels: of an Ultralytics dataset; `shape` is (height, width) in pixels, `bboxes` (n, 4) in [0, 1].
        imgsz: training size of the longer side.
        seed: the same seed gives the same sizes.

    Returns:
        Shape (n, 2); objects without area are left out.
    """
    factors = np.random.default_rng(seed).uniform(0.9, 1.1, len(labels))
    sizes = [np.zeros((0, 2))]
    for label, factor in zip(labels, factors, strict=True):
        height, width = label["shape"]
        scale = imgsz / max(height, width) * factor
        sizes.append(label["bboxes"][:, 2:4] * (width * scale, height * scale))
    stacked = torch.from_numpy(np.concatenate(sizes)).float()
    return stacked[(stacked > 0).all(1)]


def _replace(model: Any, head: AnchorDetect, anchors: Tensor) -> None:
    """Smallest anchors to the finest level, in the head and in the model's YAML, both as plain numbers."""
    levels = anchors.view(head.nl, head.na, 2).tolist()
    rounded: LevelAnchors = tuple(tuple((round(w, 2), round(h, 2)) for w, h in level) for level in levels)
    head.anchor_pixels = rounded
    model.yaml["anchors"] = [[size for pair in level for size in pair] for level in rounded]


def _log(line: str) -> None:
    if is_main_process():
        LOGGER.info(line)
