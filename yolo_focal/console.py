"""What is said while something works: nothing but the result where `verbose=False` asks for that."""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

from yolo_focal.foreign_text import printable_lines

__all__ = ["PART_OF_A_RUN", "conclude", "is_part_of_a_run", "is_quiet", "pasteable", "quiet", "say"]

PART_OF_A_RUN = "YOLO_FOCAL_PART_OF_A_RUN"
"""Environment variable of processes that another one of this package started, and will speak for."""

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextlib.contextmanager
def quiet(asked: bool = True) -> Iterator[None]:
    """Inside the block there are no progress bars, and `say` says nothing; where `asked` is False, as outside."""
    token = _quiet.set(_quiet.get() or asked)
    try:
        yield
    finally:
        _quiet.reset(token)


def is_quiet() -> bool:
    """Whether this is inside a `quiet` block."""
    return _quiet.get()


def is_part_of_a_run() -> bool:
    """Whether another process of this package started this one and speaks for it."""
    return PART_OF_A_RUN in os.environ


def say(text: str) -> None:
    """Print a line about how far the work is; open progress bars move down for it."""
    if not is_quiet():
        tqdm.write(printable_lines(text), file=sys.stdout)
        sys.stdout.flush()


def pasteable(*words: str, **arguments: Any) -> str:
    """A command of this package as text that a shell takes, whatever stands in its paths.

    Args:
        words: as they are.
        arguments: as `name=value`, which follow; in a list there are no spaces.
    """
    values = {
        name: str(value).replace(" ", "") if isinstance(value, list | tuple) else value
        for name, value in arguments.items()
    }
    return shlex.join(("yolo-focal", *words, *(f"{name}={value}" for name, value in values.items())))


def conclude(text: str, line: str) -> None:
    """Print the outcome: `text`, or where this is quiet `line` in its place."""
    print(printable_lines(line if is_quiet() else text), flush=True)
