"""The command line: the plugin's own commands, and everything else as the `yolo` command would do it."""

import importlib
from collections.abc import Sequence
from types import ModuleType

from yolo_focal import __version__
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.commands.exit_codes import exit_code_of, run_program
from yolo_focal.resources import cfg_names

__all__ = ["COMMANDS", "help_text", "main"]

COMMANDS: dict[str, str] = {
    "demo": "yolo_focal.commands.demo",
    "doctor": "yolo_focal.commands.doctor",
    "evaluate": "yolo_focal.commands.evaluate",
    "compare": "yolo_focal.commands.compare",
    "calibrate": "yolo_focal.commands.calibrate",
    "tune": "yolo_focal.commands.tune",
    "subset": "yolo_focal.commands.subset",
    "yolo2coco": "yolo_focal.commands.yolo2coco",
    "voc2yolo": "yolo_focal.commands.voc2yolo",
    "convert": "yolo_focal.commands.convert",
}


def main(words: Sequence[str]) -> int:
    """Run `yolo-focal` with `words` and return the exit code."""
    return exit_code_of("yolo-focal", lambda: _dispatch(list(words)))


def _dispatch(words: list[str]) -> int:
    first = words[0].lstrip("-") if words else "help"
    if first in ("help", "h"):
        print(help_text())
        return 0
    if first in COMMANDS:
        return _run_command(first, importlib.import_module(COMMANDS[first]), words[1:])
    from yolo_focal.ultra.command_line import run_yolo

    return run_yolo(words)


def _run_command(name: str, command: ModuleType, words: list[str]) -> int:
    extra = getattr(command, "passed_through", tuple)
    return run_program(f"yolo-focal {name}", command.SUMMARY, command.ARGUMENTS, command.run, words, extra)


def help_text() -> str:
    """What `yolo-focal help` prints: commands, training arguments, presets."""
    commands = {name: importlib.import_module(path).SUMMARY for name, path in COMMANDS.items()}
    width = max(len(name) for name in [*TRAINING_KEYS, *commands])
    lines = [
        f"yolo-focal {__version__}: focal-family losses for Ultralytics YOLO",
        "",
        "Everything the yolo command does (train, val, predict, export, track, benchmark, settings, checks, ...):",
        "  yolo-focal train model=yolo11n.pt data=coco8.yaml focal=True fl_gamma=1.5 fl_alpha=0.25",
        "",
        "and, each with 'yolo-focal COMMAND help':",
        *(f"  {name:<{width}}  {summary}" for name, summary in commands.items()),
        "",
        "Training arguments:",
        *(f"  {key.name:<{width}}  {key.help} (default {key.default})" for key in TRAINING_KEYS.values()),
        "",
        f"Presets for cfg=: {', '.join(cfg_names('hyp'))}",
    ]
    return "\n".join(lines)
