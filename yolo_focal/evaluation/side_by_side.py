"""Evaluations of the same split side by side: a table to print, one for a report, and a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from yolo_focal.evaluation.evaluation import Evaluation
from yolo_focal.files import replace_file
from yolo_focal.foreign_text import for_markdown, for_plot
from yolo_focal.plot_style import plain_axes, save_figure
from yolo_focal.text_table import aligned, three_decimals

__all__ = ["Row", "markdown_table", "plain_table", "plot_classes", "side_by_side"]

_BUCKET_ORDER = ("frequent", "common", "rare")


@dataclass(frozen=True)
class Row:
    """One measured metric.

    Attributes:
        label: what it is.
        values: one number per evaluation, NaN where undefined.
    """

    label: str
    values: tuple[float, ...]


def side_by_side(evaluations: Mapping[str, Evaluation]) -> list[Row]:
    """AP, AP50, AP of each frequency bucket, then AP of each class from the most to the least frequent in training."""
    measured = list(evaluations.values())
    rows = [Row(name, tuple(each.stats[name] for each in measured)) for name in ("AP", "AP50")]
    buckets = [{bucket.name: bucket.ap for bucket in each.buckets} for each in measured]
    rows += [
        Row(f"AP {name} classes", tuple(each[name] for each in buckets))
        for name in _BUCKET_ORDER
        if all(name in each for each in buckets)
    ]
    order = _by_frequency(measured[0])
    rows += [Row(_class_label(measured[0], i), tuple(each.classes[i].ap for each in measured)) for i in order]
    return rows


def _by_frequency(evaluation: Evaluation) -> list[int]:
    """The classes from the most to the least frequent in training."""
    return sorted(range(len(evaluation.classes)), key=lambda i: -(evaluation.classes[i].training_instances or 0))


def _class_label(evaluation: Evaluation, index: int) -> str:
    result = evaluation.classes[index]
    seen = "" if result.training_instances is None else f" ({result.training_instances} in training)"
    return f"AP {result.category.name}{seen}"


def _cells(row: Row) -> list[str]:
    """The numbers of a row and, for each evaluation after the first, its difference to the first."""
    first, *others = row.values
    return [*map(three_decimals, row.values), *(three_decimals(other - first, sign=True) for other in others)]


def _header(names: list[str]) -> list[str]:
    return ["", *names, *(f"{name} - {names[0]}" for name in names[1:])]


def plain_table(names: list[str], rows: list[Row]) -> str:
    """The rows in aligned columns for a terminal."""
    table = [_header(names), *([row.label, *_cells(row)] for row in rows)]
    return "\n".join(aligned(table))


def markdown_table(names: list[str], rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [_header(names), ["---", *["---:"] * (2 * len(names) - 1)]]
    lines += [[for_markdown(row.label), *_cells(row)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot_classes(path: Path, evaluations: Mapping[str, Evaluation], title: str) -> None:
    """Draw AP per class, most frequent in training first, one bar per evaluation, and the instances behind it."""
    reference = next(iter(evaluations.values()))
    order = _by_frequency(reference)
    figure = Figure(figsize=(1.5 + 0.85 * len(order), 4.2), layout="constrained")
    axes = plain_axes(figure)
    width = 0.8 / len(evaluations)
    for number, (name, evaluation) in enumerate(evaluations.items()):
        places = [place + (number + 0.5) * width - 0.4 for place in range(len(order))]
        heights = [evaluation.classes[i].ap for i in order]
        axes.bar(places, heights, width * 0.92, label=f"{name}: AP {evaluation.stats['AP']:.3f}")
    shown = [reference.classes[i] for i in order]
    labels = [f"{for_plot(each.category.name[:24])}\n{each.training_instances or '?'}" for each in shown]
    axes.set_xticks(range(len(order)), labels, fontsize=8)
    axes.set_xlabel("class, and its instances in the training split")
    axes.set_ylabel("AP (IoU 0.50:0.95)")
    axes.set_title(title, fontsize=10)
    axes.grid(axis="x", visible=False)
    axes.legend(frameon=False)
    with replace_file(path) as temporary:
        save_figure(figure, temporary)
