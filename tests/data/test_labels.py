"""YOLO label files: what is kept is what Ultralytics trains on."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ultralytics.data.utils import verify_image_label

from yolo_focal.data.labels import read_labels
from yolo_focal.errors import DataError

CLASSES = 3
share = st.one_of(
    st.floats(0, 1), st.sampled_from([-0.005, -0.5, 0.0, 1.0, 1.005, 1.5, float("nan")])
).map(lambda value: f"{value:.4f}")  # fmt: skip
class_word = st.sampled_from(["0", "1", "2", "2.0", "3", "-1", "0.5", "x"])
box_line = st.tuples(class_word, share, share, share, share).map(" ".join)
polygon_line = st.tuples(class_word, *[share] * 6).map(" ".join)
odd_line = st.lists(share, max_size=8).map(" ".join)
label_text = st.lists(st.one_of(box_line, box_line, box_line, polygon_line, odd_line), max_size=5).map("\n".join)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "image.png"
    cv2.imwrite(str(path), np.zeros((20, 20, 3), np.uint8))
    return path


@given(label_text)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_labels_and_dropped_images_are_those_of_ultralytics(image: Path, text: str) -> None:
    """Ultralytics drops an image exactly where a problem says so, and else has the same classes and boxes."""
    path = image.with_suffix(".txt")
    path.write_text(text)
    labels = read_labels(path, CLASSES)
    theirs = verify_image_label((str(image), str(path), "", False, CLASSES, 0, 0, False))
    assert (theirs[0] is None) == any(problem.drops_image for problem in labels.problems)
    if theirs[0] is not None:
        ours = np.concatenate([labels.classes[:, None], labels.boxes_xywh], 1)
        assert np.allclose(sorted(ours.tolist()), sorted(theirs[1].tolist()), atol=1e-6)


@pytest.mark.parametrize(
    ("line", "kind", "drops"),
    [
        ("0 a b c d", "not numbers", True),
        ("0 0.5 0.5 0.1", "wrong number of columns", True),
        ("0 0.5 0.5 0.1 nan", "not finite", True),
        ("1.5 0.5 0.5 0.1 0.1", "class is not an integer", True),
        ("3 0.5 0.5 0.1 0.1", "class out of range", True),
        ("-1 0.5 0.5 0.1 0.1", "class out of range", True),
        ("0 0.5 0.5 -0.1 0.1", "negative size", True),
        ("0 320 240 50 50", "coordinates not in 0 to 1", True),
        ("0 0.5 0.5 0 0.1", "box without area", False),
        ("0 0.9 0.5 0.4 0.1", "box reaches outside the image", False),
    ],
)
def test_each_problem_has_its_name_file_and_line(tmp_path: Path, line: str, kind: str, drops: bool) -> None:
    """A problem says where it is, what it is, and whether the image is lost."""
    path = tmp_path / "1.txt"
    path.write_text(f"0 0.5 0.5 0.2 0.2\n{line}\n")
    (problem,) = read_labels(path, CLASSES).problems
    assert (problem.kind, problem.file, problem.line, problem.drops_image) == (kind, path, 2, drops)
    assert str(problem).startswith(f"{path}:2: {kind}")


def test_duplicates_are_removed_and_reported(tmp_path: Path) -> None:
    """Two equal lines are one object, as in Ultralytics."""
    path = tmp_path / "1.txt"
    path.write_text("0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n0 0.50 0.5 0.2 0.2\n")
    labels = read_labels(path, CLASSES)
    assert labels.classes.tolist() == [0, 1]
    assert [str(problem) for problem in labels.problems] == [f"{path}:3: duplicate of another line (line 1)"]


def test_a_missing_file_is_background_and_an_empty_one_too(tmp_path: Path) -> None:
    """Both have no objects; only one was found."""
    (tmp_path / "empty.txt").write_text("\n")
    missing, empty = read_labels(tmp_path / "none.txt", CLASSES), read_labels(tmp_path / "empty.txt", CLASSES)
    assert (len(missing.classes), missing.found) == (0, False)
    assert (len(empty.classes), empty.found) == (0, True)


def test_unreadable_label_files_are_refused(tmp_path: Path) -> None:
    """Binary content and absurd sizes name the file."""
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"cannot read the label file .*binary.txt"):
        read_labels(tmp_path / "binary.txt", CLASSES)
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(DataError, match="is larger than 64 MiB; a label file has a line per object"):
        read_labels(tmp_path / "huge.txt", CLASSES)
