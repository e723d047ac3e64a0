"""What an argument is, of a training, a command or a script: how it is read and what it accepts."""

import ast
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo_focal.numbers import is_number, short
from yolo_focal.spelling import did_you_mean

__all__ = [
    "Key",
    "Problem",
    "choice",
    "flag",
    "in_range",
    "literal",
    "number",
    "one_of",
    "path",
    "plain",
    "problems_of",
    "switch",
    "text",
    "text_list",
    "truth",
]

Problem = Callable[[Any], str | None]
"""Says what was expected where a value is not acceptable, else None."""


def _anything(_: Any) -> None:
    return None


def literal(given: Any) -> Any:
    """Text as the Python literal it is (True, 3, 0.5, [1, 2]), else as it stands; other values as they are."""
    if not isinstance(given, str):
        return given
    word = {"true": True, "false": False, "none": None}
    if given.lower() in word:
        return word[given.lower()]
    try:
        return ast.literal_eval(given)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return given


def plain(value: Any) -> Any:
    """Numbers and arrays of NumPy and torch as Python's, which YAML can hold, also in a list; the rest as it is."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


@dataclass(frozen=True)
class Key:
    """One argument.

    Attributes:
        name: as typed in `name=value`.
        default: the value when the argument is absent; without meaning if it is required.
        help: one line.
        problem: says what was expected where a value is not acceptable, else None.
        read: makes the value out of what was typed, or given in Python.
        required: whether it has to be given.
        leading: whether its value may stand alone, as the first word.
    """

    name: str
    default: Any
    help: str
    problem: Problem = _anything
    read: Callable[[Any], Any] = literal
    required: bool = False
    leading: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """All values that are accepted, where those are a few words."""
        return ("True", "False") if self.problem is switch else getattr(self.problem, "options", ())

    def value_of(self, given: Any) -> Any:
        """The value of what was typed after `name=`, or given in Python; ValueError says what was expected."""
        value = self.read(given)
        if (expected := self.problem(value)) is not None:
            raise ValueError(expected)
        return value


def text(given: Any) -> str:
    """Any text."""
    return str(given)


def path(given: Any) -> Path:
    """A path; nothing needs to be there."""
    if not isinstance(given, str | os.PathLike):
        raise ValueError("a path")
    if "\0" in str(given):
        raise ValueError("a path without null characters")
    return Path(given)


def text_list(given: Any) -> list[str]:
    """A list of texts, typed with commas, with or without brackets; texts with commas in them as a Python list."""
    if isinstance(given, list | tuple):
        return [str(item) for item in given]
    written = literal(given)
    if isinstance(written, list | tuple) and all(isinstance(item, str) for item in written):
        return list(written)
    return [item.strip().strip("'\"") for item in str(given).strip("[]()").split(",") if item.strip()]


def truth(given: Any) -> Any:
    """True or False, also typed as yes, on, 1 or no, off, 0."""
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    return words.get(given.lower(), given) if isinstance(given, str) else given


def in_range(kind: type[int] | type[float], minimum: float | None = None, maximum: float | None = None) -> Problem:
    """Accepts the finite numbers of `kind` between `minimum` and `maximum`, both included."""
    bounds = [f">= {minimum}"] * (minimum is not None) + [f"<= {maximum}"] * (maximum is not None)
    expected = " ".join(["an integer" if kind is int else "a number", " and ".join(bounds)]).strip()

    def problem(value: Any) -> str | None:
        fits = is_number(value) and (kind is float or isinstance(value, int))
        low = minimum is None or (fits and value >= minimum)
        high = maximum is None or (fits and value <= maximum)
        return None if fits and low and high else expected

    return problem


def number(accepts: Callable[[float], bool], expected: str) -> Problem:
    """Accepts the finite numbers that `accepts` does; `expected` names them, as in "a number >= 0"."""
    return lambda value: None if is_number(value) and accepts(value) else expected


@dataclass(frozen=True)
class _OneOf:
    options: tuple[str, ...]

    def __call__(self, value: Any) -> str | None:
        if value in self.options:
            return None
        hint = did_you_mean(str(value), self.options, otherwise="")
        return f"one of {', '.join(self.options)}" + (f" ({hint})" if hint else "")


def one_of(options: Iterable[str]) -> Problem:
    """Accepts one of some words."""
    return _OneOf(tuple(options))


def switch(value: Any) -> str | None:
    """Accepts True and False."""
    return None if isinstance(value, bool) else "True or False"


def choice(name: str, default: str | None, about: str, options: Iterable[str], **others: Any) -> Key:
    """An argument that is one of some words; `others` are further attributes of the key."""
    return Key(name, default, about, one_of(options), text, **others)


def flag(name: str, default: bool | None, about: str) -> Key:
    """An argument that is True or False, which may also be typed as `truth` reads it."""
    return Key(name, default, about, switch, truth)


def problems_of(keys: Mapping[str, Key], arguments: Mapping[str, Any]) -> list[str]:
    """A sentence for every value in `arguments` that its key in `keys` does not accept."""
    return [
        f"{name} must be {expected}, got {short(arguments[name])}"
        for name, key in keys.items()
        if name in arguments and (expected := key.problem(arguments[name])) is not None
    ]
