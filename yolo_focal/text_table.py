"""Tables for a terminal, and how numbers are shown in them."""

import math
from collections.abc import Sequence

from yolo_focal.foreign_text import printable

__all__ = ["aligned", "three_decimals"]


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Rows of equally many cells as lines of aligned columns; what a cell may not show is escaped.

    Args:
        rows: the first may be a header; at least one.
        left: number of columns, from the first, that are aligned to the left; the others to the right.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def three_decimals(value: float, sign: bool = False) -> str:
    """`0.123`, with `sign` `+0.123`; `-` for NaN, which stands for what cannot be measured."""
    return "-" if math.isnan(value) else format(value, "+.3f" if sign else ".3f")
