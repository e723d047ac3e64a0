"""Colours and axes that all pictures share; the colours are Okabe and Ito's, told apart by colour-blind readers."""

import warnings
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["AMBER", "BLUE", "GREEN", "GREY", "ORANGE", "PALE", "plain_axes", "save_figure", "styled"]

BLUE, ORANGE, GREEN, AMBER = "#0072B2", "#D55E00", "#009E73", "#E69F00"
GREY, PALE = "#666666", "#9ecae1"


def styled(axes: Axes) -> Axes:
    """The same axes without the upper and right spine, with a light grid below what is drawn."""
    axes.set_axisbelow(True)
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def plain_axes(figure: Figure) -> Axes:
    """One pair of styled axes that fills the figure."""
    return styled(figure.add_subplot())


def save_figure(figure: Figure, path: Path, dpi: int = 130) -> None:
    """Write a picture; a sign that the font lacks is a box in it, without a line for each of them on the terminal."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from (current )?font")
        figure.savefig(path, dpi=dpi)
