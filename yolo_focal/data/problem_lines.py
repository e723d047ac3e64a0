"""What is said of a dataset that was written: the first problems, and how to train on it."""

from collections.abc import Sequence
from pathlib import Path

from yolo_focal.console import pasteable
from yolo_focal.foreign_text import printable

__all__ = ["MOST_PROBLEMS", "left_out_lines", "problem_lines", "use_of_data"]

MOST_PROBLEMS = 5


def problem_lines(problems: Sequence[object], indent: str = "  ", rest: str = "") -> list[str]:
    """The first five, and where there are more a last line: `rest`, or how many there are in all."""
    lines = [indent + printable(str(problem)) for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"{indent}{rest or f'... {len(problems)} problems in all'}")
    return lines


def left_out_lines(left_out: Sequence[object], split: str = "") -> list[str]:
    """How many things a conversion left out, and the first of them; nothing where there are none."""
    if not left_out:
        return []
    return [f"{split}: left out: {len(left_out)}".removeprefix(": "), *problem_lines(left_out)]


def use_of_data(data_yaml: Path) -> str:
    """The line with a command that trains on a new dataset."""
    return f"Use it: {pasteable('train', 'model=yolo11n.yaml', f'data={data_yaml}')}"
