"""The `key=value` arguments of a command: declared once, parsed, checked together, and printed as its help."""

import ast
import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from yolo_focal.errors import ConfigError

__all__ = ["Argument", "choice", "help_table", "number", "parse_arguments", "switch", "text", "text_list"]


def text(value: str) -> str:
    """Any text."""
    return value


def text_list(value: str) -> list[str]:
    """A comma-separated list, with or without brackets."""
    return [item.strip().strip("'\"") for item in value.strip("[]()").split(",") if item.strip()]


def switch(value: str) -> bool:
    """True or False."""
    if value.lower() in {"true", "1", "yes", "on"}:
        return True
    if value.lower() in {"false", "0", "no", "off"}:
        return False
    raise ValueError("True or False")


def number(
    kind: type[int] | type[float], minimum: float | None = None, maximum: float | None = None
) -> Callable[[str], Any]:
    """A parser for a finite number of `kind` between `minimum` and `maximum`, both included."""
    bounds = [f">= {minimum}"] * (minimum is not None) + [f"<= {maximum}"] * (maximum is not None)
    wanted = " ".join(["an integer" if kind is int else "a number", " and ".join(bounds)]).strip()

    def parse(value: str) -> Any:
        try:
            parsed = kind(value)
        except ValueError:
            raise ValueError(wanted) from None
        below = minimum is not None and not parsed >= minimum
        above = maximum is not None and not parsed <= maximum
        if below or above or parsed != parsed or parsed in (float("inf"), float("-inf")):
            raise ValueError(wanted)
        return parsed

    return parse


def choice(*options: str) -> Callable[[str], str]:
    """A parser for one of `options`."""

    def parse(value: str) -> str:
        if value not in options:
            raise ValueError("one of " + ", ".join(options))
        return value

    return parse


@dataclass(frozen=True)
class Argument:
    """One `key=value` argument of a command.

    Attributes:
        name: the key.
        default: the value when the key is absent; ignored where `required`.
        help: one line for `yolo-focal COMMAND help`.
        parse: turns the text after `=` into the value; its ValueError says what was expected.
        required: whether the command refuses to start without it.
    """

    name: str
    default: Any
    help: str
    parse: Callable[[str], Any] = text
    required: bool = False


def parse_arguments(
    command: str, arguments: Sequence[Argument], words: Iterable[str], extra: Iterable[str] = ()
) -> dict[str, Any]:
    """Typed values of every argument of `command` from `words`, each of the form `key=value`.

    Keys named in `extra` are passed through as Python literals; they belong to the library the command calls.

    Raises:
        ConfigError: every unknown key (with the closest known one), bad value and missing key at once.
    """
    known = {argument.name: argument for argument in arguments}
    passed_through = set(extra)
    values = {argument.name: argument.default for argument in arguments}
    given: set[str] = set()
    problems: list[str] = []
    for word in words:
        name, separator, value = (part.strip() for part in word.lstrip("-").partition("="))
        if name not in known and name not in passed_through:
            close = difflib.get_close_matches(name, [*known, *passed_through], n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
            problems.append(f"'{name}' is not an argument of {command}; {hint}")
        elif not separator or not value:
            problems.append(f"'{word}' has no value; write {name}=VALUE")
        elif name in passed_through and name not in known:
            values[name] = literal(value)
        else:
            given.add(name)
            try:
                values[name] = known[name].parse(value)
            except ValueError as error:
                problems.append(f"{name} must be {error}, got '{value}'")
    problems += [
        f"{argument.name}= is required: {argument.help}"
        for argument in arguments
        if argument.required and argument.name not in given and not any(f"'{argument.name}" in p for p in problems)
    ]
    if problems:
        raise ConfigError(problems)
    return values


def literal(value: str) -> Any:
    """`value` as a Python literal where it is one (True, 3, 0.5, [1, 2]), else the text itself."""
    lowered = value.lower()
    if lowered in {"true", "false", "none"}:
        return {"true": True, "false": False, "none": None}[lowered]
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def help_table(program: str, summary: str, arguments: Sequence[Argument]) -> str:
    """The help text of a program or command: what it does and one line per argument."""
    width = max((len(argument.name) for argument in arguments), default=0)
    lines = [
        f"  {argument.name:<{width}}  {argument.help} "
        f"({'required' if argument.required else f'default {argument.default}'})"
        for argument in arguments
    ]
    return "\n".join([f"{program}: {summary}", "", *lines])
