"""Names out of a stranger's dataset or model, as they may be shown: no commands to a terminal or a spreadsheet."""

import html

__all__ = ["for_markdown", "for_plot", "for_spreadsheet", "printable", "printable_lines"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """`text` with an escape for each control character, line break and invisible character."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines, which stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def for_spreadsheet(text: str) -> str:
    """The same with an apostrophe before what a spreadsheet would take for a formula."""
    shown = printable(text)
    return f"'{shown}" if text.startswith(_FORMULA) else shown


def for_markdown(text: str) -> str:
    """The same for a cell of a table in Markdown, which a bar would end and in which HTML acts."""
    return html.escape(printable(text), quote=False).replace("|", r"\|")


def for_plot(text: str) -> str:
    """The same for Matplotlib, to which dollars are the beginning of mathematics."""
    return printable(text).replace("$", r"\$")
