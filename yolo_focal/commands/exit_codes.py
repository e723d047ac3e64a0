"""What every program of this package has in common: help, one line for bad input, and the exit codes.

Exit codes: 0 success, 1 something failed on the way, 2 bad input (one line on stderr, nothing written).
What nobody expected is one line too, with the path of a file that has the traceback; YOLO_FOCAL_DEBUG=1 shows it.
Output that goes to a file or a pipe is plain text, and a reader that leaves early ends nothing.
"""

import contextlib
import errno
import importlib.metadata
import logging
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo_focal.arguments.command_line import help_table, parse_arguments, refuse_undecoded
from yolo_focal.arguments.key import Key
from yolo_focal.console import is_part_of_a_run
from yolo_focal.errors import YoloFocalError
from yolo_focal.foreign_text import printable
from yolo_focal.plain_output import plain_output

__all__ = ["DEBUG_VARIABLE", "asks_for_help", "exit_code_of", "run_script"]

DEBUG_VARIABLE = "YOLO_FOCAL_DEBUG"
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_OF_THE_MACHINE = (*_OF_THE_DISK, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG)


def exit_code_of(program: str, call: Callable[[], int]) -> int:
    """That of `call`, or 2 after the line of an error of this package, or 130 after an interruption.

    An error of this package that a full or broken disk caused is no bad input: 1.

    A KeyboardInterrupt says, where it has a message, what is kept and how to go on.
    """
    with _open_output(), _readers_may_leave(), plain_output():
        return _exit_code_of(program, call)


@contextlib.contextmanager
def _open_output() -> Iterator[None]:
    """What is printed has somewhere to go, also where whoever started this closed standard output."""
    if sys.stdout is not None:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


@contextlib.contextmanager
def _readers_may_leave() -> Iterator[None]:
    """What follows `| head` wants no more lines: neither a traceback for each that is logged nor one at the end."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes
    finally:
        logging.raiseExceptions = before


def _exit_code_of(program: str, call: Callable[[], int]) -> int:
    try:
        return call()
    except YoloFocalError as error:
        print(f"{program}: {printable(str(error))}", file=sys.stderr)
        cause = error.__cause__
        return 1 if isinstance(cause, OSError) and cause.errno in _OF_THE_DISK else 2
    except KeyboardInterrupt as interruption:
        if not is_part_of_a_run():  # else the program that started this one says it
            print(f"{program}: interrupted{f'; {interruption}' if str(interruption) else ''}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            where = f": {str(error.filename)[:200]}" if error.filename else ""
            print(f"{program}: {error.strerror}{where}; what was finished before is kept", file=sys.stderr)
            return 2 if error.errno == errno.ENAMETOOLONG else 1
        if os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0"):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"{program}: {reason[:300]} (unexpected; {_report(program)})", file=sys.stderr)
        return 1


def _report(program: str) -> str:
    """Write what a report of the present exception needs, and say where it is."""
    packages = ("yolo_focal", "ultralytics", "torch", "numpy", "opencv-python")
    lines = [
        f"{program}: an error that it does not know. Please report it with this file; it holds paths of this machine.",
        f"command: {sys.argv}",
        f"python {platform.python_version()}, {platform.platform()}",
        *(f"{name} {_version(name)}" for name in packages),
        "",
        traceback.format_exc(),
    ]
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="replace", prefix="yolo_focal_crash_", suffix=".txt", delete=False
        ) as file:
            file.write("\n".join(lines))
    except OSError:
        return f"{DEBUG_VARIABLE}=1 shows where"
    return f"please report it with {file.name}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def asks_for_help(word: str) -> bool:
    """Whether a word of a command line is one for help."""
    return word.lstrip("-") in ("help", "h")


def run_script(file: str, documentation: str | None, keys: Sequence[Key], run: Callable[[dict[str, Any]], int]) -> int:
    """Run a program of `scripts/` on the words of its command line.

    Args:
        file: its `__file__`.
        documentation: its `__doc__`; the first line says what it does.
        keys: its arguments.
        run: takes their values by name and returns the exit code.
    """
    program, summary = Path(file).name, (documentation or "").strip().partition("\n")[0]

    def call() -> int:
        refuse_undecoded(sys.argv[1:])
        if any(map(asks_for_help, sys.argv[1:])):
            print(help_table(program, summary, keys))
            return 0
        return run(parse_arguments(program, keys, sys.argv[1:]))

    return exit_code_of(program, call)
