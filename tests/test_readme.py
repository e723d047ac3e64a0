"""The README keeps its word: two commands set up, its example runs, its links work anywhere; so do the tables."""

import re
from pathlib import Path

from yolo_focal.arguments.focal import KEYS, read_config
from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.arguments.key import literal
from yolo_focal.arguments.rare import RARE_KEYS
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.resources import cfg_names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The contents of the fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_exactly_two_commands_do_the_set_up():
    """One installs and runs the main job, one installs and passes the tests."""
    installs = [line for line in "\n".join(blocks("bash")).splitlines() if "pip install" in line]
    assert installs == ["pip install -e . && yolo-focal demo", 'pip install -e ".[test]" && pytest -n auto']


def test_the_example_of_the_losses_runs():
    """The Python block that needs torch only."""
    block = next(block for block in blocks("python") if "yolo_focal.losses" in block)
    exec(compile(block, "README.md", "exec"), {})


def test_it_is_read_in_a_few_minutes():
    """Detail has its place in the documentation."""
    assert len(README.split()) < 900


def test_links_and_pictures_work_on_other_pages():
    """The package index shows the README too, and has none of the files beside it."""
    targets = re.findall(r"\]\(([^)\s]+)\)", README)
    assert len(targets) > 20 and all(target.startswith("https://") for target in targets)


def test_the_tables_of_arguments_are_those_of_the_code():
    """Every argument of this package is in one of them, with its default."""
    pages = [(ROOT / f"docs/{name}.md").read_text(encoding="utf-8") for name in ("training", "rare")]
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", "".join(pages), flags=re.MULTILINE))
    assert set(rows) >= set(KEYS)
    assert rows == {name: str(TRAINING_KEYS[name].default) for name in rows}


def test_the_table_of_presets_is_that_of_the_files():
    """Each file of cfg/hyp has its row, with all that it sets of this package's losses and rare classes."""
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    rows = {
        name: {key: literal(value) for key, value in (word.split("=") for word in words.split())}
        for name, words in re.findall(r"^\| `cfg=([\w-]+)` \| (?:`(.+?=.+?)`|none of .*?) \|", page, flags=re.MULTILINE)
    }
    files = {name: read_hyp(find_hyp(name)) for name in cfg_names("hyp")}
    named = {*KEYS, *RARE_KEYS} - {"focal"}
    assert rows == {name: {key: file[key] for key in file if key in named} for name, file in files.items()}


def test_the_defaults_of_the_table_are_a_valid_call():
    """They describe one training."""
    assert read_config({name: key.default for name, key in KEYS.items()}) is None
