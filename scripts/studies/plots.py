"""The pictures of docs/evidence.md."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from studies.definition import Study
from studies.raw_results import ap_by_trial, read_summary
from studies.seed_statistics import mean_and_half
from yolo_focal.files import replace_file
from yolo_focal.plot_style import AMBER, BLUE, GREEN, GREY, ORANGE, plain_axes

__all__ = ["budget_plot", "forest_plot"]

_OF_VERDICT = {"better": GREEN, "worse": ORANGE, "cannot tell": GREY}
_OF_CONFIGURATION = {"bce": GREY, "focal": ORANGE, "rare": GREEN, "rare-focal": BLUE}  # the same in every plot


def forest_plot(study: Study, question: str, folder: Path, file: Path) -> None:
    """The differences in AP of one question, with their intervals, best at the top; green and orange are verdicts."""
    summary = read_summary(study, folder)
    results = {
        name: summary["configurations"][name]["results"]
        for name in study.questions[question]
        if name in summary["configurations"]
    }
    order = sorted(results, key=lambda name: results[name]["AP"]["difference"])
    figure = Figure(figsize=(7.5, 1.2 + 0.34 * len(order)), layout="constrained")
    axes = plain_axes(figure)
    for place, name in enumerate(order):
        for metric, offset, mark, opacity in (("AP", 0.0, "o", 1.0), ("AP rare", -0.26, "d", 0.45)):
            each = results[name].get(metric)
            if each is None or each["low"] is None:
                continue
            colour = _OF_VERDICT[each["verdict"]] if metric == "AP" else BLUE
            axes.plot([each["low"], each["high"]], [place + offset] * 2, color=colour, alpha=opacity)
            axes.plot(each["difference"], place + offset, mark, color=colour, alpha=opacity)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(order)), order)
    axes.set_xlabel("AP - AP of BCE, 95 % interval (small diamonds: the rare third of the classes)")
    axes.set_title(f"{study.title}: {question}", loc="left", fontsize=10)
    with replace_file(file) as temporary:
        figure.savefig(temporary, dpi=110)


def budget_plot(study: Study, shorter: Sequence[Study], folder: Path, file: Path) -> None:
    """AP of each configuration over the epochs of several studies: means with 95 % intervals, the same seeds in all."""
    studies = sorted([*shorter, study], key=lambda each: each.training["epochs"])
    found = {each.name: ap_by_trial(each, folder) for each in studies}
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = plain_axes(figure)
    names = dict.fromkeys(name for each in [study, *studies] for name in each.configurations)
    several = [name for name in names if sum(name in each.configurations for each in studies) > 1]
    for number_of_it, name in enumerate(several):
        measured = [each for each in studies if name in each.configurations]
        values = [
            [ap for (other, seed), ap in found[each.name].items() if other == name and seed in study.seed_range]
            for each in measured
        ]
        means, halves = zip(*map(mean_and_half, values), strict=True)
        epochs = [each.training["epochs"] * (1 + 0.015 * number_of_it) for each in measured]  # side by side
        colour = _OF_CONFIGURATION.get(name, AMBER)
        axes.errorbar(epochs, means, halves, color=colour, marker="o", capsize=3, label=name)
    axes.set_xscale("log")
    axes.set_xticks([each.training["epochs"] for each in studies], [str(each.training["epochs"]) for each in studies])
    axes.minorticks_off()
    axes.set_xlabel("epochs of the whole training")
    axes.set_ylabel("AP, 95 % interval")
    axes.legend(frameon=False)
    with replace_file(file) as temporary:
        figure.savefig(temporary, dpi=110)
