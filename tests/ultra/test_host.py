"""The contract with Ultralytics: every name is there, and a version without one is refused by that name."""

import inspect

import pytest

import yolo_focal
from yolo_focal.errors import UnsupportedUltralyticsError
from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.seam import MARK, Seam
from yolo_focal.ultra.plugin import PATCHES

PLACES = [(name, None) for name in host.NAMES if host.NAMES[name].path.count(":")]
MEMBERS = [(name, member) for name, row in host.NAMES.items() for member in row.members]


def test_the_installed_version_has_all_of_it():
    """The list of what is missing is empty."""
    assert host.missing_names() == []


@pytest.mark.parametrize(("name", "member"), [*PLACES, *MEMBERS], ids=lambda part: str(part or ""))
def test_a_version_without_a_name_is_refused_by_name_and_nothing_is_patched(monkeypatch, name, member):
    """Each name and member in turn is taken away from the real module or class."""
    row = host.NAMES[name]
    if member is None:
        module, attribute = row.path.split(":")
        owner = __import__(module, fromlist=["_"])
    else:
        owner, attribute = row.take(), member
    _remove(monkeypatch, owner, attribute)
    with pytest.raises(UnsupportedUltralyticsError) as caught:
        yolo_focal.enable()
    assert f"{row.dotted}{'' if member is None else '.' + member}: {row.fact}" in str(caught.value)
    assert "pip install 'ultralytics>=8.4.104'" in str(caught.value)
    monkeypatch.undo()
    for seam in (patch for patch in PATCHES if isinstance(patch, Seam)):
        assert not hasattr(getattr(host.take(seam.owner), seam.name), MARK)


def _remove(monkeypatch, owner, attribute):
    """Take `attribute` away wherever it stands: a class may have it from a base, a dictionary type from `dict`."""
    for place in inspect.getmro(owner) if inspect.isclass(owner) else [owner]:
        if place is object or attribute not in vars(place):
            continue
        monkeypatch.delattr(place, attribute)
    if hasattr(owner, attribute):
        pytest.skip(f"{owner!r} gets {attribute} from Python itself")


@pytest.mark.parametrize(
    ("name", "stranger"),
    [
        ("ap_per_class", lambda tp, conf, pred_cls, target_cls: (None,) * 7),
        ("get_cfg", lambda cfg: None),
        ("SETTINGS", {}),
        ("scale_boxes", lambda a, b, c: None),
        ("resample_segments", lambda segments: segments),
    ],
)
def test_a_fact_that_does_not_hold_is_named(monkeypatch, name, stranger):
    """A position in a result, an argument, a key."""
    row = host.NAMES[name]
    module, attribute = row.path.split(":")
    monkeypatch.setattr(__import__(module, fromlist=["_"]), attribute, stranger)
    assert host.missing_names() == [f"{row.dotted}: {row.fact}"]


def test_names_are_taken_fresh(monkeypatch):
    """What is patched or set later is seen: nothing is copied."""
    from ultralytics import utils

    monkeypatch.setattr(utils, "RANK", 7)
    assert host.RANK == 7


def test_what_is_not_in_the_table_is_not_there():
    """A slip is an AttributeError that says where to look."""
    with pytest.raises(AttributeError, match="what is taken from Ultralytics is in NAMES"):
        _ = host.NoSuchName
