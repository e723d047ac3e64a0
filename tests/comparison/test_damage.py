"""A comparison whose files were damaged repairs itself: what cannot be read is done again, and said."""

import json
import shutil

import pytest

import yolo_focal
from yolo_focal.errors import DataError

SETTINGS = {"epochs": 1, "imgsz": 32, "batch": 32, "device": "cpu", "workers": 0, "fraction": 0.2, "val": False}
TRIAL = "trials/focal-seed0"


def compare(out):
    """The comparison of this module, in `out`."""
    return yolo_focal.compare("shapes", "yolo11n.yaml", losses="bce,focal", seeds=1, resamples=100, out=out, **SETTINGS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished comparison."""
    out = tmp_path_factory.mktemp("whole") / "comparison"
    compare(out)
    yolo_focal.disable()
    return out


@pytest.fixture
def copy(whole, tmp_path, enabled):
    """One to damage."""
    return shutil.copytree(whole, tmp_path / "comparison")


def empty(path):
    """Of length 0, as a crash of the machine leaves it."""
    path.write_bytes(b"")


def flip(path):
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "matches flipped": (flip, "matches.npz", "matches.npz is not what was written; it is evaluated again"),
    "matches gone": (
        lambda path: path.unlink(),
        "matches.npz",
        "matches.npz cannot be read (No such file or directory)",
    ),
    "weights flipped": (flip, "run/weights/last.pt", "last.pt is not what was written; it is trained again"),
    "weights empty": (empty, "run/weights/last.pt", "last.pt is not what was written; it is trained again"),
    "arguments empty": (empty, "run/args.yaml", "args.yaml is not what was written; it is trained again"),
    "record empty": (empty, "trained.json", "trained.json is damaged; it is trained again"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_done_again_and_said(copy, capsys, name):
    """The results are those of before: a training with the same seed is the same."""
    before = json.loads((copy / "summary.json").read_text())
    harm, file, message = DAMAGES[name]
    harm(copy / TRIAL / file)
    if file != "matches.npz":
        flip(copy / TRIAL / "matches.npz")  # else nothing of the training is looked at
    compare(copy)
    assert f"focal seed 0: {message}" in capsys.readouterr().out
    assert json.loads((copy / "summary.json").read_text())["configurations"] == before["configurations"]


def test_a_comparison_of_an_earlier_version_is_read(copy, capsys):
    """Whose rows and records have no fingerprints; nothing is trained."""
    journal = copy / "trials.jsonl"
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    journal.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "files"}) + "\n" for row in rows))
    compare(copy)
    assert "again" not in capsys.readouterr().out
    assert len(journal.read_text().splitlines()) == 2


def test_a_folder_in_place_of_the_lock_is_named(copy):
    """And nothing is lost."""
    (copy / ".lock").unlink()
    (copy / ".lock").mkdir()
    with pytest.raises(DataError, match=r"\.lock is a folder, and has to be a file; remove it"):
        compare(copy)
