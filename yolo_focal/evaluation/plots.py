"""An evaluation in pictures: AP by class, precision and recall over the threshold, reliability, NMS candidates."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.patches import Patch

from yolo_focal.evaluation.calibration import Calibration
from yolo_focal.evaluation.evaluation import ClassResult, Evaluation
from yolo_focal.evaluation.thresholds import threshold_curve
from yolo_focal.foreign_text import for_plot
from yolo_focal.plot_style import AMBER, BLUE, GREEN, GREY, ORANGE, plain_axes, save_figure, styled

__all__ = [
    "plot_candidates",
    "plot_per_class",
    "plot_reliability",
    "plot_reliability_side_by_side",
    "plot_thresholds",
]

BUCKET_COLOURS = {"rare": ORANGE, "common": AMBER, "frequent": BLUE, None: BLUE}
MOST_CLASSES = 100  # bars that are still legible in one picture
LONGEST_NAME = 40  # characters that leave room for the bars


def plot_per_class(evaluation: Evaluation, path: Path) -> None:
    """Bars of AP with marks of AP50, classes from the most to the least frequent, coloured by bucket."""
    present = [result for result in evaluation.classes if result.objects]
    classes = _least_frequent(present)
    figure = Figure(figsize=(8, 1.6 + 0.24 * max(len(classes), 3)), layout="constrained")
    axes = plain_axes(figure)
    place = np.arange(len(classes))
    axes.barh(place, [result.ap for result in classes], color=[BUCKET_COLOURS[result.bucket] for result in classes])
    axes.plot([result.ap50 for result in classes], place, "|", color="black", markersize=9, markeredgewidth=1.6)
    axes.set_yticks(place, [_label(result) for result in classes])
    axes.set_ylim(max(len(classes), 1) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("bar: AP (IoU 0.50:0.95)     mark: AP50")
    axes.grid(axis="y", visible=False)
    shown = f", the {MOST_CLASSES} least frequent classes" if len(classes) < len(present) else ""
    axes.set_title(f"AP by class{shown}: {evaluation.stats['AP']:.3f} over all")
    buckets = [bucket for bucket in evaluation.buckets if bucket.evaluated]
    if buckets:
        handles = [Patch(color=BUCKET_COLOURS[each.name], label=f"{each.name}: AP {each.ap:.3f}") for each in buckets]
        figure.legend(handles=handles[::-1], loc="outside lower center", ncols=3, frameon=False)
    save_figure(figure, path)


def plot_thresholds(evaluation: Evaluation, path: Path) -> None:
    """Precision, recall and F1 at IoU 0.5 over the confidence threshold, all classes together."""
    curve = threshold_curve(evaluation.matches)
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = plain_axes(figure)
    best = evaluation.best_f1
    if curve is not None and best is not None and best.f1 > 0:
        for values, label, colour in ((curve.precision, "precision", BLUE), (curve.recall, "recall", ORANGE)):
            axes.step(curve.threshold, values, where="pre", color=colour, label=label, linewidth=1.4)
        axes.step(curve.threshold, curve.f1, where="pre", color=GREEN, label="F1", linewidth=2.4)
        axes.plot(best.threshold, best.f1, "o", color=GREEN, markeredgecolor="black")
        if (default := evaluation.at_default_conf) is not None:
            axes.axvline(default.threshold, color=GREY, linestyle=":", label=evaluation.default_conf.rstrip(","))
        axes.set_title(f"Best F1 {best.f1:.3f} at conf={best.threshold:.3f} (IoU 0.5, all classes)")
        axes.legend(loc="best")
    else:
        axes.set_title("No objects" if best is None else "No detection is right at IoU 0.5")
        _say_why_empty(axes, "no threshold is better than another")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence threshold")
    save_figure(figure, path)


def plot_reliability(scores: Calibration, path: Path) -> None:
    """Share of true positives over the score, bin by bin, against the mean score; below, how many detections."""
    figure = Figure(figsize=(5.6, 6.6), layout="constrained")
    _draw_reliability(figure, scores)
    save_figure(figure, path)


def plot_reliability_side_by_side(rows: Sequence[Mapping[str, Calibration]], path: Path) -> None:
    """One `plot_reliability` beside the other under their names, row by row; all rows have equally many."""
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(5.6 * columns, 6.9 * len(rows)), layout="constrained")
    panels = figure.subfigures(len(rows), columns, squeeze=False)
    for place, row in zip(panels, rows, strict=True):
        for panel, (name, scores) in zip(place, row.items(), strict=True):
            panel.suptitle(name, fontweight="bold")
            _draw_reliability(panel, scores)
    most = max(int(scores.counts.max(initial=1)) for row in rows for scores in row.values())
    for axes in figure.axes[1::2]:  # below each curve, how many detections it is made of
        axes.set_ylim(0.8, 1.5 * max(most, 1))
    save_figure(figure, path)


def _draw_reliability(figure: FigureBase, scores: Calibration) -> None:
    bins = len(scores.counts)
    edges = np.linspace(0, 1, bins + 1)
    centre, width = (edges[:-1] + edges[1:]) / 2, 0.94 / bins
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for axes in (upper, lower):
        styled(axes)
    upper.bar(centre, scores.precision, width, color=BLUE, label="true positives at IoU 0.5")
    style = {"color": ORANGE, "linewidth": 3, "label": "mean score of the bin"}
    upper.hlines(scores.mean_score, centre - width / 2, centre + width / 2, **style)
    upper.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1.2, label="perfectly calibrated")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of true positives")
    upper.legend(loc="upper left")
    if scores.detections:
        side = "overconfident" if scores.bias > 0 else "underconfident"
        title = f"Calibration error {scores.error:.3f}, {side} by {abs(scores.bias):.3f} on average"
        upper.set_title(title, fontsize="medium")
    lower.bar(centre, scores.counts, width, color=GREY)
    if scores.counts.max(initial=0) > 0:
        lower.set_yscale("log")
    else:
        lower.set_yticks([])
        _say_why_empty(upper, f"no detection has a score of {scores.least_score:g} or more")
    lower.set(xlabel=f"score (detections of {scores.least_score:g} and above)", ylabel="detections")


def _say_why_empty(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.12, text, transform=axes.transAxes, ha="center", color=GREY)


def plot_candidates(counts: Sequence[int], conf: float, path: Path) -> None:
    """How many images have how many candidates before NMS."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = plain_axes(figure)
    bins, span, most = min(40, max(5, len(set(counts)))), None, max(counts, default=0)
    if most - min(counts, default=0) < 0.05 * most:  # one bar of ordinary width, not one that nobody sees
        bins, span = 20, (0, 1.05 * most)
    axes.hist(
        np.asarray(counts),
        bins=bins,
        range=span,
        color=BLUE,
        edgecolor="white",
        linewidth=0.5,
    )
    mean = float(np.mean(counts))
    axes.axvline(mean, color=ORANGE, linewidth=2, label=f"mean {mean:,.0f}")
    axes.set(xlabel=f"(box, class) candidates above conf={conf:g} in an image", ylabel="images")
    axes.set_xlim(left=0)
    axes.set_title("What reaches NMS")
    axes.legend()
    save_figure(figure, path)


def _least_frequent(classes: Sequence[ClassResult]) -> list[ClassResult]:
    def frequency(result: ClassResult) -> int:
        return result.objects if result.training_instances is None else result.training_instances

    return sorted(classes, key=frequency, reverse=True)[-MOST_CLASSES:]


def _label(result: ClassResult) -> str:
    name = for_plot(result.category.name[:LONGEST_NAME])
    if result.training_instances is None:
        return f"{name} ({result.objects:,} here)"
    return f"{name} ({result.training_instances:,} in training)"
