"""The programs in scripts/, benchmarks/ and examples/ that take `key=value`: help, and one line for what is wrong."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.ultra.criteria.family_cases import FAMILIES

ROOT = Path(__file__).parents[1]
SCRIPTS = {
    path.name: path
    for folder in ("scripts", "benchmarks", "examples")
    for path in sorted(ROOT.glob(f"{folder}/*.py"))
    if "run_script(__file__" in path.read_text(encoding="utf-8")
}


def run(script, *words, monkeypatch):
    """Run a script in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPTS[script]), run_name="__main__")
    return caught.value.code


def test_there_are_such_scripts():
    """The pattern above finds them."""
    assert {"benchmark_step.py", "kill_and_resume.py", "train_ssd.py"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_and_bad_input(script, monkeypatch, capsys):
    """Help names every argument; an unknown key ends with exit code 2 and one line."""
    assert run(script, "help", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{script}: ") and "default" in printed
    assert run(script, "nonsense=1", monkeypatch=monkeypatch) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{script}: 'nonsense' is not an argument")


def test_the_contract_that_is_run_on_other_versions_is_there():
    """The files that check_versions.py names exist."""
    contract = runpy.run_path(str(SCRIPTS["check_versions.py"]))["CONTRACT"]
    assert contract and all((ROOT / path).exists() for path in contract)


def test_the_table_of_families_is_made_of_tests_that_are_there():
    """The file and the functions that family_table.py names exist, and the page has a row for each family."""
    program = runpy.run_path(str(ROOT / "benchmarks/family_table.py"))
    tests = (ROOT / program["TESTS"]).read_text(encoding="utf-8")
    assert all(f"def {name}(" in tests for name in program["COLUMNS"])
    rows = re.findall(
        r"^\| (.+?) \| yes \|", (ROOT / "docs/families.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert rows == [family.name for family in FAMILIES]
