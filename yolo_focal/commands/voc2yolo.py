"""A YOLO dataset from a Pascal VOC one."""

import dataclasses
from typing import Any

from yolo_focal.arguments.output import take_output
from yolo_focal.console import say
from yolo_focal.data.problem_lines import left_out_lines, problem_lines, use_of_data
from yolo_focal.data.voc_to_yolo import VocOptions, voc_to_yolo
from yolo_focal.foreign_text import first_names
from yolo_focal.ultra.drivers.written_set import left_out_by_training

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Write the dataset and print what is in it.

    Raises:
        DataError: see `yolo_focal.data.voc_to_yolo.voc_to_yolo`.
    """
    given = {each.name: arguments[each.name] for each in dataclasses.fields(VocOptions)}
    options = VocOptions(**{**given, "names": tuple(arguments["names"])})
    out = take_output("voc2yolo", arguments).path
    report = voc_to_yolo(arguments["voc"], out, options, check=left_out_by_training)
    for split, record in report["splits"].items():
        counts = first_names([f"{name} {record['instances'].get(name, 0)}" for name in report["names"]], 20)
        say(f"{split}: {record['images']} images; {counts}")
        for line in problem_lines(record["problems"]):
            say(line)
    for note in report["notes"]:
        say(f"note: {note}")
    for line in left_out_lines(report["left_out"]):
        say(line)
    print(use_of_data(out / "data.yaml"))
    return 0
