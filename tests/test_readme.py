"""The README keeps its word: the set-up is two commands, its example runs, its table is that of the code."""

import re
from pathlib import Path

from yolo_focal.arguments.focal import KEYS, read_config
from yolo_focal.arguments.training_keys import TRAINING_KEYS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The contents of the fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_exactly_two_commands_do_the_set_up():
    """One installs and runs the main job, one installs and passes the tests."""
    installs = [line for line in "\n".join(blocks("bash")).splitlines() if "pip install" in line]
    assert installs == ["pip install -e . && yolo-focal demo", 'pip install -e ".[test]" && pytest']


def test_the_example_of_the_losses_runs():
    """The Python block that needs torch only."""
    block = next(block for block in blocks("python") if "yolo_focal.losses" in block)
    exec(compile(block, "README.md", "exec"), {})


def test_the_table_of_arguments_is_that_of_the_code():
    """Every argument in it exists with that default."""
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", README, flags=re.MULTILINE)
    assert len(rows) >= 13
    assert dict(rows) == {name: str(TRAINING_KEYS[name].default) for name, _ in rows}


def test_the_defaults_of_the_table_are_a_valid_call():
    """They describe one training."""
    assert read_config({name: key.default for name, key in KEYS.items()}) is None
