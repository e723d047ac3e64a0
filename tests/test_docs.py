"""The documentation keeps its word: files it links to exist, and every command it shows is accepted."""

import importlib
import re
import runpy
import shlex
from pathlib import Path

import pytest

from yolo_focal import cli
from yolo_focal.arguments.command_line import parse_arguments
from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.ultra.command_line import checked_words

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = sorted([*ROOT.glob("scripts/*.py"), *ROOT.glob("benchmarks/*.py")])
SOURCES = [*PAGES, *sorted((ROOT / "cfg").rglob("*.yaml")), *PROGRAMS]

LINE = re.compile(
    r"^(?: {4}|\$ |#(?: Use:| Train one:)? +|\w+=.* )?((?:yolo-focal|python \w+/\w+\.py) [^`\n]*)$", re.MULTILINE
)
INLINE = re.compile(r"(?<!`)`((?:yolo-focal|python \w+/\w+\.py) [^`]+)`")
COMMAND_AFTER_ANOTHER = re.compile(r"&& (yolo-focal .*)$", re.MULTILINE)


def calls(path):
    """Every call that a file shows, as words: in blocks of code, in comments of a YAML and between backticks."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    found = [call for pattern in (LINE, INLINE) for call in pattern.findall(text)]
    return [shlex.split(call, comments=True) for call in found if "COMMAND" not in call]


CALLS = [pytest.param(words, id=f"{path.name}: {' '.join(words)[:70]}") for path in SOURCES for words in calls(path)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    """Every relative link and picture exists in the repository."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_commands_are_found_in_every_kind_of_place():
    """In a fenced block, an indented one, after a prompt, inline, in a preset and in a script."""
    found = {(path.name, tuple(words[:2])) for path in SOURCES for words in calls(path)}
    assert {
        ("data.md", ("yolo-focal", "subset")),
        ("calibrate.md", ("yolo-focal", "calibrate")),
        ("doctor.md", ("yolo-focal", "doctor")),
        ("compare.md", ("yolo-focal", "compare")),
        ("qfl.yaml", ("yolo-focal", "train")),
        ("train.py", ("python", "scripts/train.py")),
        ("README.md", ("yolo-focal", "demo")),
    } <= found


@pytest.mark.parametrize("words", CALLS)
def test_every_command_in_the_documentation_is_accepted(enabled, words, monkeypatch, capsys):
    """Its arguments exist and have values of the right kind; only the work itself is left out."""
    program, first, *rest = words
    if program == "python":
        accept_program(ROOT / first, rest, monkeypatch)
    elif first in COMMANDS:
        monkeypatch.setattr(importlib.import_module(f"yolo_focal.commands.{first}"), "run", lambda arguments: 0)
        code, error = cli.main([first, *rest]), capsys.readouterr().err
        if "=" in "".join(rest) and not any(word.endswith("=") for word in rest):
            assert code == 0, error
        else:  # the command is named, with some of its arguments at most
            assert "is not an argument" not in error
    elif first != "help":
        accept_yolo([first, *rest], monkeypatch)


def accept_yolo(words, monkeypatch):
    """The checks that precede a command of Ultralytics; datasets and files of the reader's own are not at hand."""
    monkeypatch.setattr("yolo_focal.ultra.command_line.check_data_exists", lambda data: None)
    monkeypatch.setattr("yolo_focal.ultra.hooks.arguments.settled_config", lambda arguments: None)
    checked_words([word for word in words if not re.match(r"data=|cfg=.*\.yaml", word)])


def accept_program(path, words, monkeypatch):
    """The program exists, and knows the arguments that it takes as `key=value`."""
    assert path in PROGRAMS
    if path.name in ("train.py", "val.py"):
        accept_yolo([path.stem, *words], monkeypatch)
    elif "run_script(" in path.read_text(encoding="utf-8"):
        parse_arguments(path.name, runpy.run_path(str(path))["ARGUMENTS"], words)
