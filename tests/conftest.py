"""Fixtures shared by all tests."""

import os
import tempfile
from pathlib import Path

# Ultralytics reads these when it is first imported; tests must neither reach for a network nor touch a user's settings.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ["YOLO_CONFIG_DIR"] = _folder = tempfile.mkdtemp(prefix="yolo_focal_tests_")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from ultralytics.utils import SETTINGS

SETTINGS.update({name: str(Path(_folder) / name) for name in ("datasets_dir", "weights_dir", "runs_dir")})


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images, annotations and weights beside the checkout; tests that need them skip where they are absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder ../shared with real data is not beside this checkout")
    return folder
