"""The house stands: imports only point down, importing does nothing, and every `__all__` is true."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import yolo_focal

PACKAGE = Path(yolo_focal.__file__).parent
FLOORS = {
    "errors": 0,
    "files": 0,
    "resources": 0,
    "loss_facts": 0,
    "losses": 0,
    "arguments": 1,
    "data": 2,
    "detector": 2,
    "ultra": 3,
    "evaluation": 4,
    "diagnosis": 5,
    "comparison": 5,
    "commands": 6,
    "cli": 7,
    "__main__": 8,
}
MAY_KNOW_ULTRALYTICS_INTERNALS = "ultra"


def room(path: Path) -> str:
    """The first name below the package that a source file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    """Dotted names of everything a source file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_point_down(path):
    """A module imports from its own room or from a lower floor; rooms on one floor do not know each other."""
    here = room(path)
    for module in imported_modules(path):
        parts = module.split(".")
        if parts[0] == "yolo_focal" and len(parts) > 1 and parts[1] in FLOORS and parts[1] != here:
            assert FLOORS[parts[1]] < FLOORS[here] or FLOORS[here] == FLOORS[parts[1]] == 0, f"{here} imports {module}"


@pytest.mark.parametrize("path", [p for p in SOURCES if room(p) == "losses"], ids=lambda path: path.name)
def test_losses_need_torch_only(path):
    """The mathematics needs nothing but torch, triton where it is used, and the standard library."""
    outside = {module.split(".")[0] for module in imported_modules(path)} - sys.stdlib_module_names
    assert outside <= {"torch", "triton", "yolo_focal", ""}


@pytest.mark.parametrize("path", [p for p in SOURCES if room(p) == "detector"], ids=lambda path: path.name)
def test_the_detector_does_not_know_ultralytics(path):
    """Assignment, objective and decoding are plain torch."""
    assert not any(module.split(".")[0] == "ultralytics" for module in imported_modules(path))


@pytest.mark.parametrize("module", ["yolo_focal", "yolo_focal.losses", "yolo_focal.arguments.focal", "yolo_focal.cli"])
def test_importing_is_light(module):
    """Importing these does not import Ultralytics."""
    program = f"import sys, {module}; sys.exit('ultralytics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_importing_patches_nothing():
    """Ultralytics is the same object graph after importing every module of this package."""
    program = (
        "import importlib, pkgutil, yolo_focal\n"
        "from ultralytics.utils import DEFAULT_CFG_DICT, loss\n"
        "before = (dict(DEFAULT_CFG_DICT), loss.v8DetectionLoss.__init__)\n"
        "for m in pkgutil.walk_packages(yolo_focal.__path__, 'yolo_focal.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "assert before == (dict(DEFAULT_CFG_DICT), loss.v8DetectionLoss.__init__)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "name", ["yolo_focal", *(m.name for m in pkgutil.walk_packages(yolo_focal.__path__, "yolo_focal."))]
)
def test_all_is_sorted_and_true(name):
    """`__all__`, where there is one, is sorted and names only what exists."""
    if name.endswith("__main__"):
        return
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert list(names) == sorted(names)
    assert all(hasattr(module, each) for each in names)
