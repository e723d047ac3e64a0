"""What counts as a number in files and arguments, and how values are shown in messages and written to JSON."""

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["is_id", "is_number", "is_pixels", "null_for_nan", "short"]

_LARGEST_PIXELS = 1e9  # a thousand times the largest image; areas and sums of such numbers are still exact enough


def is_number(value: object) -> bool:
    """Whether `value` is a number that a float can hold, and finite; True and False are none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int of more than 308 digits
        return False


def is_id(value: object) -> bool:
    """Whether `value` is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def short(value: object) -> str:
    """The `repr` of a value out of a file, cut to 80 characters."""
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def is_pixels(value: object) -> bool:
    """Whether `value` is a number that a place or a length in an image can be; larger ones would overflow an area."""
    return is_number(value) and abs(value) <= _LARGEST_PIXELS  # type: ignore[arg-type]


def null_for_nan(value: Any) -> Any:
    """`value` with every NaN in it, at any depth, replaced by None, which JSON writes as null."""
    if isinstance(value, Mapping):
        return {key: null_for_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [null_for_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
