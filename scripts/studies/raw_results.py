"""The raw results in docs/evidence, which tables and plots are made of."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.definition import Study
from yolo_focal.comparison.journal import Journal
from yolo_focal.comparison.runner import JOURNAL
from yolo_focal.errors import DataError
from yolo_focal.files import write_json, write_text

__all__ = [
    "LIMIT",
    "NMS_FREE",
    "SCORES",
    "SUMMARY",
    "ap_by_trial",
    "keep_raw_results",
    "read_rows",
    "read_summary",
    "write_rows",
]

SCORES = "scores"  # the question that is answered by calibrating the trainings' last checkpoints
NMS_FREE = "nms_free"  # the one that is answered by evaluating them on the branch of an end-to-end head without NMS
LIMIT = "limit"  # the one that is answered by validating them with and without NMS's time limit
SUMMARY = "summary.json"


def keep_raw_results(study: Study, out: Path, folder: Path) -> None:
    """Copy what the tables are made of: summary.json, and a short row for every finished trial.

    Raises:
        DataError: the comparison has not come to an end.
    """
    source = out / study.name
    if not (source / SUMMARY).is_file():
        raise DataError(f"{source} has no {SUMMARY}: the comparison has not come to an end; scripts/study.py run")
    summary = read_summary(study, out)
    keys = ("configuration", "seed", "stats", "class_ap", "best_f1_threshold")
    rows = [{key: row[key] for key in keys} for row in Journal(source / JOURNAL).finished().values()]
    # Not where it lay on the machine that trained, which is in the command too.
    summary["comparison"].update(data=study.data, model=study.model)
    summary.pop("command", None)
    write_json(folder / study.name / SUMMARY, summary)
    write_rows(folder / study.name / JOURNAL, rows)


def read_summary(study: Study, folder: Path) -> dict[str, Any]:
    """What `compare` found, of the comparison below `folder`."""
    summary: dict[str, Any] = json.loads((folder / study.name / SUMMARY).read_text(encoding="utf-8"))
    return summary


def ap_by_trial(study: Study, folder: Path) -> dict[tuple[str, int], float]:
    """AP by configuration and seed."""
    rows = read_rows(folder / study.name / JOURNAL, "tables")
    return {(row["configuration"], row["seed"]): row["stats"]["AP"] for row in rows}


def read_rows(file: Path, action: str) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines.

    Raises:
        DataError: there is no such file; `action` of scripts/study.py makes it.
    """
    if not file.is_file():
        raise DataError(f"{file} does not exist; scripts/study.py {action} makes it")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `rows` as JSON lines."""
    write_text(file, "".join(f"{json.dumps(row)}\n" for row in rows))
