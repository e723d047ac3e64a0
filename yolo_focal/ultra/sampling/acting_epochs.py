"""In which epochs rare_sampling and rare_paste act: rare_stop ends both, close_mosaic pasting."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from yolo_focal.arguments.rare import RareConfig
from yolo_focal.numbers import is_number
from yolo_focal.ultra import host

__all__ = ["never_pastes", "never_stops", "pasted_epochs"]


def never_pastes(config: RareConfig, arguments: Mapping[str, Any]) -> str | None:
    """Why rare_paste acts in no epoch; None where it is off or acts in some, or their number is not known."""
    known = _epochs(arguments)
    if not config.paste or known is None or known.pasted > 0:
        return None
    return (
        f"rare_paste={config.paste:g} cannot act: the last close_mosaic={known.closed} epochs are without it, and "
        f"there are epochs={known.all} in all; give close_mosaic=0 or more epochs"
    )


def pasted_epochs(config: RareConfig, arguments: Mapping[str, Any]) -> str | None:
    """Which epochs rare_paste acts in; None where close_mosaic leaves out none, or all."""
    known = _epochs(arguments)
    if not config.paste or known is None or not 0 < known.pasted < min(known.all, config.stop_epoch(known.all)):
        return None
    return (
        f"rare_paste={config.paste:g} acts in the first {known.pasted} of {known.all} epochs: the last "
        f"close_mosaic={known.closed} are without it"
    )


def never_stops(config: RareConfig, arguments: Mapping[str, Any]) -> str | None:
    """Why rare_stop leaves out no epoch; None where it is off or leaves out some, or their number is not known."""
    known = _epochs(arguments)
    if (
        not config.stop
        or known is None
        or config.stop_epoch(known.all) < (known.all if config.sampling else known.pasted)
    ):
        return None
    why = (
        f"it is less than one of epochs={known.all}"
        if config.stop_epoch(known.all) >= known.all
        else f"the last close_mosaic={known.closed} of epochs={known.all} are without rare_paste in any case"
    )
    return f"rare_stop={config.stop:g} cannot act: {why}; give more or leave it out"


class _Epochs(NamedTuple):
    """How many there are, and how many at the end are without mosaic and pasting."""

    all: int
    closed: int

    @property
    def pasted(self) -> int:
        """How many at the beginning may have pasting; 0 or less for none."""
        return self.all - self.closed


def _epochs(arguments: Mapping[str, Any]) -> _Epochs | None:
    """Those of a training, of whose arguments some may be left at their defaults; None where they are not known."""
    arguments = {**host.DEFAULT_CFG_DICT, **arguments}
    epochs, closed = arguments["epochs"], arguments["close_mosaic"]
    known = is_number(epochs) and is_number(closed) and not arguments.get("time")
    return _Epochs(epochs, closed) if known else None
