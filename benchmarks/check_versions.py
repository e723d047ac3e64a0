"""Run the contract tests against several versions of Ultralytics and print the matrix.

    python benchmarks/check_versions.py folder=/tmp/versions versions=8.4.104,8.4.140

Each version is installed without its dependencies into `folder` and put before the installed one; all else stays as it
is. Needs a package index. A version that is too old has to be refused with the list of what it lacks.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from yolo_focal.arguments.key import Key, path, text_list
from yolo_focal.commands.exit_codes import run_script

VERSIONS = ("8.3.253", "8.4.95", "8.4.104", "8.4.140", "8.4.175", "8.4.190")
OLDEST_SUPPORTED = (8, 4, 104)
CONTRACT = (
    "tests/ultra/test_host.py",
    "tests/ultra/test_plugin.py",
    "tests/ultra/hooks/test_arguments.py",
    "tests/ultra/criteria/test_detection.py",
    "tests/ultra/criteria/test_families.py",
    "tests/ultra/criteria/test_schedule.py",
    "tests/ultra/sampling",
)
ARGUMENTS = (
    Key("folder", None, "where the versions are installed and kept", read=path, required=True),
    Key("versions", list(VERSIONS), "versions to check", read=text_list),
    Key("tests", list(CONTRACT), "test files to run with each", read=text_list),
)
ENABLE = (
    "import yolo_focal\ntry: yolo_focal.enable()\nexcept yolo_focal.errors.UnsupportedUltralyticsError as e: print(e)"
)


def overlay(version: str, folder: Path) -> Path:
    """The folder that holds this version alone, installed on first use."""
    target = folder / version
    if not (target / "ultralytics").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target)]
        subprocess.run([*pip, f"ultralytics=={version}"], check=True)
    return target


def run(arguments: list[str], path: Path, root: Path) -> str:
    """What a Python process with `path` in front prints."""
    environment = {**os.environ, "PYTHONPATH": str(path), "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}
    done = subprocess.run([sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def check(version: str, folder: Path, root: Path, tests: list[str]) -> tuple[bool, str]:
    """Whether the version does what it should, and what happened in one line."""
    path = overlay(version, folder)
    if tuple(map(int, version.split("."))) < OLDEST_SUPPORTED:
        words = run(["-c", ENABLE.replace("import yolo_focal", "import yolo_focal, yolo_focal.errors", 1)], path, root)
        line = words.strip().splitlines()[-1] if words.strip() else "accepted"
        return f"ultralytics {version} lacks" in line, line
    words = run(["-m", "pytest", "-q", *tests], path, root)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", words, re.MULTILINE)
    counts = re.findall(r"\d+ (?:passed|failed|skipped|error)[^,\n]*", words)
    summary = ", ".join(counts) if counts else f"{words.count('.')} dots"
    return not failed and "Error" not in words.splitlines()[-1], "; ".join([summary, *failed])


def main(arguments: dict[str, Any]) -> int:
    """Check every version; the exit code is 0 where all do what they should."""
    root = Path(__file__).resolve().parents[1]
    print("| ultralytics | as expected | what happened |\n|---|---|---|")
    results = []
    for version in arguments["versions"]:
        fine, line = check(version, arguments["folder"], root, arguments["tests"])
        results.append(fine)
        print(f"| {version} | {'yes' if fine else 'no'} | {line} |", flush=True)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
