"""The curves of a report as paths in a square of 100 x 100, to be stretched to whatever width the reader has."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yolo_focal.comparison.plan import Plan
from yolo_focal.comparison.trial import RUN
from yolo_focal.evaluation.boxes import Floats
from yolo_focal.evaluation.coco_eval import RECALLS
from yolo_focal.evaluation.matching import ImageMatches

__all__ = ["Curve", "LineChart", "Tick", "axis", "precision_recall_charts", "training_charts"]

MOST_CHARTS = 12  # small charts that are still of use in one report
FEWEST_EPOCHS = 2  # a curve has two points


@dataclass(frozen=True)
class Tick:
    """A number on an axis: its place in per cent of the axis, and how it is written."""

    place: float
    label: str


@dataclass(frozen=True)
class Curve:
    """One line.

    Attributes:
        colour: index of the configuration.
        path: SVG path data.
        faint: whether it is a single training behind the mean.
    """

    colour: int
    path: str
    faint: bool


@dataclass(frozen=True)
class LineChart:
    """A chart with its axes."""

    title: str
    x_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    curves: list[Curve]


def axis(low: float, high: float, count: int = 5) -> tuple[float, float, list[float]]:
    """Round ends of an axis that holds `low` to `high`, and about `count` round numbers on it."""
    if not high > low:
        low, high = low - 0.05, high + 0.05
    raw = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return first * step, last * step, [number * step for number in range(first, last + 1)]


def precision_recall_charts(
    matches: Mapping[str, Mapping[int, ImageMatches]], colours: Mapping[str, int], classes: Sequence[str]
) -> list[LineChart]:
    """Precision over recall at IoU 0.5: all classes, then each class; means over seeds."""
    curves = {
        name: np.array([_precision_by_class(each) for each in trials.values()]) for name, trials in matches.items()
    }
    present = [index for index in range(len(classes)) if not np.isnan(next(iter(curves.values()))[0, index, 0])]
    panels: list[tuple[str, list[int]]] = [("all classes", present)]
    panels += [(classes[index], [index]) for index in present[:MOST_CHARTS]] if len(present) > 1 else []
    ticks = [Tick(100 * value, f"{value:g}") for value in (0, 0.25, 0.5, 0.75, 1)]
    charts = []
    for title, members in panels:
        lines = []
        for name, several in curves.items():
            by_seed = several[:, members].mean(1)
            if len(by_seed) > 1:
                lines += [Curve(colours[name], _path(RECALLS, each, (0, 1), (0, 1)), True) for each in by_seed]
            lines.append(Curve(colours[name], _path(RECALLS, by_seed.mean(0), (0, 1), (0, 1)), False))
        charts.append(LineChart(title, "recall", ticks, ticks, sorted(lines, key=lambda line: not line.faint)))
    return charts


def _precision_by_class(matches: ImageMatches) -> Floats:
    """(K, 101) the best precision reached at each recall or beyond it, at IoU 0.5; NaN without objects."""
    curves = np.full((matches.classes, len(RECALLS)), np.nan)
    for index in range(matches.classes):
        objects = matches.objects_per_class[index]
        if not objects:
            continue
        rows = slice(matches.class_start[index], matches.class_start[index + 1])
        counts = ~matches.ignored[0, rows]
        true = np.cumsum(matches.matched[0, rows][counts])
        precision = np.maximum.accumulate((true / np.arange(1, len(true) + 1))[::-1])[::-1]
        first = np.searchsorted(true / objects, RECALLS)
        curves[index] = np.r_[precision, 0.0][first]
    return curves


def training_charts(plan: Plan, colours: Mapping[str, int]) -> list[LineChart]:
    """Validation mAP and box loss by epoch, from the results.csv of every training that has one."""
    wanted = {"box loss in training": "train/box_loss"}
    if plan.training.get("val", True):  # else only the last epoch has one, and zeros stand before it
        wanted = {"mAP 0.50:0.95 on the validation split": "metrics/mAP50-95(B)", **wanted}
    charts = []
    for title, column in wanted.items():
        runs: dict[str, list[list[float]]] = {}
        for trial in plan.trials():
            values = _column(trial.folder / RUN / "results.csv", column)
            if len(values) >= FEWEST_EPOCHS and any(values):
                runs.setdefault(trial.configuration, []).append(values)
        if runs:
            charts.append(_by_epoch(title, runs, colours))
    return charts


def _by_epoch(title: str, runs: Mapping[str, list[list[float]]], colours: Mapping[str, int]) -> LineChart:
    everything = [value for several in runs.values() for values in several for value in values]
    epochs = max(len(values) for several in runs.values() for values in several)
    low, high, y_numbers = axis(min(everything), max(everything), 4)
    x_low, x_high = 1, epochs
    curves = []
    for name, several in runs.items():
        shortest = min(len(values) for values in several)
        mean = np.mean([values[:shortest] for values in several], axis=0)
        faint = several if len(several) > 1 else []
        for values in (*faint, mean):
            path = _path(np.arange(1, len(values) + 1), np.asarray(values), (x_low, x_high), (low, high))
            curves.append(Curve(colours[name], path, values is not mean))
    x_numbers = sorted({*(n for n in map(round, axis(1, epochs, 5)[2]) if 1 < n < epochs), 1, epochs})
    return LineChart(
        title,
        "epoch",
        [Tick(100 * (number - x_low) / (x_high - x_low), str(number)) for number in x_numbers],
        [Tick(100 * (number - low) / (high - low), f"{number:.3g}") for number in y_numbers],
        sorted(curves, key=lambda line: not line.faint),
    )


def _column(path: Path, name: str) -> list[float]:
    """The numbers of one column of a results.csv; empty where file or column are missing or damaged."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{key.strip(): value for key, value in row.items() if key} for row in csv.DictReader(file)]
        values = [float(row[name]) for row in rows if row.get(name)]
    except (OSError, ValueError, csv.Error):
        return []
    return values if all(map(math.isfinite, values)) else []


def _path(x: npt.NDArray[np.generic], y: Floats, x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    across = 100 * (np.asarray(x, dtype=np.float64) - x_range[0]) / (x_range[1] - x_range[0])
    down = 100 - 100 * (y - y_range[0]) / (y_range[1] - y_range[0])
    return "M" + " L".join(f"{a:.2f},{b:.2f}" for a, b in zip(across, down, strict=True))
