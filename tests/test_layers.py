"""The house stands: imports only point down, importing does nothing, and every `__all__` is true."""

import ast
import functools
import importlib
import json
import pkgutil
import sys
from pathlib import Path

import pytest

import yolo_focal
from tests.helpers import run_python

PACKAGE = Path(yolo_focal.__file__).parent
FLOORS = {
    "console": 0,
    "errors": 0,
    "files": 0,
    "foreign_text": 0,
    "numbers": 0,
    "paths": 0,
    "plain_output": 0,
    "plot_style": 0,
    "spelling": 0,
    "text_table": 0,
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
    "results": 6,
    "api": 7,
    "commands": 8,
    "cli": 9,
    "__main__": 10,
    "child": 10,
}
KNOWS_ULTRALYTICS = PACKAGE / "ultra" / "host.py"
ROOMS_OF_ULTRA = {  # a room imports from lower floors only
    "default_arguments": 0,
    "host": 0,
    "logger": 1,
    "datasets": 1,
    "hooks": 2,
    "criteria": 3,
    "anchor": 4,
    "sampling": 4,
    "class_losses": 5,
    "families": 6,
    "training_log": 6,
    "training": 7,
    "plugin": 8,
    "command_line": 9,
    "drivers": 8,
}


# What the package offers under its own name stands elsewhere.
DOORS = {f"yolo_focal.{name}": "yolo_focal.api" for name in yolo_focal.__all__ if name != "__version__"} | {
    f"yolo_focal.{name}": "yolo_focal.ultra.plugin" for name in ("enable", "disable")
}
UPWARDS = {("anchor/head.py", "yolo_focal.ultra.plugin")}  # a model that is unpickled needs the plugin


def room(path: Path) -> str:
    """The first name below the package that a source file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def imported_modules(path: Path) -> set[str]:
    """Dotted names of everything a source file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {node.module or "", *(DOORS.get(name, name) for name in names)}
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


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_file_alone_knows_ultralytics(path):
    """Every name that is taken from it stands in `ultra/host.py`."""
    if path != KNOWS_ULTRALYTICS:
        assert not any(module.split(".")[0] == "ultralytics" for module in imported_modules(path))


@pytest.mark.parametrize("path", [p for p in SOURCES if room(p) == "ultra"], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_rooms_of_ultra_are_in_order(path):
    """Within `ultra/`, too, imports only point down, so that there is no circle."""
    parts = path.relative_to(PACKAGE / "ultra").parts
    here = parts[0].removesuffix(".py")
    if here in ("__init__", "anchor_head"):  # the latter only keeps an old path alive
        return
    for module in imported_modules(path):
        below = module.split(".")[2:3]
        if ("/".join(parts), module) in UPWARDS:
            continue
        if module.startswith("yolo_focal.ultra.") and below[0] in ROOMS_OF_ULTRA and below[0] != here:
            assert ROOMS_OF_ULTRA[below[0]] < ROOMS_OF_ULTRA[here], f"{here} imports {module}"


@pytest.mark.parametrize("path", [p for p in SOURCES if room(p) == "losses"], ids=lambda path: path.name)
def test_losses_need_torch_only(path):
    """The mathematics needs nothing but torch, triton where it is used, and the standard library."""
    outside = {module.split(".")[0] for module in imported_modules(path)} - sys.stdlib_module_names
    assert outside <= {"torch", "triton", "yolo_focal", ""}


@pytest.mark.parametrize("path", [p for p in SOURCES if room(p) == "detector"], ids=lambda path: path.name)
def test_the_detector_does_not_know_ultralytics(path):
    """Assignment, objective and decoding are plain torch."""
    assert not any(module.split(".")[0] == "ultralytics" for module in imported_modules(path))


IMPORTS = """
import importlib, json, pkgutil, sys

def brought(name):  # what comes with a module besides this package and the standard library
    before = set(sys.modules)
    importlib.import_module(name)
    return sorted({each.partition(".")[0] for each in set(sys.modules) - before} - sys.stdlib_module_names)

found = {name: brought(name) for name in ["yolo_focal", "yolo_focal.arguments.focal", "yolo_focal.cli"]}
import torch
found["yolo_focal.losses"] = brought("yolo_focal.losses")

from ultralytics.utils import DEFAULT_CFG_DICT, loss
before = (dict(DEFAULT_CFG_DICT), loss.v8DetectionLoss.__init__)
for module in pkgutil.walk_packages(sys.modules["yolo_focal"].__path__, "yolo_focal."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
found["patches nothing"] = before == (dict(DEFAULT_CFG_DICT), loss.v8DetectionLoss.__init__)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def imports():
    """What importing each light module brings along, and whether importing all of them patches anything."""
    done = run_python(IMPORTS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", ["yolo_focal", "yolo_focal.losses", "yolo_focal.arguments.focal", "yolo_focal.cli"])
def test_importing_is_light(imports, module):
    """Importing these imports neither Ultralytics nor torch, which the losses alone need."""
    assert not {"torch", "ultralytics"} & set(imports[module])


def test_importing_the_losses_imports_torch_only(imports):
    """Neither Ultralytics nor Triton nor the compiler is loaded by importing the losses."""
    assert set(imports["yolo_focal.losses"]) <= {"yolo_focal"}


def test_importing_patches_nothing(imports):
    """Ultralytics is the same object graph after importing every module of this package."""
    assert imports["patches nothing"]


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
