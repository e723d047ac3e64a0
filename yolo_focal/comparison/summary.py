"""What a comparison found: differences, intervals, verdicts, the winner and the command that trains it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yolo_focal
from yolo_focal.comparison.configurations import BASELINE, Configuration
from yolo_focal.comparison.journal import Journal
from yolo_focal.comparison.metrics import PRIMARY, Metrics
from yolo_focal.comparison.plan import Plan
from yolo_focal.comparison.statistics.bootstrap import (
    Measured,
    common_seeds,
    measure_resamples,
    paired_differences,
)
from yolo_focal.comparison.statistics.verdicts import LEVEL, Verdict, judge
from yolo_focal.comparison.trial import MATCHES
from yolo_focal.console import pasteable
from yolo_focal.data.progress_bar import progress_bar
from yolo_focal.errors import DataError
from yolo_focal.evaluation.matches_file import load_matches
from yolo_focal.evaluation.matching import ImageMatches
from yolo_focal.numbers import null_for_nan
from yolo_focal.text_table import as_csv
from yolo_focal.ultra import host

__all__ = [
    "LEAST_LEARNT",
    "Summary",
    "advice",
    "results_csv",
    "results_rows",
    "summarise",
    "summary_document",
    "unjudged",
    "verdict_text",
]

_COLUMNS = (  # of results.csv
    *("configuration", "metric", "mean", "baseline", "difference", "low", "high", "p_value", "adjusted_p_value"),
    *("verdict", "seeds_needed", "images_needed"),
)
LEAST_LEARNT = 0.005  # AP of a training that has learnt anything


@dataclass(frozen=True, eq=False)
class Summary:
    """The findings.

    Attributes:
        plan: the comparison.
        resamples: resamples of the images behind each interval.
        metrics: what was measured; None where the baseline has no finished trial.
        matches: per-image results of every finished trial, by configuration and seed.
        measured: every metric of every finished trial, by configuration.
        verdicts: on every difference, by configuration other than the baseline; empty where no pair of trials finished.
        finished: the journal's row of every finished trial by configuration and seed.
        failed: the error of every failed trial by configuration and seed.
        winner: of the configurations shown to be better in AP the one furthest above the baseline, else the baseline.
    """

    plan: Plan
    resamples: int
    metrics: Metrics | None
    matches: Mapping[str, Mapping[int, ImageMatches]]
    measured: Mapping[str, Measured]
    verdicts: Mapping[str, list[Verdict]]
    finished: Mapping[tuple[str, int], dict[str, Any]]
    failed: Mapping[tuple[str, int], str]
    winner: Configuration

    @property
    def learnt(self) -> bool:
        """Whether any configuration is so good that differences mean something."""
        return max((float(each.value[:, 0].mean()) for each in self.measured.values()), default=1.0) >= LEAST_LEARNT

    @property
    def won(self) -> bool:
        """Whether a configuration other than the baseline is to be trained."""
        return self.learnt and self.winner.name != BASELINE

    @property
    def command(self) -> str:
        """Trains the winner as it was trained here."""
        asked = self.plan.asked(self.winner).items()
        arguments = {name: value for name, value in asked if value is not None and name != "save"}
        return pasteable("train", model=self.plan.model, **arguments, seed=self.plan.seeds[0])


def summarise(plan: Plan, journal: Journal, resamples: int) -> Summary:
    """Read the finished trials of a comparison and judge every configuration against the baseline."""
    finished = journal.finished()
    matches: dict[str, dict[int, ImageMatches]] = {each.name: {} for each in plan.configurations}
    for trial in plan.trials():
        if (trial.configuration, trial.seed) in finished:
            matches[trial.configuration][trial.seed] = load_matches(trial.folder / MATCHES)
    matches = {name: trials for name, trials in matches.items() if trials}
    any_trial = next((each for trials in matches.values() for each in trials.values()), None)
    if any_trial is not None:
        _check_same_objects(matches, any_trial)
    metrics = Metrics.of(any_trial, plan.split.classes, plan.split.buckets) if any_trial is not None else None
    measured: dict[str, Measured] = {}
    verdicts: dict[str, list[Verdict]] = {}
    if metrics is not None:
        progress = progress_bar(matches.items(), "Resampling images")
        measured = {name: measure_resamples(trials, metrics, resamples) for name, trials in progress}
    if metrics is not None and BASELINE in measured:
        differences = {
            name: paired_differences(each, measured[BASELINE], metrics)
            for name, each in measured.items()
            if name != BASELINE
        }
        verdicts = judge({name: rows for name, rows in differences.items() if rows})
    return replace(
        unjudged(plan, journal, resamples),
        metrics=metrics,
        matches=matches,
        measured=measured,
        verdicts=verdicts,
        winner=_winner(plan, verdicts),
    )


def unjudged(plan: Plan, journal: Journal, resamples: int) -> Summary:
    """What is there of a comparison, without measuring or judging any of it."""
    return Summary(
        plan=plan,
        resamples=resamples,
        metrics=None,
        matches={},
        measured={},
        verdicts={},
        finished=journal.finished(),
        failed={key: row["error"] for key, row in journal.failed().items()},
        winner=_winner(plan, {}),
    )


def _winner(plan: Plan, verdicts: Mapping[str, list[Verdict]]) -> Configuration:
    by_name = {each.name: each for each in plan.configurations}
    better = {
        name: verdict.difference.difference  # and not AP, which is over other seeds where trials have failed
        for name, several in verdicts.items()
        for verdict in several
        if verdict.difference.metric == PRIMARY and verdict.word == "better"
    }
    return by_name[max(better, key=better.__getitem__, default=BASELINE)]


def verdict_text(verdict: Verdict, images: int) -> str:
    """The verdict in words, with what would likely settle an open one.

    Args:
        verdict: to put into words.
        images: number of images in the split.
    """
    return ": ".join([verdict.word, *filter(None, [advice(verdict, images)])])


def _check_same_objects(matches: Mapping[str, Mapping[int, ImageMatches]], first: ImageMatches) -> None:
    """Raise DataError unless all trainings were evaluated on the same images with the same objects."""
    for name, trials in matches.items():
        for seed, each in trials.items():
            if not each.on_the_same_objects(first):
                raise DataError(
                    f"{name} seed {seed} was evaluated on {each.images} images with {len(each.object_image)} objects, "
                    f"another trial on {first.images} with {len(first.object_image)}, or on other ones: the split has "
                    "changed since; compare again in a new out= folder"
                )


def advice(verdict: Verdict, images: int) -> str:
    """Why an open question is open and what would likely settle it; empty where it is settled.

    Args:
        verdict: the answer so far.
        images: number of images in the split.
    """
    difference, components = verdict.difference, verdict.difference.components
    if verdict.word != "cannot tell":
        return ""
    if components.seeds < 2:
        return "one seed does not show how much trainings differ by luck, give seeds=3 or more"
    if components.same_luck and difference.difference:
        return "every seed shows the same difference, which says nothing of luck; give more seeds"
    if verdict.required is None:
        return f"only {components.images} image{'s' * (components.images != 1)} can show it"
    if difference.difference == 0:
        return "no difference was seen"
    seeds, times, both = verdict.required.seeds, verdict.required.images_times, verdict.required.both_times
    options = [f"{seeds} seeds"] if seeds is not None else []
    options += [f"{_round_up(images * times)} images"] if times is not None else []
    if not options and both is not None:
        options = [f"{math.ceil(components.seeds * both)} seeds and {_round_up(images * both)} images together"]
    if not options:
        return "too small a difference for any practical number of seeds and images"
    return f"would likely take {' or '.join(options)}"


def _round_up(images: float) -> int:
    """Two leading digits are all that such an estimate is worth."""
    unit = math.pow(10, max(math.floor(math.log10(images)) - 1, 0))
    return math.ceil(images / unit) * int(unit)


def summary_document(summary: Summary) -> dict[str, Any]:
    """The content of summary.json."""
    plan = summary.plan
    return {
        "comparison": plan.identity(),
        "versions": {"yolo_focal": yolo_focal.__version__, "ultralytics": host.version()},
        "statistics": {
            "interval": "95 %, paired bootstrap over images and seeds, Student's t",
            "correction": "Holm's weighted procedure over all verdicts of the comparison: half of the level for AP",
            "level": LEVEL,
            "resamples": summary.resamples,
        },
        "winner": summary.winner.name,
        "command": summary.command,
        "baseline": _means(summary, BASELINE),
        "configurations": {
            each.name: {
                "meaning": str(each),
                "seeds": _paired_seeds(summary, each.name),
                "results": {v.difference.metric: _result(v, summary) for v in summary.verdicts.get(each.name, [])},
            }
            for each in plan.configurations
            if each.name != BASELINE
        },
        "failed": [{"configuration": name, "seed": seed, "error": why} for (name, seed), why in summary.failed.items()],
    }


def _paired_seeds(summary: Summary, name: str) -> list[int]:
    measured = summary.measured
    return common_seeds(measured[name], measured[BASELINE]) if {name, BASELINE} <= measured.keys() else []


def _means(summary: Summary, name: str) -> dict[str, float]:
    if name not in summary.measured or summary.metrics is None:
        return {}
    means = summary.measured[name].value.mean(0).tolist()
    return dict(zip(summary.metrics.names, means, strict=True))


def _result(verdict: Verdict, summary: Summary) -> dict[str, Any]:
    difference, required = verdict.difference, verdict.required
    images = summary.plan.split.images
    return {
        "mean": difference.value,
        "baseline": difference.baseline,
        "difference": difference.difference,
        "low": null_for_nan(difference.low),
        "high": null_for_nan(difference.high),
        "p_value": null_for_nan(difference.p_value),
        "adjusted_p_value": null_for_nan(verdict.adjusted_p),
        "verdict": verdict.word,
        "in_words": verdict_text(verdict, images),
        "seeds_needed": required.seeds if required else None,
        "images_needed": _round_up(images * required.images_times) if required and required.images_times else None,
    }


def results_rows(summary: Summary) -> list[dict[str, Any]]:
    """The rows of results.csv: one per configuration and metric, None where a number is undefined.

    The baseline's have its means alone.
    """
    rows = [
        {"configuration": BASELINE, "metric": name, "mean": mean} for name, mean in _means(summary, BASELINE).items()
    ]
    for name, verdicts in summary.verdicts.items():
        rows += [
            {"configuration": name, "metric": each.difference.metric, **_result(each, summary)} for each in verdicts
        ]
    return [{name: row.get(name) for name in _COLUMNS} for row in rows]


def results_csv(summary: Summary) -> str:
    """The content of results.csv: empty cells where a number is undefined."""
    return as_csv(_COLUMNS, results_rows(summary))
