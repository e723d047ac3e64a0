"""Names out of a stranger's dataset or model, as they may be shown: no commands to a terminal or a spreadsheet."""

import html
from collections.abc import Iterable

__all__ = ["first_names", "for_markdown", "for_plot", "for_spreadsheet", "printable", "printable_lines"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """`text` with an escape for each control character, line break and invisible character."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def printable_lines(text: str) -> str:
    """`text` of several lines, which stay lines, each made `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def for_spreadsheet(text: str) -> str:
    """`text` made `printable`, with an apostrophe before what a spreadsheet would take for a formula."""
    shown = printable(text)
    return f"'{shown}" if text.startswith(_FORMULA) else shown


def for_markdown(text: str) -> str:
    """`text` made `printable` for a cell of a Markdown table, which a bar would end and in which HTML acts."""
    return html.escape(printable(text), quote=False).replace("|", r"\|")


def for_plot(text: str) -> str:
    """`text` made `printable` for Matplotlib, to which dollars are the beginning of mathematics."""
    return printable(text).replace("$", r"\$")


def first_names(names: Iterable[object], most: int = 3) -> str:
    """The first of `names`, and how many more there are: `a, b, c and 12 more`."""
    listed = [printable(str(name)) for name in names]
    shown, rest = listed[:most], len(listed) - most
    if rest <= 1:  # to name the last one takes no more room than to count it
        return ", ".join(listed)
    return f"{', '.join(shown)} and {rest} more"
