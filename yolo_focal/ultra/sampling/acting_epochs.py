"""In which epochs rare_sampling and rare_paste act: rare_stop ends both, close_mosaic pasting."""

from collections.abc import Mapping
from typing import Any

from yolo_focal.arguments.rare import RareConfig
from yolo_focal.numbers import is_number

__all__ = ["never_pastes", "never_stops", "pasted_epochs"]


def never_pastes(config: RareConfig, arguments: Mapping[str, Any]) -> str | None:
    """Why rare_paste acts in no epoch; None where it is off or acts in some, or their number is not known."""
    known = _epochs(arguments)
    if not config.paste or known is None or known[0] > known[1]:
        return None
    epochs, closed = known
    return (
        f"rare_paste={config.paste:g} cannot act: the last close_mosaic={closed} epochs are without it, and there are "
        f"epochs={epochs} in all; give close_mosaic=0 or more epochs"
    )


def pasted_epochs(config: RareConfig, arguments: Mapping[str, Any]) -> str | None:
    """Which epochs rare_paste acts in; None where close_mosaic leaves out none, or all."""
    known = _epochs(arguments)
    if not config.paste or known is None:
        return None
    epochs, closed = known
    if not 0 < closed < epochs or config.stop_epoch(epochs) <= epochs - closed:
        return None
    return (
        f"rare_paste={config.paste:g} acts in the first {epochs - closed} of {epochs} epochs: the last "
        f"close_mosaic={closed} are without it"
    )


def never_stops(config: RareConfig, arguments: Mapping[str, Any]) -> str | None:
    """Why rare_stop leaves out no epoch; None where it is off or leaves out some, or their number is not known."""
    known = _epochs(arguments)
    if not config.stop or known is None:
        return None
    epochs, closed = known
    if config.stop_epoch(epochs) >= epochs:
        return (
            f"rare_stop={config.stop:g} cannot act: it is less than one of epochs={epochs}; give more or leave it out"
        )
    if config.sampling or config.stop_epoch(epochs) < epochs - closed:
        return None
    return (
        f"rare_stop={config.stop:g} cannot act: the last close_mosaic={closed} of epochs={epochs} are without "
        "rare_paste in any case; give more or leave it out"
    )


def _epochs(arguments: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many there are, and how many at the end are without mosaic and pasting; None where that is not known."""
    epochs, closed = arguments["epochs"], arguments["close_mosaic"]
    known = is_number(epochs) and is_number(closed) and not arguments.get("time")
    return (epochs, closed) if known else None
