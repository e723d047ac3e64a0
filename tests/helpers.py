"""What tests of several folders use: small datasets on disk, and programs in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from hypothesis import HealthCheck, settings


def run_python(code: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter that knows nothing of this process, with these environment variables added."""
    return _run(["-c", code], cwd, environment)


def run_command_line(*words: object, cwd: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run `yolo-focal` with these words in a process of its own, for so many seconds at most."""
    return _run(["-m", "yolo_focal", *map(str, words)], cwd, {}, timeout)


def run_file(path: Path, *words: object, cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a program with these words in a process of its own, for so many seconds at most."""
    return _run([str(path), *map(str, words)], cwd, {}, timeout)


def _run(
    arguments: list[str], cwd: Path | None, environment: dict[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=timeout,
    )


def write_squares(root: Path, **images: int) -> Path:
    """Write images of 64 pixels, each with a light and a dark square, into `root` and return their data YAML.

    Args:
        root: the folder of the dataset.
        images: number of images of each split; 8 to train on and 8 to validate on if nothing is given.
    """
    generator = np.random.default_rng(0)
    images = images or {"train": 8, "val": 8}
    for split, count in images.items():
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for index in range(count):
            image = generator.integers(100, 140, (64, 64, 3), dtype=np.uint8)
            lines = []
            for category, grey in enumerate((230, 20)):
                x, y = generator.integers(0, 40, 2)
                image[y : y + 24, x : x + 24] = grey
                lines.append(f"{category} {(x + 12) / 64} {(y + 12) / 64} {24 / 64} {24 / 64}")
            cv2.imwrite(str(root / "images" / split / f"{index}.png"), image)
            (root / "labels" / split / f"{index}.txt").write_text("\n".join(lines), encoding="utf-8")
    paths = "".join(f"{split}: images/{split}\n" for split in images)
    yaml = root / "squares.yaml"
    yaml.write_text(f"path: {root}\n{paths}names: [light, dark]\n", encoding="utf-8")
    return yaml


def repeated(examples: int, anew: bool):
    """Settings of a property that needs files: so many examples, the same every time or others."""
    checks = list(HealthCheck)
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=checks, database=None, derandomize=not anew
    )
