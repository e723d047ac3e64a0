"""What a training argument is, and the checks of values that arguments share."""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Key", "Problem", "is_number", "number", "one_of", "problems_of", "switch"]

Problem = Callable[[Any], str | None]
"""Says what was expected where a value is not acceptable, else None."""


@dataclass(frozen=True)
class Key:
    """One training argument.

    Attributes:
        name: as typed in `name=value`.
        default: the value when the argument is absent.
        help: one line.
        problem: says what was expected where a value is not acceptable, else None.
    """

    name: str
    default: Any
    help: str
    problem: Problem


def is_number(value: object) -> bool:
    """Whether `value` is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(accepts: Callable[[float], bool], expected: str) -> Problem:
    """Accepts the finite numbers that `accepts` does; `expected` names them, as in "a number >= 0"."""
    return lambda value: None if is_number(value) and accepts(value) else expected


def one_of(options: Iterable[str]) -> Problem:
    """Accepts one of some words."""
    names = tuple(options)

    def problem(value: Any) -> str | None:
        if value in names:
            return None
        close = difflib.get_close_matches(str(value), names, n=1)
        return f"one of {', '.join(names)}" + (f" (did you mean '{close[0]}'?)" if close else "")

    return problem


def switch(value: Any) -> str | None:
    """Accepts True and False."""
    return None if isinstance(value, bool) else "True or False"


def problems_of(keys: Mapping[str, Key], arguments: Mapping[str, Any]) -> list[str]:
    """A sentence for every value in `arguments` that its key in `keys` does not accept."""
    return [
        f"{name} must be {expected}, got {arguments[name]!r}"
        for name, key in keys.items()
        if name in arguments and (expected := key.problem(arguments[name])) is not None
    ]
