"""The README keeps its word: links exist, commands are valid, and the code that needs no data runs."""

import re
import shlex
from pathlib import Path

import pytest

from yolo_focal import cli
from yolo_focal.arguments.focal import KEYS, read_config
from yolo_focal.ultra.command_line import checked_words

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    """The contents of the fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(page):
    """Every call of yolo-focal in the page's shell blocks, as words."""
    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("yolo-focal ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    """Every relative link and picture exists in the repository."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_exactly_two_commands_do_the_set_up():
    """One installs and runs the main job, one installs and passes the tests."""
    installs = [line for line in "\n".join(blocks(ROOT / "README.md", "bash")).splitlines() if "pip install" in line]
    assert installs == ["pip install -e . && yolo-focal demo", 'pip install -e ".[test]" && pytest']


@pytest.mark.parametrize(
    ("page", "words"),
    [
        pytest.param(page, words, id=f"{page.name}: {' '.join(words)[:60]}")
        for page in PAGES
        for words in commands(page)
    ],
)
def test_every_command_in_the_documentation_names_arguments_that_exist(enabled, page, words, monkeypatch):
    """Own commands know their keys; the others pass the checks that precede any work (data sets aside)."""
    monkeypatch.setattr("yolo_focal.ultra.command_line.check_data_exists", lambda data: None)
    monkeypatch.setattr("yolo_focal.ultra.hooks.arguments.settle_alpha", lambda arguments: None)
    if words[0] in cli.COMMANDS:
        assert unknown_keys(words) == []
    elif words[0] != "help":
        checked_words([word for word in words if not word.startswith(("data=", "cfg=hyp"))])


def unknown_keys(words):
    """Keys of a call of an own command that it does not have."""
    import importlib

    from ultralytics.utils import DEFAULT_CFG_DICT

    command = importlib.import_module(cli.COMMANDS[words[0]])
    known = {argument.name for argument in command.ARGUMENTS}
    if hasattr(command, "passed_through"):
        known |= {*command.passed_through(), *DEFAULT_CFG_DICT}
    return [word for word in words[1:] if word.partition("=")[0] not in {*known, "help"}]


def test_the_example_of_the_losses_runs():
    """The Python block that needs torch only."""
    block = next(block for block in blocks(ROOT / "README.md", "python") if "yolo_focal.losses" in block)
    exec(compile(block, "README.md", "exec"), {})


def test_the_table_of_arguments_is_that_of_the_code():
    """Every argument in it exists with that default."""
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(rows) >= 8
    assert dict(rows) == {name: str(KEYS[name].default) for name, _ in rows}


def test_the_defaults_of_the_table_are_a_valid_call():
    """They describe one training."""
    assert read_config({name: key.default for name, key in KEYS.items()}) is None
