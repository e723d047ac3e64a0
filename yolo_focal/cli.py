"""The command line: the plugin's own commands, and everything else as the `yolo` command would do it."""

import importlib
import importlib.metadata
from collections.abc import Sequence

from yolo_focal import __version__
from yolo_focal.arguments.command_line import help_table, parse_arguments, refuse_undecoded
from yolo_focal.arguments.commands import COMMANDS, VERBOSE
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.arguments.yolo_words import VERBS, YOLO_WORDS
from yolo_focal.commands.exit_codes import asks_for_help, exit_code_of
from yolo_focal.console import quiet
from yolo_focal.errors import ConfigError
from yolo_focal.resources import cfg_names
from yolo_focal.spelling import closest

__all__ = ["help_text", "main", "version_text"]

_VERSION_WORDS = ("--version", "-v", "-V")


def main(words: Sequence[str]) -> int:
    """Run `yolo-focal` with `words` and return the exit code."""
    return exit_code_of("yolo-focal", lambda: _dispatch(list(words)))


def _dispatch(words: list[str]) -> int:
    refuse_undecoded(words)
    first = words[0] if words else "help"
    if first in _VERSION_WORDS:
        print(version_text())
        return 0
    if asks_for_help(first):
        named = next((word for word in words[1:] if word in COMMANDS), None)
        print(help_text() if named is None else _command_help(named))
        return 0
    if first in VERBS and any(map(asks_for_help, words[1:])):
        print(help_text())
        return 0
    if first.lstrip("-") in COMMANDS:
        return _run_command(first.lstrip("-"), words[1:])
    _check_spelling(first)
    from yolo_focal.ultra.command_line import run_yolo

    return run_yolo(words)


def _run_command(name: str, words: list[str]) -> int:
    if any(map(asks_for_help, words)):
        print(_command_help(name))
        return 0
    command = COMMANDS[name]
    extra: Sequence[str] = ()
    if command.training:
        from yolo_focal.api import training_arguments

        extra = training_arguments(name)
    arguments = parse_arguments(name, command.keys, words, extra)
    with quiet(not arguments.pop(VERBOSE.name, True)):
        code: int = importlib.import_module(f"yolo_focal.commands.{name}").run(arguments)
    return code


def _check_spelling(word: str) -> None:
    """Raise ConfigError for a first word most like a command of this package; others are upstream's to judge."""
    if "=" in word or word in (*YOLO_WORDS, *TRAINING_KEYS):
        return
    close = closest(word.lstrip("-"), [*COMMANDS, *YOLO_WORDS])
    if close in COMMANDS:
        raise ConfigError(f"'{word}' is no command; did you mean '{close}'?")


def _command_help(name: str) -> str:
    command = COMMANDS[name]
    lines = [help_table(f"yolo-focal {name}", command.summary, command.keys)]
    if command.training:
        what = "fl_* arguments" if name == "demo" else "training arguments, as in lr0=0.001"
        lines += ["", f"and {what}: 'yolo-focal cfg' lists them"]
    return "\n".join(lines)


def version_text() -> str:
    """Versions of this package and of those it stands on, without importing them."""
    others = [f"{name} {importlib.metadata.version(name)}" for name in ("ultralytics", "torch")]
    return f"yolo_focal {__version__} ({', '.join(others)})"


def help_text() -> str:
    """What `yolo-focal help` prints: commands, training arguments, presets."""
    width = max(len(name) for name in [*TRAINING_KEYS, *COMMANDS])
    lines = [
        f"yolo-focal {__version__}: focal-family losses for Ultralytics YOLO",
        "",
        "Everything the yolo command does (train, val, predict, export, track, benchmark, settings, checks, ...):",
        "  yolo-focal train model=yolo11n.pt data=coco8.yaml focal=True fl_gamma=1.5 fl_alpha=0.25",
        "",
        "and, each with 'yolo-focal COMMAND help':",
        *(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()),
        "",
        "Training arguments:",
        *(f"  {key.name:<{width}}  {key.help} (default {key.default})" for key in TRAINING_KEYS.values()),
        "",
        f"Presets for cfg=: {', '.join(cfg_names('hyp'))}",
    ]
    return "\n".join(lines)
