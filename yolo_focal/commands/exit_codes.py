"""What every program of this package has in common: help, one line for bad input, and the exit codes.

Exit codes: 0 success, 1 something failed on the way, 2 bad input (one line on stderr, nothing written).
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from yolo_focal.arguments.command_line import help_table, parse_arguments
from yolo_focal.arguments.key import Key
from yolo_focal.errors import YoloFocalError

__all__ = ["asks_for_help", "exit_code_of", "run_script"]


def exit_code_of(program: str, call: Callable[[], int]) -> int:
    """That of `call`, or 2 after the line of an error of this package, or 130 after an interruption."""
    try:
        return call()
    except YoloFocalError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes
        return 0


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
        if any(map(asks_for_help, sys.argv[1:])):
            print(help_table(program, summary, keys))
            return 0
        return run(parse_arguments(program, keys, sys.argv[1:]))

    return exit_code_of(program, call)
