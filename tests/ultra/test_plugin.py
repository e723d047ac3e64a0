"""Enabling: all or nothing, twice is once, and disabling leaves Ultralytics as it was."""

import importlib.metadata

import pytest

import yolo_focal
from yolo_focal.arguments.focal import KEYS
from yolo_focal.errors import UnsupportedUltralyticsError
from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.seam import MARK, Seam
from yolo_focal.ultra.plugin import PATCHES, missing_seams

SEAMS = [patch for patch in PATCHES if isinstance(patch, Seam)]


def fingerprint():
    """Identity of every patched function, the defaults and the child command."""
    from ultralytics.cfg import _YOLO_CLI_COMMAND
    from ultralytics.utils import DEFAULT_CFG, DEFAULT_CFG_DICT

    functions = tuple(getattr(host.take(seam.owner), seam.name) for seam in SEAMS)
    return functions, dict(DEFAULT_CFG_DICT), dict(vars(DEFAULT_CFG)), list(_YOLO_CLI_COMMAND)


def test_every_upstream_fact_holds_in_the_installed_version():
    """The contract with the host library; a failure names the fact that changed."""
    assert missing_seams() == []


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: f"{seam.owner}.{seam.name}")
def test_a_missing_seam_is_named_and_nothing_is_patched(monkeypatch, seam):
    """Without one of the functions, enabling fails with its name and leaves the others alone."""
    owner = host.take(seam.owner)
    monkeypatch.setattr(owner, seam.name, _gone)
    before = fingerprint()
    if seam.missing() is None:  # a seam whose only fact is that the function exists
        monkeypatch.undo()
        monkeypatch.delattr(owner, seam.name)
        assert seam.missing() is not None
        return
    with pytest.raises(UnsupportedUltralyticsError) as caught:
        yolo_focal.enable()
    assert f"{seam.name}: {seam.fact}" in str(caught.value)
    assert "pip install 'ultralytics>=8.4.104'" in str(caught.value)
    assert fingerprint() == before


def test_no_function_has_two_seams():
    """The second would find the first and take itself for installed."""
    places = [(seam.owner, seam.name) for seam in SEAMS]
    assert len(set(places)) == len(places)


def _gone():
    """A function that is nothing like the ones upstream."""


def test_enabling_twice_is_enabling_once():
    """No function is wrapped twice."""
    yolo_focal.enable()
    once = fingerprint()
    yolo_focal.enable()
    assert fingerprint() == once
    assert not any(hasattr(getattr(function, MARK), MARK) for function in once[0])
    yolo_focal.disable()


def test_disabling_restores_ultralytics():
    """Functions, defaults and child command are the very ones from before."""
    before = fingerprint()
    yolo_focal.enable()
    assert fingerprint() != before
    yolo_focal.disable()
    assert fingerprint() == before
    yolo_focal.disable()
    assert fingerprint() == before


def test_the_defaults_know_the_keys_while_enabled(enabled):
    """Both the dictionary and the namespace."""
    from ultralytics.utils import DEFAULT_CFG, DEFAULT_CFG_DICT

    assert all(DEFAULT_CFG_DICT[name] == getattr(DEFAULT_CFG, name) == key.default for name, key in KEYS.items())


def test_the_package_says_which_python_and_version():
    """`yolo_focal.__version__` is what the distribution's metadata says."""
    assert importlib.metadata.version("yolo_focal") == yolo_focal.__version__


def test_a_model_without_a_head_of_its_own_is_built_as_in_stock(enabled):
    """Its YAML has the head row in the backbone."""
    from ultralytics.nn.tasks import DetectionModel

    rows = [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [16, 3, 2]]]
    model = DetectionModel({"nc": 2, "backbone": [*rows, [[2], 1, "Detect", ["nc"]]], "head": []}, verbose=False)
    assert type(model.model[-1]).__name__ == "Detect"
