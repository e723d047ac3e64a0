"""What every program of this package has in common: help, one line for bad input, and the exit codes.

Exit codes: 0 success, 1 something failed on the way, 2 bad input (one line on stderr, nothing written).
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from yolo_focal.commands.arguments import Argument, help_table, parse_arguments
from yolo_focal.errors import YoloFocalError

__all__ = ["exit_code_of", "run_program", "run_script"]


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


def run_program(
    program: str,
    summary: str,
    arguments: Sequence[Argument],
    run: Callable[[dict[str, Any]], int],
    words: Sequence[str],
    extra: Callable[[], Iterable[str]] = tuple,
) -> int:
    """Print the help if `words` ask for it, else call `run` with the arguments they give.

    Args:
        program: its name on the command line.
        summary: what it does, one line.
        arguments: its arguments.
        run: takes their values by name and returns the exit code.
        words: the command line.
        extra: gives the names of further arguments that are passed through.
    """
    if any(word.lstrip("-") in ("help", "h") for word in words):
        print(help_table(program, summary, arguments))
        return 0
    return run(parse_arguments(program.removeprefix("yolo-focal "), arguments, words, extra()))


def run_script(
    file: str, documentation: str | None, arguments: Sequence[Argument], run: Callable[[dict[str, Any]], int]
) -> int:
    """Run a program of `scripts/` on the words of its command line.

    Args:
        file: its `__file__`.
        documentation: its `__doc__`; the first line says what it does.
        arguments: its arguments.
        run: takes their values by name and returns the exit code.
    """
    program, summary = Path(file).name, (documentation or "").strip().partition("\n")[0]
    return exit_code_of(program, lambda: run_program(program, summary, arguments, run, sys.argv[1:]))
