"""The Markdown tables of docs/evidence.md."""

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.definition import Study, read_studies
from studies.raw_results import LIMIT, NMS_FREE, SCORES, ap_by_trial, read_rows, read_summary
from studies.seed_statistics import differences_by_seed, mean_with_interval, verdicts
from yolo_focal.comparison.configurations import BASELINE

__all__ = ["epochs_table", "pairs_table", "place_tables"]

_EPOCHS = "epochs"  # the question that the shorter studies answer, too
_TOO_SMALL = "cannot tell: too small"  # for any practical number of seeds and images
_SCORE_COLUMNS = {"error": ".3f", "threshold": ".2f", "candidates": ",.0f"}


def place_tables(page: str, studies: Sequence[Study], folder: Path) -> str:
    """`page` with the table of every `<!-- table study/question -->` as the raw results give it."""
    by_name = {study.name: study for study in studies}

    def made(match: re.Match[str]) -> str:
        study, question = match["study"], match["question"]
        if study not in by_name:
            return match[0]
        content = _content(by_name[study], question, folder)
        return f"<!-- table {study}/{question} -->\n{content}\n<!-- end -->"

    pattern = r"<!-- table (?P<study>[\w-]+)/(?P<question>[\w-]+) -->\n.*?<!-- end -->"
    return re.sub(pattern, made, page, flags=re.DOTALL)


def _content(study: Study, question: str, folder: Path) -> str:
    special = {SCORES: scores_table, LIMIT: limit_table, NMS_FREE: nms_free_table, _EPOCHS: epochs_table}
    if question in special:
        return special[question](study, folder)
    return pairs_table(study, question, folder) if question in study.pairs else table(study, question, folder)


def table(study: Study, question: str, folder: Path) -> str:
    """The Markdown table of one question, from the raw results in `folder`: a row for each configuration."""
    summary = read_summary(study, folder)
    metrics = [name for name in study.metrics if name in summary["baseline"]]
    found = {name: summary["configurations"].get(name) for name in study.questions[question]}
    measured = {name: each for name, each in found.items() if each is not None}
    seeds = max((len(each["seeds"]) for each in measured.values()), default=0)
    head = _row("configuration", [(name, "difference, 95 %") for name in metrics], "verdict")
    rows = [[*_row(BASELINE, [(f"{summary['baseline'][name]:.3f}", "") for name in metrics], ""), str(seeds)]]
    for name, each in measured.items():
        results = [each["results"][metric] for metric in metrics]
        pairs = [(f"{result['mean']:.3f}", _difference(result)) for result in results]
        rows.append([*_row(f"`{name}`", pairs, _verdict(results[0])), str(len(each["seeds"]))])
    return _markdown(head, rows)


def pairs_table(study: Study, question: str, folder: Path) -> str:
    """The Markdown table of pairs: the difference of the first to the second, over the seeds that both have."""
    pairs, ap = study.pairs[question], ap_by_trial(study, folder)
    differences = [differences_by_seed(ap, *pair) for pair in pairs]
    rows = [
        [f"`{first}`", f"`{second}`", mean_with_interval(each, "+.3f"), word, str(len(each))]
        for (first, second), each, word in zip(pairs, differences, verdicts(differences), strict=True)
    ]
    return _markdown(["configuration", "in place of", "AP, 95 %", "verdict"], rows)


def epochs_table(study: Study, folder: Path) -> str:
    """The Markdown table of a study and the shorter ones: a row for each number of epochs, the fewest first.

    What BCE itself has gained since the row above, over the seeds of both, says whether its training has converged.
    """
    names = [name for name in study.configurations if name != BASELINE]
    metrics = ("AP", "AP rare")
    head = [
        "epochs",
        "bce",
        "above the row above, 95 %",
        *(f"`{name}`, {metric}" for name in names for metric in metrics),
    ]
    rows: list[list[str]] = []
    before: dict[int, float] = {}
    for each in sorted([*read_studies(study.shorter, 1.0), study], key=lambda each: each.training["epochs"]):
        summary, ap = read_summary(each, folder), ap_by_trial(each, folder)
        now = {seed: value for (name, seed), value in ap.items() if name == BASELINE}
        gained = [now[seed] - before[seed] for seed in sorted(now.keys() & before.keys())]
        results = [summary["configurations"].get(name, {}).get("results") for name in names]
        cells = [_difference_and_verdict(result[metric]) if result else "" for result in results for metric in metrics]
        own = [f"{summary['baseline']['AP']:.3f}", mean_with_interval(gained, "+.3f") if gained else ""]
        rows.append([str(each.training["epochs"]), *own, *cells, str(len(now))])
        before = now
    return _markdown(head, rows)


