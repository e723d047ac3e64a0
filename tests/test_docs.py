"""The documentation keeps its word: files it links to exist, and every command it shows is accepted."""

import importlib
import re
import runpy
import shlex
from pathlib import Path

import pytest

from tests.helpers import run_command_line
from yolo_focal import cli
from yolo_focal.arguments.command_line import parse_arguments
from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.ultra.command_line import checked_words

ROOT = Path(__file__).parents[1]
HOME = "https://github.com/yolo-focal/yolo_focal"
RAW = HOME.replace("github.com", "raw.githubusercontent.com")
OWN_LINK = re.compile(rf"(?:{HOME}/(?:blob|tree)|{RAW})/main/([^)#\s]+)(?:#([^)\s]+))?")
FRONT = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in FRONT), *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = sorted(path for folder in ("scripts", "benchmarks", "examples") for path in ROOT.glob(f"{folder}/*.py"))
SOURCES = [*PAGES, *sorted((ROOT / "cfg").rglob("*.yaml")), *PROGRAMS]

LINE = re.compile(
    r"^(?: {4}|\$ |#(?: Use:| Train one:)? +|\w+=.* )?((?:yolo-focal|python \w+/\w+\.py) [^`\n]*)$", re.MULTILINE
)
INLINE = re.compile(r"(?<!`)`((?:yolo-focal|python \w+/\w+\.py) [^`]+)`")
PRINTED = re.compile(r"```python\n(.*?)```\n\n```\n(.*?)```", re.DOTALL)
PAGES_THAT_PRINT = [page for page in PAGES if PRINTED.search(page.read_text(encoding="utf-8"))]
COMMAND_AFTER_ANOTHER = re.compile(r"&& (yolo-focal .*)$", re.MULTILINE)


def calls(path):
    """Every call that a file shows, as words: in blocks of code, in comments of a YAML and between backticks."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    found = [call for pattern in (LINE, INLINE, COMMAND_AFTER_ANOTHER) for call in pattern.findall(text)]
    return [shlex.split(re.split(r"\\?\|", call)[0], comments=True) for call in found if "COMMAND" not in call]


CALLS = [pytest.param(words, id=f"{path.name}: {' '.join(words)[:70]}") for path in SOURCES for words in calls(path)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    """Every relative link and picture exists in the repository."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def anchors(page):
    """The names by which the headings of a page can be linked to."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_the_repository_on_the_web_lead_somewhere(page):
    """What stands at such an address is in this checkout, and so is the heading."""
    for target, anchor in OWN_LINK.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / target).exists()
        assert not anchor or anchor in anchors(ROOT / target), anchor


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


@pytest.mark.parametrize("page", PAGES_THAT_PRINT, ids=lambda page: page.name)
def test_programs_print_what_is_shown(page, capsys):
    """A block of Python that a block of text follows prints that text."""
    for program, shown in PRINTED.findall(page.read_text(encoding="utf-8")):
        exec(compile(program, str(page), "exec"), {})
        assert capsys.readouterr().out == shown


@pytest.mark.slow
def test_the_tutorial_on_imbalanced_data_runs(tmp_path, monkeypatch):
    """Its blocks of commands, as they are and in order; what they write is what the next ones read."""
    (tmp_path / "settings").mkdir()
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))  # in which runs/ is the present folder's
    for variable in ("PYTEST_CURRENT_TEST", "GITHUB_ACTIONS"):  # under which Ultralytics puts runs elsewhere
        monkeypatch.delenv(variable, raising=False)
    page = (ROOT / "docs/tutorials/custom_data.md").read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = "".join(re.findall(r"```bash\n(.*?)```", page, re.DOTALL))
    commands = [shlex.split(line) for line in blocks.splitlines()]
    assert len(commands) == 8
    for program, *words in commands:
        assert program == "yolo-focal"
        done = run_command_line(*words, cwd=tmp_path, timeout=3000)
        assert done.returncode == 0, f"{words}: {done.stderr[-2000:]}"
    assert {"deployed.pt", "deployed.onnx", "evaluation-onnx"} <= {path.name for path in (tmp_path / "runs").iterdir()}


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
    elif first not in ("help", "checks", "cfg"):
        accept_yolo([first, *rest], monkeypatch)


def accept_yolo(words, monkeypatch):
    """The checks that precede a command of Ultralytics; datasets, files and devices of the reader are not at hand."""
    monkeypatch.setattr("yolo_focal.ultra.command_line.check_data_exists", lambda data: None)
    monkeypatch.setattr("yolo_focal.ultra.command_line.refuse_missing", lambda name: None)
    monkeypatch.setattr("yolo_focal.ultra.hooks.arguments.settled_config", lambda arguments: None)
    checked_words([word for word in words if not re.match(r"data=|cfg=.*\.yaml|device=\d", word)])


def accept_program(path, words, monkeypatch):
    """The program exists, and knows the arguments that it takes as `key=value`."""
    assert path in PROGRAMS
    if path.name in ("train.py", "val.py"):
        accept_yolo([path.stem, *words], monkeypatch)
    elif "run_script(" in path.read_text(encoding="utf-8"):
        parse_arguments(path.name, runpy.run_path(str(path))["ARGUMENTS"], words)
