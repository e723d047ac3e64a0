"""report.html: one file that needs nothing else, readable on a phone and at a desk.

Everything drawn is placed in per cent, so that bars and curves stretch with the page while its text does not.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import torch

import yolo_focal
from yolo_focal.comparison.configurations import BASELINE
from yolo_focal.comparison.metrics import PRIMARY, Metrics, class_metric
from yolo_focal.comparison.report.charts import Tick, axis, precision_recall_charts, training_charts
from yolo_focal.comparison.statistics.bootstrap import Difference
from yolo_focal.comparison.statistics.verdicts import Verdict
from yolo_focal.comparison.summary import LEAST_LEARNT, Summary, advice
from yolo_focal.comparison.trial import seconds_of
from yolo_focal.ultra import host

__all__ = ["comparison_page", "headline", "interval_text", "signed"]

_MARKS = {"better": "▲", "worse": "▼", "cannot tell": "?"}
_WIDEST = 3.0  # times the median interval; what reaches further is cut, or one rare class would squash the others


@dataclass(frozen=True)
class _Row:
    """A verdict as drawn."""

    verdict: Verdict
    note: str
    difference: str
    interval: str
    text: str
    left: float
    width: float
    dot: float
    cut_left: bool
    cut_right: bool

    @property
    def uncorrected(self) -> bool:
        """Whether the row alone would be settled, but not among so many."""
        each = self.verdict.difference
        return self.verdict.word == "cannot tell" and each.components.seeds > 1 and (each.low > 0 or each.high < 0)


@dataclass(frozen=True)
class _Scale:
    """An axis of differences."""

    place: Callable[[float], float]
    zero: float
    ticks: list[Tick]
    low: float
    high: float


@dataclass(frozen=True)
class _Block:
    """All verdicts on a configuration: on means over classes, and class by class."""

    name: str
    meaning: str
    colour: int
    seeds: int
    main: _Row
    overall: list[_Row]
    classes: list[_Row]
    main_scale: _Scale
    overall_scale: _Scale
    class_scale: _Scale


def comparison_page(summary: Summary) -> str:
    """The report."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("yolo_focal.comparison.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    colours = {each.name: index for index, each in enumerate(summary.plan.configurations)}
    plan = summary.plan
    return environment.get_template("report.html").render(
        plan=plan,
        baseline=BASELINE,
        marks=_MARKS,
        headline=headline(summary),
        command=summary.command if summary.won else None,
        configurations=[(each.name, str(each), colours[each.name]) for each in plan.configurations],
        **_measured(summary, colours),
        precision_recall=precision_recall_charts(summary.matches, colours, plan.split.classes)
        if summary.matches
        else [],
        training=training_charts(plan, colours),
        trials=_trials(summary),
        shared=[("data", plan.data), ("model", plan.model), ("split", plan.split.name), *plan.training.items()],
        resamples=summary.resamples,
        failed=len(summary.failed),
        versions=_versions(),
    )


def headline(summary: Summary) -> str:
    """The outcome in one sentence."""
    if not summary.verdicts:
        return f"Nothing can be compared: no pair of trials with {BASELINE} finished."
    if not summary.learnt:
        return f"Nothing was learnt: no configuration reaches an AP of {LEAST_LEARNT:g}. Train longer, then compare."
    if summary.winner.name == BASELINE:
        return f"Stay with {BASELINE}: nothing was shown to be better in AP."
    return f"Train with {summary.winner.name}: it was shown to be better in AP."


def signed(value: float) -> str:
    """A difference with its sign, three decimals; four where three would hide on which side of zero it is."""
    if math.isnan(value):
        return "-"
    digits = 3 if value == 0 or abs(value) >= 0.0005 else 4
    return f"{value:+.{digits}f}".replace("-", "−")


def interval_text(difference: Difference) -> str:
    """The interval of a difference, as text."""
    return "-" if math.isnan(difference.low) else f"{signed(difference.low)} to {signed(difference.high)}"


def _measured(summary: Summary, colours: dict[str, int]) -> dict[str, Any]:
    """What there is to show of measured trainings."""
    metrics = summary.metrics
    if metrics is None:
        return {"blocks": [], "means": [], "bars": [], "full_width": 1.0}
    return {
        "blocks": _blocks(summary, metrics, colours),
        "means": _means(summary, metrics),
        "bars": _bars(summary, metrics, colours),
        "full_width": _full_width(summary, metrics),
    }


def _blocks(summary: Summary, metrics: Metrics, colours: dict[str, int]) -> list[_Block]:
    first_class = metrics.classes
    order = _class_order(summary, metrics)
    overall = _scale([each for several in summary.verdicts.values() for each in several[:first_class]])
    classes = _scale([each for several in summary.verdicts.values() for each in several[first_class:]])
    primary = {
        name: next(each for each in verdicts if each.difference.metric == PRIMARY)
        for name, verdicts in summary.verdicts.items()
    }
    main = _scale(list(primary.values()))
    meaning = {each.name: str(each) for each in summary.plan.configurations}
    return [
        _Block(
            name=name,
            meaning=meaning[name],
            colour=colours[name],
            seeds=verdicts[0].difference.components.seeds,
            main=_row(primary[name], summary, main),
            overall=[_row(each, summary, overall) for each in verdicts[:first_class]],
            classes=[_row(verdicts[first_class + index], summary, classes) for index in order],
            main_scale=main,
            overall_scale=overall,
            class_scale=classes,
        )
        for name, verdicts in summary.verdicts.items()
    ]


