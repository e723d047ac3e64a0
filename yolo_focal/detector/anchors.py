"""Anchor sizes: reading them, measuring how well they fit a dataset, and finding better ones."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from yolo_focal.errors import ConfigError

__all__ = ["AnchorFit", "LevelAnchors", "anchor_fit", "find_anchors", "read_anchors"]

LevelAnchors = tuple[tuple[tuple[float, float], ...], ...]  # levels, anchors, (width, height) in pixels


class AnchorFit(NamedTuple):
    """How well anchors fit a set of box sizes.

    Attributes:
        best_possible_recall: share of boxes with at least one anchor within the ratio `anchor_t`, in [0, 1].
        anchors_per_box: mean number of anchors within that ratio.
    """

    best_possible_recall: float
    anchors_per_box: float


def read_anchors(rows: Any, levels: int) -> LevelAnchors:
    """Anchors from the `anchors` entry of a model YAML: one row a level, [w, h, w, h, ...] in pixels.

    Raises:
        ConfigError: no rows, a row too many or too few, rows of odd or different length, or a size that is not > 0.
    """
    expected = f"{levels} rows like [10, 13, 16, 30, 33, 23], one for each level the head reads"
    if not isinstance(rows, list | tuple) or not rows:
        raise ConfigError(f"the model YAML has anchors: {rows!r}, expected {expected}; add them at its top level")
    if len(rows) != levels:
        raise ConfigError(f"the model YAML has {len(rows)} rows of anchors, expected {expected}")
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) != len(rows[0]) or not row or len(row) % 2:
            raise ConfigError(
                f"anchors row {row!r} must be pairs of width and height, as many as in the first row; "
                f"expected {expected}"
            )
        if not all(isinstance(size, int | float) and 0 < size < float("inf") for size in row):
            raise ConfigError(f"anchors row {row!r} must hold sizes in pixels > 0; expected {expected}")
    return tuple(
        tuple((float(width), float(height)) for width, height in zip(row[::2], row[1::2], strict=True)) for row in rows
    )


def _closeness(sizes: Tensor, anchors: Tensor) -> Tensor:
    """Shape (n, a): the smallest of w / w_a, w_a / w, h / h_a, h_a / h; 1 for equal sizes."""
    ratio = sizes[:, None] / anchors
    return torch.minimum(ratio, 1 / ratio).amin(2)


def anchor_fit(sizes: Tensor, anchors: Tensor, anchor_t: float) -> AnchorFit:
    """How well `anchors` fit `sizes` at the assignment's ratio.

    Args:
        sizes: shape (n, 2), widths and heights of the boxes in pixels at training size; n > 0.
        anchors: shape (a, 2), in pixels.
        anchor_t: greatest ratio of a box to its anchor, > 1.
    """
    within = _closeness(sizes, anchors) > 1 / anchor_t
    return AnchorFit(within.any(1).float().mean().item(), within.float().sum(1).mean().item())


def find_anchors(sizes: Tensor, number: int, anchor_t: float, seed: int, generations: int = 1000) -> Tensor:
    """Anchors for `sizes` by k-means and then mutation, as YOLOv5 looks for them.

    k-means runs on sizes divided by their standard deviation. Each generation then multiplies a random choice of the
    numbers by random factors in [0.3, 3] and keeps the result where the fitness grows: the mean over boxes of the best
    closeness, counted where it is above 1 / anchor_t.

    Args:
        sizes: shape (n, 2), widths and heights in pixels at training size.
        number: how many anchors.
        anchor_t: greatest ratio of a box to its anchor.
        seed: the same seed gives the same anchors.
        generations: number of mutations tried.

    Returns:
        Shape (number, 2), in pixels, smallest area first.

    Raises:
        ConfigError: fewer boxes of at least 2 pixels than anchors.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = sizes[(sizes >= 2).any(1)].double()
    if len(sizes) < number:
        raise ConfigError(
            f"{len(sizes)} boxes of at least 2 pixels cannot give {number} anchors; train with autoanchor=False"
        )
    spread = sizes.std(0, correction=int(len(sizes) > 1)).clamp(min=1e-6)
    anchors = _k_means(sizes / spread, number, generator) * spread
    best = _fitness(sizes, anchors, anchor_t)
    for _ in range(generations):
        tried = (anchors * _mutation(anchors.shape, generator)).clamp(min=2)
        fitness = _fitness(sizes, tried, anchor_t)
        if fitness > best:
            anchors, best = tried, fitness
    return anchors[anchors.prod(1).argsort()].float()


def _fitness(sizes: Tensor, anchors: Tensor, anchor_t: float) -> float:
    best = _closeness(sizes, anchors).amax(1)
    return (best * (best > 1 / anchor_t)).mean().item()


def _mutation(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Factors around 1 for nine of ten numbers, 1 for the rest; YOLOv5's distribution."""
    chosen = torch.rand(shape, generator=generator) < 0.9
    step = torch.rand((), generator=generator) * torch.randn(shape, generator=generator) * 0.1
    return (1 + chosen * step).clamp(0.3, 3).double()


def _k_means(points: Tensor, number: int, generator: torch.Generator, starts: int = 10) -> Tensor:
    """Centres of `number` clusters of `points` (n, 2), the tightest of several runs."""
    runs = [_k_means_once(points, number, generator) for _ in range(starts)]
    return min(runs, key=lambda centres: torch.cdist(points, centres).amin(1).square().sum().item())


def _k_means_once(points: Tensor, number: int, generator: torch.Generator, iterations: int = 30) -> Tensor:
    """Lloyd's algorithm, started by k-means++ so that no cluster starts empty."""
    centres = points[torch.randint(len(points), (1,), generator=generator)]
    while len(centres) < number:
        distance = torch.cdist(points, centres).amin(1).square() + 1e-12
        centres = torch.cat((centres, points[torch.multinomial(distance, 1, generator=generator)]))
    for _ in range(iterations):
        nearest = torch.cdist(points, centres).argmin(1)
        counts = torch.bincount(nearest, minlength=number)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres
