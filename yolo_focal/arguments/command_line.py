"""The words of a command line against the keys of a command: all problems together, or the values; and its help."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from yolo_focal.arguments.key import Key, literal
from yolo_focal.arguments.passed_on import left_out
from yolo_focal.errors import ConfigError
from yolo_focal.spelling import did_you_mean

__all__ = ["check_values", "help_table", "parse_arguments", "refuse_undecoded"]


def parse_arguments(
    command: str, keys: Sequence[Key], words: Sequence[str], extra: Iterable[str] = ()
) -> dict[str, Any]:
    """The value of every key, from words `key=value`; keys of `extra` that were given come along as literals.

    Raises:
        ConfigError: one sentence for every unknown key, bad value and missing required key.
    """
    given: dict[str, Any] = {}
    problems: list[str] = []
    leading = next((key for key in keys if key.leading), None)
    if leading is not None and words and "=" not in words[0]:
        given[leading.name], words = words[0], words[1:]
    for word in words:
        name, separator, value = (part.strip() for part in word.lstrip("-").partition("="))
        if separator and value:
            given[name] = value
        elif name in {*(key.name for key in keys), *extra}:
            problems.append(f"'{word}' has no value; write {name}=VALUE")
        else:
            given[name] = None  # its name is wrong, whatever its value
    return _checked(command, keys, given, set(extra), problems)


def refuse_undecoded(words: Iterable[str]) -> None:
    """Raise ConfigError for a word of the command line that is not UTF-8: no file could hold it as text."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ConfigError(
                f"{word!a} is not UTF-8 text; rename the file or folder, or give its name in UTF-8"
            ) from None


def check_values(
    command: str, keys: Sequence[Key], given: Mapping[str, Any], extra: Iterable[str] = ()
) -> dict[str, Any]:
    """The checked values of arguments given in Python, where None stands for a key that is not given.

    Raises:
        ConfigError: as `parse_arguments`.
    """
    named = {name: value for name, value in given.items() if value is not None}
    return _checked(command, keys, named, set(extra), [])


def _checked(
    command: str, keys: Sequence[Key], given: Mapping[str, Any], extra: set[str], problems: list[str]
) -> dict[str, Any]:
    known = {key.name: key for key in keys}
    values = {key.name: key.default for key in keys}
    for name, value in given.items():
        if name not in known and name in left_out(command):
            problems.append(f"'{name}' is a training argument that {command} does not take; leave it out")
        elif name not in known and name not in extra:
            hint = did_you_mean(name, [*known, *extra], f"known keys: {', '.join(known)}")
            problems.append(f"'{name}' is not an argument of {command}; {hint}")
        elif name not in known:
            values[name] = literal(value)
        else:
            try:
                values[name] = known[name].value_of(value)
            except ValueError as error:
                problems.append(f"{name} must be {error}, got '{value}'")
    problems += [
        f"{key.name}= is required: {key.help}"
        for key in keys
        if key.required and key.name not in given and not any(f"'{key.name}" in problem for problem in problems)
    ]
    if problems:
        raise ConfigError(problems)
    return values


def help_table(program: str, summary: str, keys: Sequence[Key]) -> str:
    """The help text of a program or command: what it does and one line per key."""
    width = max((len(key.name) for key in keys), default=0)
    lines = [
        f"  {key.name:<{width}}  {key.help} ({'required' if key.required else f'default {key.default}'})"
        for key in keys
    ]
    return "\n".join([f"{program}: {summary}", "", *lines])
