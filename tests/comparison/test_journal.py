"""trials.jsonl survives whatever ends the process that writes it; per-image results come back as they were."""

import json
import resource
import signal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.comparison.simulation import World, simulate_matches
from yolo_focal.comparison.journal import Journal
from yolo_focal.errors import DataError
from yolo_focal.evaluation.matches_file import load_matches, save_matches


def row(configuration="focal", seed=0, status="finished", **more):
    result = {"stats": {"AP": 0.5}, "criterion": {"class": "BCE"}} if status == "finished" else {}
    return {"configuration": configuration, "seed": seed, "status": status, **result, **more}


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


def test_a_row_of_which_a_part_was_written_is_an_error(tmp_path):
    """The system takes 60 bytes and then no more, as a disk that fills up does."""
    journal = Journal(tmp_path / "trials.jsonl")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            journal.append(row())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert journal.path.stat().st_size == 60 and journal.finished() == {}
    journal.cut_unfinished_line()
    journal.append(row(seed=1))
    assert list(journal.finished()) == [("focal", 1)] and not journal.damaged


DAMAGED = {
    "empty": b"{}",
    "list": b"[]",
    "number": b"3",
    "text": b"not json",
    "no status": b'{"configuration": "focal", "seed": 0}',
    "finished without result": b'{"configuration": "focal", "seed": 0, "status": "finished"}',
    "result without AP": b'{"configuration": "focal", "seed": 0, "status": "finished", "stats": {"AP50": 1}}',
    "result without criterion": b'{"configuration": "focal", "seed": 0, "status": "finished", "stats": {"AP": 1}}',
    "failed without reason": b'{"configuration": "focal", "seed": 0, "status": "failed"}',
    "not UTF-8": b'{"configuration": "f\xffcal", "seed": 0, "status": "failed", "error": ""}',
    "deep": b"[" * 100_000 + b"]" * 100_000,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_line_is_no_trial(tmp_path, name):
    """The others count; which line it is can be said."""
    path = tmp_path / "trials.jsonl"
    path.write_bytes(
        b"\n".join([json.dumps(row(seed=1)).encode(), DAMAGED[name], json.dumps(row(seed=2)).encode(), b""])
    )
    journal = Journal(path)
    assert list(journal.finished()) == [("focal", 1), ("focal", 2)] and not journal.failed()
    assert journal.damaged == {2}


def stored(tmp_path):
    """A file of per-image results, and the arrays in it."""
    matches = simulate_matches(World(images=9), {"bce": (0.0,) * 4}, 1, np.random.default_rng(0))["bce"][0]
    save_matches(tmp_path / "matches.npz", matches)
    with np.load(tmp_path / "matches.npz") as arrays:
        return tmp_path / "matches.npz", dict(arrays)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_an_error_or_harmless(tmp_path, place, bit):
    """Whatever byte it is in: the file has checksums."""
    path, arrays = stored(tmp_path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        loaded = load_matches(path)
    except DataError as error:
        assert "cannot read the per-image results" in str(error)
    else:  # in a date or an attribute of the archive
        np.testing.assert_array_equal(loaded.scores, arrays["scores"])


@given(kept=st.floats(0, 1, exclude_max=True))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_file_is_an_error(tmp_path, kept):
    """One kind, whatever the length."""
    path, _ = stored(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match="cannot read the per-image results"):
        load_matches(path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("scores", lambda array: array[:-1], "lengths of its arrays differ"),
        ("image", lambda array: array + 9, "image has values outside"),
        ("category", lambda array: array - 5, "category has values outside"),
        ("object_category", lambda array: array[:-1], "lengths of its arrays differ"),
        ("scores", lambda array: array * np.nan, "scores are not all finite"),
        ("matched", lambda array: array[:-1], "flags have different shapes"),
        ("shape", lambda array: array[:1], "cannot read"),
    ],
)
def test_arrays_that_disagree_are_refused(tmp_path, name, change, message):
    """A file that reads well and means nothing."""
    path, arrays = stored(tmp_path)
    np.savez(path, **(arrays | {name: change(arrays[name])}))
    with pytest.raises(DataError, match=message):
        load_matches(path)


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
