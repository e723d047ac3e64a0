"""Print the table of model families from a run of its tests: python benchmarks/family_table.py."""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TESTS = "tests/ultra/criteria/test_families.py"
COLUMNS = {
    "test_gamma_changes_the_class_gradient_and_nothing_else": "acts on class gradients only, stock at its settings",
    "test_validation_uses_the_same_settings": "validation the same",
    "test_nothing_enters_the_state_dictionary": "checkpoint unchanged",
    "test_the_start_line_says_what_runs": "start line",
}


def main() -> int:
    """Run the tests and print one row a family; the exit code is that of the tests."""
    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        tests = [TESTS, "-m", "slow or not slow", f"--junitxml={report}"]
        code = subprocess.run([sys.executable, "-m", "pytest", *tests], cwd=root, stdout=subprocess.DEVNULL).returncode
        cases = ElementTree.parse(report).getroot().iter("testcase")
        cells: dict[str, dict[str, str]] = {}
        for case in cases:
            test, _, family = case.get("name", "").partition("[")
            if test in COLUMNS:
                cells.setdefault(family.rstrip("]"), {})[test] = "no" if len(case) else "yes"
    print(f"| family | {' | '.join(COLUMNS.values())} |\n|{'---|' * (1 + len(COLUMNS))}")
    for family, ticks in cells.items():
        print(f"| {family} | {' | '.join(ticks.get(test, 'not run') for test in COLUMNS)} |")
    return code


if __name__ == "__main__":
    sys.exit(main())
