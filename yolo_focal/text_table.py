"""Tables for a terminal and for a spreadsheet, and how numbers are shown in them."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from yolo_focal.foreign_text import for_spreadsheet, printable

__all__ = ["aligned", "as_csv", "three_decimals"]


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


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A CSV file of these columns; texts cannot become formulas, and what a row lacks, or has as None, is empty."""
    content = io.StringIO()
    writer = csv.DictWriter(content, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: for_spreadsheet(cell) if isinstance(cell, str) else cell for key, cell in row.items()})
    return content.getvalue()


def three_decimals(value: float, sign: bool = False) -> str:
    """`0.123`, with `sign` `+0.123`; `-` for NaN, which stands for what cannot be measured."""
    return "-" if math.isnan(value) else format(value, "+.3f" if sign else ".3f")
