"""summary.json, results.csv and report.html written into the folder, and the outcome in plain text."""

from yolo_focal.comparison.configurations import BASELINE
from yolo_focal.comparison.metrics import PRIMARY
from yolo_focal.comparison.report.html import comparison_page, headline, interval_text, signed
from yolo_focal.comparison.summary import Summary, results_csv, summary_document, verdict_text
from yolo_focal.files import write_json, write_text
from yolo_focal.text_table import aligned

__all__ = ["write_report"]


def write_report(summary: Summary) -> str:
    """Write the three files into the comparison's folder and return what to print."""
    out = summary.plan.out
    write_json(out / "summary.json", summary_document(summary))
    write_text(out / "results.csv", results_csv(summary))
    write_text(out / "report.html", comparison_page(summary))
    ending = [*([f"Train it: {summary.command}"] if summary.won else []), f"Report: {out / 'report.html'}"]
    return "\n".join([*_table(summary), "", *_sentences(summary), "", *ending])


def _sentences(summary: Summary) -> list[str]:
    """The outcome in words: a line per configuration, failures, the winner."""
    lines = [
        f"{name}: {verdict_text(verdict, summary.plan.split.images)}"
        for name, verdicts in summary.verdicts.items()
        for verdict in verdicts
        if verdict.difference.metric == PRIMARY
    ]
    lines += [f"FAILED {name} seed {seed}: {error}" for (name, seed), error in summary.failed.items()]
    return [*lines, headline(summary)]


def _table(summary: Summary) -> list[str]:
    lines: list[str] = []
    for name, verdicts in summary.verdicts.items():
        rows = [["", BASELINE, name, "difference", "95 % interval", "verdict"]]
        for verdict in verdicts:
            each = verdict.difference
            means = (f"{each.baseline:.3f}", f"{each.value:.3f}")
            rows.append([each.metric, *means, signed(each.difference), interval_text(each), verdict.word])
        lines += ["", *aligned(rows)]
    return lines
