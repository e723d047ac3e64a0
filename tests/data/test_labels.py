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
ordinary = st.floats(0, 1).map(lambda value: f"{value:.4f}")
share = st.one_of(
    ordinary,
    ordinary,
    ordinary,
    st.sampled_from(["-0.005", "-0.01", "-0.5", "0", "-0", "1", "1.005", "1.01", "1.01000001", "1.5", "nan"]),
    st.sampled_from(["0.3", "0.30000000001"]),
)
usual_class = st.sampled_from(["0", "1", "2"])
any_class = st.one_of(usual_class, usual_class, st.sampled_from(["2.0", "1.99999999999", "3", "-1", "0.5", "x"]))


def line_of(numbers: int, *, usual: bool = False) -> st.SearchStrategy[str]:
    """A class and so many numbers."""
    values = ordinary if usual else share
    return st.tuples(usual_class if usual else any_class, *[values] * numbers).map(" ".join)


odd_line = st.integers(0, 13).flatmap(line_of)


@st.composite
def label_text(draw: st.DrawFn, numbers: int) -> str:
    """Lines that mostly have as many numbers, some of them twice."""
    usual = line_of(numbers, usual=True)
    strange = st.one_of(usual, usual, line_of(numbers), odd_line)
    lines = draw(st.lists(draw(st.sampled_from([usual, strange])), max_size=5))
    return "\n".join(lines + draw(st.lists(st.sampled_from(lines), max_size=2) if lines else st.just([])))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "image.png"
    cv2.imwrite(str(path), np.zeros((20, 20, 3), np.uint8))
    return path


SHAPES = [None, (1, 2), (2, 2), (1, 3), (3, 2), (2, 3)]


@given(st.data())
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_labels_and_dropped_images_are_those_of_ultralytics(image: Path, data: st.DataObject) -> None:
    """Ultralytics drops an image exactly where a problem says so, and else has the same classes and boxes."""
    shape = data.draw(st.sampled_from(SHAPES))
    pose = shape is not None and data.draw(st.booleans())
    keypoints, dimensions = shape or (0, 0)
    text = data.draw(label_text(data.draw(st.sampled_from([4, 4 + keypoints * dimensions, 6, 8]))))
    path = image.with_suffix(".txt")
    path.write_text(text)
    labels = read_labels(path, CLASSES, shape, pose=pose)
    theirs = verify_image_label((str(image), str(path), "", pose, CLASSES, keypoints, dimensions, False))
    assert (theirs[0] is None) == any(problem.drops_image for problem in labels.problems)
    if theirs[0] is not None:
        ours = np.concatenate([labels.classes[:, None], labels.boxes_xywh], 1)
        by_value = [
            sorted(rows.tolist(), key=lambda row: [round(value, 4) for value in row]) for rows in (ours, theirs[1])
        ]
        assert np.allclose(*by_value, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "row"),
    [
        ((2, 2), "0 0.3 0.4 0.3 0.5 0.28 0.4 0.32 0.4"),
        ((2, 3), "0 0.3 0.4 0.3 0.5 0.28 0.4 2 0.32 0.4 0"),
        ((17, 3), "0 0.3 0.4 0.3 0.5" + " 0.28 0.4 2" * 17),
    ],
)
def test_the_box_before_keypoints_is_the_box(tmp_path: Path, shape: tuple[int, int], row: str) -> None:
    """What follows the box is no part of it, whatever the model; without kpt_shape the row is a polygon or faulty."""
    path = tmp_path / "1.txt"
    path.write_text(row)
    for pose in (False, True):
        labels = read_labels(path, 1, shape, pose=pose)
        assert labels.boxes_xywh.tolist() == [[0.3, 0.4, 0.3, 0.5]]
        assert labels.polygons == [None]
        assert labels.problems == []
    assert read_labels(path, 1).boxes_xywh.tolist() != [[0.3, 0.4, 0.3, 0.5]]


def test_only_a_pose_model_needs_usable_keypoints(tmp_path: Path) -> None:
    """Keypoints outside or missing cost a pose model the image; the other tasks only use the box."""
    path = tmp_path / "1.txt"
    path.write_text("0 0.3 0.4 0.3 0.5 1.2 0.4 0.32 0.4")
    assert read_labels(path, 1, (2, 2)).problems == []
    (problem,) = read_labels(path, 1, (2, 2), pose=True).problems
    assert (problem.kind, problem.drops_image) == ("coordinates not in 0 to 1", True)
    path.write_text("0 0.3 0.4 0.3 0.5")
    assert read_labels(path, 1, (2, 2)).problems == []
    (problem,) = read_labels(path, 1, (2, 2), pose=True).problems
    assert str(problem) == f"{path}:1: wrong number of columns (5, expected 9 by kpt_shape [2, 2])"


def test_an_oriented_box_is_the_polygon_of_its_corners(tmp_path: Path) -> None:
    """Eight corner coordinates without kpt_shape: the upright box around them."""
    path = tmp_path / "1.txt"
    path.write_text("0 0.5 0.25 0.75 0.5 0.5 0.75 0.25 0.5")
    labels = read_labels(path, 1)
    assert labels.boxes_xywh.tolist() == [[0.5, 0.5, 0.5, 0.5]]
    assert labels.problems == []


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
    """Binary content costs the image, as in a training; absurd sizes are refused before they fill the memory."""
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    labels = read_labels(tmp_path / "binary.txt", CLASSES)
    assert (len(labels.classes), labels.found) == (0, True)
    assert [(str(each), each.drops_image) for each in labels.problems] == [
        (f"{tmp_path / 'binary.txt'}: not UTF-8 text", True)
    ]
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(DataError, match="is larger than 64 MiB; a label file has a line per object"):
        read_labels(tmp_path / "huge.txt", CLASSES)


def test_a_class_number_of_any_length_is_read_where_all_classes_are_one(tmp_path: Path) -> None:
    """As a training with single_cls does, to which the number means nothing."""
    file = tmp_path / "a.txt"
    file.write_text("99999999999999999999 0.5 0.5 0.2 0.2\n")
    labels = read_labels(file, None)
    assert len(labels.classes) == 1 and not labels.problems
    assert read_labels(file, 3).problems[0].kind == "class out of range"