def nms_free_table(study: Study, folder: Path) -> str:
    """The Markdown table of the branch without NMS: a row for each configuration, over the seeds."""
    kept = read_rows(folder / study.name / f"{NMS_FREE}.jsonl", NMS_FREE)
    metrics = ("AP", "AP rare")
    by_trial = {metric: {(row["configuration"], row["seed"]): row[metric] for row in kept} for metric in metrics}
    others = [name for name in study.nms_free if name != BASELINE]
    words = verdicts([differences_by_seed(by_trial["AP"], name, BASELINE) for name in others])
    rows = []
    for name, word in zip([BASELINE, *others], ["", *words], strict=True):
        some = [row for row in kept if row["configuration"] == name]
        means = [f"{statistics.mean(row[metric] for row in some):.3f}" for metric in metrics]
        differences = [differences_by_seed(by_trial[metric], name, BASELINE) for metric in metrics]
        beside = ["" if name == BASELINE else mean_with_interval(each, "+.3f") for each in differences]
        shown = name if name == BASELINE else f"`{name}`"
        rows.append([*_row(shown, list(zip(means, beside, strict=True)), word), str(len(some))])
    return _markdown(_row("configuration", [(metric, "difference, 95 %") for metric in metrics], "verdict"), rows)


def _row(name: str, pairs: Sequence[tuple[str, str]], verdict: str) -> list[str]:
    """Mean and difference of each metric; the verdict is that of the first and stands beside it."""
    first, *others = pairs
    return [name, *first, verdict, *(cell for pair in others for cell in pair)]


def _verdict(result: Mapping[str, Any]) -> str:
    """The verdict, and where it is open what would settle it."""
    words: str = result["in_words"]
    return _TOO_SMALL if "too small a difference" in words else words.replace("would likely take", "it would take")


def _difference(result: Mapping[str, Any]) -> str:
    if result["low"] is None:
        return f"{result['difference']:+.3f}"
    return f"{result['difference']:+.3f} ({result['low']:+.3f} to {result['high']:+.3f})"


def _difference_and_verdict(result: Mapping[str, Any]) -> str:
    word = "" if result["verdict"] == "cannot tell" else f" {result['verdict']}"
    return f"{_difference(result)}{word}"


def scores_table(study: Study, folder: Path) -> str:
    """The Markdown table of the scores' worth: means over seeds, with 95 % intervals, before and after calibration."""
    kept = read_rows(folder / study.name / f"{SCORES}.jsonl", SCORES)
    head = ["configuration", "", "calibration error, 95 %", "best threshold, 95 %", "candidates an image, 95 %", "AP"]
    rows = []
    for name in study.scores:
        some = [row for row in kept if row["configuration"] == name]
        for when in ("before", "after"):
            columns = {key: [row[when][key] for row in some] for key in some[0][when]} if some else {}
            if columns:
                cells = [mean_with_interval(columns[key], form) for key, form in _SCORE_COLUMNS.items()]
                ap = f"{statistics.mean(columns['AP']):.4f}"
                rows.append([f"`{name}`", when, *cells, ap, str(len(some))])
    return _markdown(head, rows)


def limit_table(study: Study, folder: Path) -> str:
    """The Markdown table of what NMS's time limit loses: means over the seeds, the difference with its interval."""
    kept = read_rows(folder / study.name / f"{LIMIT}.jsonl", LIMIT)
    head = ["configuration", "batch", "NMS, ms an image", "images lost", "AP", "AP with the limit", "difference, 95 %"]
    rows = []
    for name in study.limit["configurations"]:
        for batch in study.limit["batch"]:
            some = [row for row in kept if (row["configuration"], row["batch"]) == (name, batch)]
            if not some:
                continue
            pairs = [(row["unlimited"], row["limited"]) for row in some]
            free, bound = (statistics.mean(each["AP"] for each in side) for side in zip(*pairs, strict=True))
            lost = statistics.mean(with_limit["empty"] - without["empty"] for without, with_limit in pairs)
            cells = [
                f"{statistics.median(without['nms_ms'] for without, _ in pairs):.0f}",
                f"{lost:.0f} of {pairs[0][0]['images']}",
                f"{free:.3f}",
                f"{bound:.3f}",
                mean_with_interval([with_limit["AP"] - without["AP"] for without, with_limit in pairs], "+.3f"),
            ]
            rows.append([f"`{name}`", str(batch), *cells, str(len(some))])
    return _markdown(head, rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose last column is the number of seeds."""
    lines = [[*head, "seeds"], ["---"] * (len(head) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