def _class_order(summary: Summary, metrics: Metrics) -> list[int]:
    """Places of the classes among the class metrics, from the most to the least frequent in training."""
    members = metrics.members[metrics.classes :].argmax(1)
    return sorted(range(len(members)), key=lambda place: -summary.plan.split.training_instances[members[place]])


def _scale(verdicts: Sequence[Verdict]) -> _Scale:
    reaches = sorted(
        max(abs(v.difference.low), abs(v.difference.high)) for v in verdicts if not math.isnan(v.difference.low)
    )
    seen = max((abs(v.difference.difference) for v in verdicts), default=0.0)
    median = reaches[len(reaches) // 2] if reaches else 0.05
    bound = 1.05 * max(seen * 1.2, min(reaches[-1] if reaches else 0.05, _WIDEST * median), 0.005)
    numbers = axis(-bound, bound, 4)[2]

    def place(value: float) -> float:
        return min(max(50 + 50 * value / bound, 0.0), 100.0)

    ticks = [
        Tick(place(n), "0" if abs(n) < 1e-9 else f"{n:+.3g}".replace("-", "−")) for n in numbers if abs(n) <= bound
    ]
    return _Scale(place, place(0), ticks, -bound, bound)


def _row(verdict: Verdict, summary: Summary, scale: _Scale) -> _Row:
    each = verdict.difference
    known = not math.isnan(each.low)
    low, high = (each.low, each.high) if known else (each.difference, each.difference)
    left = scale.place(low)
    return _Row(
        verdict=verdict,
        note=_note(each, summary),
        difference=signed(each.difference),
        interval=interval_text(each),
        text=advice(verdict, summary.plan.split.images),
        left=left,
        width=scale.place(high) - left,
        dot=scale.place(each.difference),
        cut_left=low < scale.low,
        cut_right=high > scale.high,
    )


def _note(difference: Difference, summary: Summary) -> str:
    """How much there is to measure a class on."""
    split = summary.plan.split
    names = [class_metric(name) for name in split.classes]
    if difference.metric not in names:
        return ""
    seen = split.training_instances[names.index(difference.metric)]
    return f"{seen} in training · in {difference.components.images} of {split.images} images"


def _means(summary: Summary, metrics: Metrics) -> list[tuple[str, list[str]]]:
    """Mean and standard deviation over seeds of every metric, by configuration."""
    rows = []
    for place, name in enumerate(metrics.names):
        cells = []
        for each in summary.plan.configurations:
            values = summary.measured[each.name].value[:, place] if each.name in summary.measured else None
            if values is None:
                cells.append("-")
            elif len(values) == 1:
                cells.append(f"{values[0]:.3f}")
            else:
                cells.append(f"{values.mean():.3f} ± {values.std(ddof=1):.3f}")
        rows.append((name, cells))
    return rows


def _full_width(summary: Summary, metrics: Metrics) -> float:
    """The AP at the right end of the bars: a round number above all of them."""
    highest = max(float(each.value[:, metrics.classes :].max()) for each in summary.measured.values())
    return max(axis(0.0, highest, 4)[1], 0.01)


def _bars(summary: Summary, metrics: Metrics, colours: dict[str, int]) -> list[dict[str, Any]]:
    """AP of every class, a bar per configuration and a dot per seed, most frequent first."""
    rows = []
    for place in _class_order(summary, metrics):
        row = metrics.classes + place
        bars = [
            {"colour": colours[name], "mean": float(each.value[:, row].mean()), "dots": each.value[:, row].tolist()}
            for name, each in sorted(summary.measured.items(), key=lambda item: colours[item[0]])
        ]
        members = int(metrics.members[row].argmax())
        split = summary.plan.split
        rows.append(
            {
                "name": split.classes[members],
                "bucket": split.buckets[members],
                "seen": split.training_instances[members],
                "bars": bars,
            }
        )
    return rows


def _trials(summary: Summary) -> list[dict[str, Any]]:
    rows = []
    for trial in summary.plan.trials():
        key = (trial.configuration, trial.seed)
        row = summary.finished.get(key)
        seconds = seconds_of(trial.folder)
        rows.append(
            {
                "configuration": trial.configuration,
                "seed": trial.seed,
                "ap": f"{row['stats']['AP']:.3f}" if row else "-",
                "criterion": "; ".join(f"{branch}: {what}" for branch, what in row["criterion"].items())
                if row
                else "-",
                "seconds": f"{seconds:.0f} s" if seconds is not None else "-",
                "error": summary.failed.get(key),
            }
        )
    return rows


def _versions() -> str:
    return f"yolo_focal {yolo_focal.__version__}, ultralytics {host.version()}, torch {torch.__version__}"
