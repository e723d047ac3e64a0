"""trials.jsonl survives whatever ends the process that writes it; per-image results come back as they were."""

import json

import numpy as np
import pytest

from tests.comparison.simulation import World, simulate_matches
from yolo_focal.comparison.journal import Journal
from yolo_focal.errors import DataError
from yolo_focal.evaluation.matches_file import load_matches, save_matches


def row(configuration="focal", seed=0, status="finished", **more):
    return {"configuration": configuration, "seed": seed, "status": status, **more}


def test_what_is_appended_is_read_back(tmp_path):
    """By configuration and seed, in order."""
    journal = Journal(tmp_path / "trials.jsonl")
    assert journal.finished() == {} and journal.failed() == {}
    journal.append(row(seed=1, ap=0.5))
    journal.append(row("bce", 1, "failed", error="why"))
    assert list(Journal(journal.path).finished()) == [("focal", 1)]
    assert journal.failed()["bce", 1]["error"] == "why"


def test_a_later_attempt_replaces_a_failed_one_and_the_line_stays(tmp_path):
    """The file is only ever appended to; the last word counts."""
    journal = Journal(tmp_path / "trials.jsonl")
    journal.append(row(status="failed", error="why"))
    journal.append(row())
    assert list(journal.finished()) == [("focal", 0)] and not journal.failed()
    assert len(journal.path.read_text().splitlines()) == 2


@pytest.mark.parametrize("kept", range(1, 30, 4))
def test_an_unfinished_line_is_no_trial_and_is_cut_off(tmp_path, kept):
    """A line of which only the first bytes reached the disk counts as not written."""
    journal = Journal(tmp_path / "trials.jsonl")
    journal.append(row(seed=0))
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + json.dumps(row(seed=1)).encode()[:kept])
    assert list(journal.finished()) == [("focal", 0)]
    journal.cut_unfinished_line()
    assert journal.path.read_bytes() == whole
    journal.append(row(seed=1))
    assert list(journal.finished()) == [("focal", 0), ("focal", 1)]


@pytest.mark.parametrize("line", ["{}", "[]", "3", "not json", '{"configuration": "focal", "seed": 0}'])
def test_a_damaged_line_is_named(tmp_path, line):
    """Nothing is guessed: the line number and a remedy."""
    path = tmp_path / "trials.jsonl"
    path.write_text(json.dumps(row()) + "\n" + line + "\n")
    with pytest.raises(DataError, match=r"line 2: not a trial.*restore the file or name a new out= folder"):
        Journal(path).finished()


def test_matches_come_back_bit_for_bit(tmp_path):
    """Every array, flags included, whatever the number of detections."""
    matches = simulate_matches(World(images=9), {"bce": (0.0,) * 4}, 1, np.random.default_rng(0))["bce"][0]
    save_matches(tmp_path / "matches.npz", matches)
    loaded = load_matches(tmp_path / "matches.npz")
    for name in ("images", "classes", "image", "category", "rank", "scores", "matched", "ignored"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(matches, name))
    np.testing.assert_array_equal(loaded.object_image, matches.object_image)
    np.testing.assert_array_equal(loaded.object_category, matches.object_category)
    assert [path.name for path in tmp_path.iterdir()] == ["matches.npz"]


def test_a_pickle_in_place_of_results_is_refused(tmp_path):
    """Object arrays would execute code; they are not loaded."""
    path = tmp_path / "matches.npz"
    np.savez(path, image=np.array([object()], dtype=object))
    with pytest.raises(DataError, match="cannot read the per-image results"):
        load_matches(path)
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot read the per-image results"):
        load_matches(path)
