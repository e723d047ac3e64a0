"""The first problems of a list, one a line."""

from collections.abc import Sequence

__all__ = ["problem_lines"]

_LISTED = 5


def problem_lines(problems: Sequence[object], indent: str = "  ", rest: str = "") -> list[str]:
    """The first five, and where there are more a last line: `rest`, or how many there are in all."""
    lines = [f"{indent}{problem}" for problem in problems[:_LISTED]]
    if len(problems) > _LISTED:
        lines.append(f"{indent}{rest or f'... {len(problems)} problems in all'}")
    return lines
