"""docs/evidence.md: raw results, tables and pictures made anew."""

from collections.abc import Mapping, Sequence
from typing import Any

from studies.definition import Study, read_studies
from studies.plots import budget_plot, forest_plot
from studies.raw_results import SUMMARY, keep_raw_results
from studies.tables import place_tables
from yolo_focal.errors import DataError
from yolo_focal.files import write_text

__all__ = ["make_tables"]


def make_tables(studies: Sequence[Study], arguments: Mapping[str, Any]) -> None:
    """Raw results of the studies that have ended, their plots, and the tables in evidence.md."""
    folder, page = arguments["docs"] / "evidence", arguments["docs"] / "evidence.md"
    for study in studies:
        if (arguments["out"] / study.name / SUMMARY).is_file():
            keep_raw_results(study, arguments["out"], folder)
    kept = [study for study in studies if (folder / study.name / SUMMARY).is_file()]
    if not kept:
        raise DataError(f"neither {arguments['out']} nor {folder} has results; scripts/study.py run makes them")
    for study in kept:
        for question in study.questions:
            forest_plot(study, question, folder, folder / f"{study.name}-{question}.png")
        if study.shorter:
            budget_plot(study, read_studies(study.shorter, 1.0), folder, folder / f"{study.name}-epochs.png")
    write_text(page, place_tables(page.read_text(encoding="utf-8"), kept, folder))
    print(f"{page}: {', '.join(study.name for study in kept)}")
