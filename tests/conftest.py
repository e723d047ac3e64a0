"""Fixtures shared by all tests."""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

# Ultralytics reads these when it is first imported; tests must neither reach for a network nor touch a user's settings.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ["YOLO_CONFIG_DIR"] = _folder = tempfile.mkdtemp(prefix="yolo_focal_tests_")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import pytest
from filelock import FileLock
from ultralytics.utils import SETTINGS

import yolo_focal
from tests.helpers import run_command_line, write_squares
from tests.ultra.helpers import chatty
from yolo_focal.data.shapes import draw_shapes

SETTINGS.update({name: str(Path(_folder) / name) for name in ("datasets_dir", "weights_dir", "runs_dir")})
# The same examples every time: a change passes or fails by what it changes. HYPOTHESIS_PROFILE=default draws new ones.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
SETTINGS.update(mlflow=False)  # where it is installed it would make a database for every training


@pytest.fixture(autouse=True)
def plugin_off_afterwards():
    """Every test finds the plugin off, whatever the one before did."""
    yield
    yolo_focal.disable()


@pytest.fixture
def enabled():
    """The plugin is on during the test."""
    yolo_focal.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images, annotations and weights beside the checkout; tests that need them skip where they are absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder ../shared with real data is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def small_set(tmp_path_factory) -> Path:
    """The data YAML of a few drawn images in ten classes."""
    folder = tmp_path_factory.mktemp("small_set")
    return draw_shapes(folder / "shapes", train_images=24, val_images=8)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """The data YAML of eight images of 64 pixels, each with a light and a dark square, in two classes."""
    return write_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="session")
def chatty_checkpoint(tmp_path_factory) -> Path:
    """An untrained detector of three of the classes of `small_set`, which finds something everywhere."""
    path = tmp_path_factory.mktemp("chatty") / "model.pt"
    model = chatty("yolo11n.yaml")
    model.model.names = {0: "disc", 1: "square", 2: "triangle"}
    model.save(str(path))
    return path


class Trained(NamedTuple):
    """What a training in a process of its own left."""

    printed: str
    run: Path  # the folder of the run


@pytest.fixture(scope="session")
def trained(small_set, tmp_path_factory) -> Trained:
    """Two epochs with focal on from the command line, each with its checkpoint: trained once for all processes."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # where all processes of this test run have their folders
    printed = folder / "trained.txt"
    with FileLock(folder / "trained.lock"):
        if not printed.exists():
            done = run_command_line(
                "train", "model=yolo11n.yaml", f"data={small_set}", "imgsz=64", "epochs=2", "batch=8", "save_period=1",
                "plots=False", "focal=True", f"project={folder}", "name=trained", cwd=folder,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-2000:]
            printed.write_text(done.stdout + done.stderr, encoding="utf-8")
    return Trained(printed.read_text(encoding="utf-8"), folder / "trained")
