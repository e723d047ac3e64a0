"""What doctor found, in one picture: gradient shares of positives, negatives and classes, counts and sizes."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from yolo_focal.diagnosis.advice import TINY_SIDE, Examination, network_sides
from yolo_focal.foreign_text import for_plot
from yolo_focal.plot_style import BLUE, GREEN, GREY, ORANGE, PALE, save_figure, styled
from yolo_focal.ultra.drivers.diagnosis import Diagnosis

__all__ = ["plot_examination"]

MOST_CLASSES = 20


def plot_examination(title: str, it: Examination, path: Path) -> None:
    """Write the picture to `path`, a PNG."""
    shown = _shown_classes(it.train.instances)
    height = max(4.4, 2.4 + 0.3 * len(shown))
    figure = Figure(figsize=(13, 3.6 + height), layout="constrained")
    panels = figure.subplots(2, 2, height_ratios=(3.6, height))
    figure.suptitle(title, fontsize=13, fontweight="bold")
    for axes in panels.flat:
        styled(axes)
    _balance(panels[0, 0], it.diagnosis)
    _sizes(panels[0, 1], it)
    _frequencies(panels[1, 0], it, shown)
    _pull_by_class(panels[1, 1], it, shown)
    save_figure(figure, path, dpi=120)


def _shown_classes(instances: np.ndarray) -> np.ndarray:
    """By falling frequency; of many classes the two ends, those without boxes left out."""
    order = np.argsort(-instances, kind="stable")
    if len(order) <= MOST_CLASSES:
        return order
    order = order[instances[order] > 0]
    half = MOST_CLASSES // 2
    return order if len(order) <= MOST_CLASSES else np.r_[order[:half], order[-half:]]


def _balance(axes: Axes, diagnosis: Diagnosis) -> None:
    """Bars from 0 to 1: gradient on positives and on negatives, for each branch and loss."""
    rows = [(branch, loss, term) for loss in (diagnosis.bce, diagnosis.other) for branch, term in loss.terms.items()]
    place = np.arange(len(rows))
    positives = np.array([term.gradient_positives.sum() for *_, term in rows])
    total = positives + np.array([term.gradient_negatives.sum() for *_, term in rows])
    share = np.divide(positives, total, out=np.zeros_like(total), where=total > 0)
    axes.barh(place, share, 0.62, color=BLUE, label="positives")
    axes.barh(place, 1 - share, 0.62, left=share, color=PALE, label="negatives")
    for y, value in enumerate(share.tolist()):
        inside = value > 0.15
        axes.text(
            value / 2 if inside else value + 0.01,
            y,
            f"{value:.1%}",
            ha="center" if inside else "left",
            va="center",
            color="white" if inside else "black",
            fontweight="bold",
        )
    axes.set_yticks(place, [f"{branch}\n{loss.label}" for branch, loss, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="y", visible=False)
    axes.set_title("Gradient on the class logits of one batch", loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False)


def _sizes(axes: Axes, it: Examination) -> None:
    sides = np.maximum(network_sides(it.train, it.diagnosis.imgsz), 0.5)
    bins = np.geomspace(sides.min() * 0.99, max(sides.max() * 1.01, sides.min() * 2), 41)
    axes.axvspan(bins[0], max(TINY_SIDE, bins[0]), color=ORANGE, alpha=0.12, linewidth=0)
    axes.hist(sides, bins=list(bins), color=BLUE, edgecolor="white", linewidth=0.5)
    axes.axvline(TINY_SIDE, color=ORANGE, linestyle="--", linewidth=1.4)
    axes.set_xscale("log")
    ticks = [tick for tick in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024) if bins[0] <= tick <= bins[-1]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    tiny = float((sides < TINY_SIDE).mean())
    axes.set_title(f"Box sides at imgsz={it.diagnosis.imgsz}: {tiny:.1%} below {TINY_SIDE:g} px", loc="left")
    axes.set(xlabel="root of the box area, pixels of the network's input", ylabel="training boxes")


def _frequencies(axes: Axes, it: Examination, shown: np.ndarray) -> None:
    place = np.arange(len(shown))
    splits = [("train", it.train, BLUE, -0.2)] + ([("val", it.val, PALE, 0.2)] if it.val is not None else [])
    for label, split, colour, offset in splits:
        assert split is not None
        counts = split.instances[shown]
        axes.barh(place + offset, counts, 0.38, color=colour, label=label)
        for y, count in zip(place + offset, counts, strict=True):
            axes.text(max(count, 0.8) * 1.06, y, f"{count:,}", va="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.7, max(int(it.train.instances.max()), 1) * 3)
    _class_ticks(axes, it, shown)
    left_out = len(it.train.names) - len(shown)
    note = f" ({left_out} classes not shown)" if left_out else ""
    axes.set_title(f"Boxes by class: imbalance {it.train.imbalance:.1f}{note}", loc="left")
    axes.set_xlabel("boxes (log scale)")
    axes.legend(loc="lower right")


def _pull_by_class(axes: Axes, it: Examination, shown: np.ndarray) -> None:
    place = np.arange(len(shown))
    losses = ((it.diagnosis.bce, GREY, -0.2), (it.diagnosis.other, GREEN, 0.2))
    for loss, colour, offset in losses:
        axes.barh(
            place + offset,
            loss.gradient_by_class()[shown],
            0.38,
            color=colour,
            label=loss.name if len(loss.name) <= 40 else loss.label,
        )
    boxes = it.train.instances[shown] / max(it.train.instances.sum(), 1)
    axes.plot(boxes, place, "|", color=ORANGE, markersize=16, markeredgewidth=2.2, label="share of the training boxes")
    _class_ticks(axes, it, shown)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title("Share of each class in that gradient", loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False, fontsize=9)


def _class_ticks(axes: Axes, it: Examination, shown: np.ndarray) -> None:
    axes.set_yticks(np.arange(len(shown)), [for_plot(it.train.names[index][:24]) for index in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
