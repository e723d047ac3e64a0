"""Results files of other programs are brought onto the annotations, or refused with the record named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.coco_reference import random_case
from yolo_focal.errors import DataError
from yolo_focal.evaluation.boxes import Category, GroundTruth
from yolo_focal.evaluation.results_file import read_results, results_of

GOOD = {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.fixture
def truth() -> GroundTruth:
    """Two images and two classes with ids of their own, no objects."""
    nothing = np.zeros(0, dtype=int)
    return GroundTruth(
        (7, 9),
        ("left/cat.jpg", "right/dog.png"),
        (Category(3, "cat"), Category(90, "dog")),
        nothing,
        nothing,
        np.zeros((0, 4)),
        np.zeros(0),
        np.zeros(0, dtype=bool),
    )


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_what_is_written_is_read_back(tmp_path):
    """A results file of the detections gives the same detections, bit for bit and in the same order."""
    case, found = random_case(0)
    again = read_results(write(tmp_path / "results.json", results_of(found, case)), case).detections
    for name in ("image", "category", "boxes_xywh", "scores"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


def test_images_are_found_by_file_name_id_or_stem(tmp_path, truth):
    """Ultralytics writes file names, and a stem as the id where it is no number; COCO writes ids."""
    records = [
        GOOD,
        {**GOOD, "image_id": 9},
        {**GOOD, "image_id": "dog"},
        {**GOOD, "image_id": 7, "file_name": "dog.png"},
    ]
    assert read_results(write(tmp_path / "r.json", records), truth).detections.image.tolist() == [0, 1, 1, 1]


@pytest.fixture
def twins(truth) -> GroundTruth:
    """Two images of one name in two folders, numbered as Ultralytics would number both."""
    return replace(truth, image_ids=(1, 2), image_files=("a/0001.jpg", "b/0001.jpg"))


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"image_id": 1}, 0),
        ({"image_id": 2}, 1),
        ({"image_id": 1, "file_name": None}, 0),
        ({"image_id": 1, "file_name": "b/0001.jpg"}, 1),
        ({"image_id": 1, "file_name": "./b/0001.jpg"}, 1),
        ({"image_id": 1, "file_name": "set\\b\\0001.jpg"}, 1),
        ({"image_id": 2, "file_name": "/elsewhere/a/0001.jpg"}, 0),
        ({"image_id": "b/0001"}, 1),
    ],
)
def test_images_of_one_name_are_told_apart_by_folder_or_id(tmp_path, twins, record, found):
    """The folders decide as far as the paths agree; an integer decides where there is no name."""
    assert read_results(write(tmp_path / "r.json", [{**GOOD, **record}]), twins).detections.image.tolist() == [found]


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"image_id": 1, "file_name": "0001.jpg"}, "file_name '0001.jpg'"),
        ({"image_id": 1, "file_name": "c/0001.jpg"}, "file_name 'c/0001.jpg'"),
        ({"image_id": "0001"}, "image_id '0001'"),
    ],
)
def test_a_name_of_several_images_is_refused(tmp_path, twins, record, name):
    """It never falls through to image_id, which Ultralytics makes from the same name: all would be of image 1."""
    path = write(tmp_path / "r.json", [{**GOOD, "image_id": 2}, {**GOOD, **record}])
    with pytest.raises(DataError) as error:
        read_results(path, twins)
    assert str(error.value) == (
        f"{path}: record 1: {name} can be 2 images of the annotations, a/0001.jpg and b/0001.jpg; write the folder as "
        "well, or integer image_ids and no file_name"
    )


def test_an_unknown_name_is_not_looked_up_by_its_id(tmp_path, truth):
    """The id of a record with a name is of the numbering of the program that wrote it."""
    stray = {**GOOD, "image_id": 9, "file_name": "bird.jpg"}
    results = read_results(write(tmp_path / "r.json", [GOOD, stray]), truth)
    assert results.detections.image.tolist() == [0]
    assert results.notes == ("1 of 2 detections left out: their 1 images are not in the annotations",)
    with pytest.raises(DataError, match=r"none of its images is in the annotations \(first: file_name 'bird.jpg'\)"):
        read_results(write(tmp_path / "r.json", [stray]), truth)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("cat.jpg", "left/cat.jpg", "cat.jpg"), [0, 0, 0]),
        (("middle/cat.jpg", "middle/cat.jpg"), [0, 0]),
        (("middle/cat.jpg", "left/cat.jpg"), [0]),
        (("left/cat.jpg", "dog.png", "middle/cat.jpg"), [0, 1]),
    ],
)
def test_a_path_that_agrees_goes_before_one_that_does_not(tmp_path, truth, names, expected):
    """Only if no other name agrees with an image is a path with other folders taken for it."""
    records = [{**GOOD, "file_name": name} for name in names]
    assert read_results(write(tmp_path / "r.json", records), truth).detections.image.tolist() == expected


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("left/cat.jpg", "dog.png"), ("middle/cat.jpg", "right/cat.jpg")),
        (("cat.jpg", "dog.png"), ("middle/cat.jpg", "right/cat.jpg")),
    ],
)
def test_two_images_are_never_taken_for_one(tmp_path, truth, files, names):
    """Names that contradict each other are two images, of which the annotations have at most one."""
    records = [{**GOOD, "file_name": name} for name in names]
    message = rf"record 1: file_name 'right/cat.jpg' and 'middle/cat.jpg' of another record can both only be {files[0]}"
    with pytest.raises(DataError, match=message):
        read_results(write(tmp_path / "r.json", records), replace(truth, image_files=files))


def test_images_of_another_folder_are_left_out(tmp_path, twins):
    """A third image of the name that the annotations lack, with both others present."""
    records = [{**GOOD, "file_name": f"{folder}/0001.jpg"} for folder in "abc"]
    results = read_results(write(tmp_path / "r.json", records), twins)
    assert results.detections.image.tolist() == [0, 1]
    assert "1 of 3 detections left out" in results.notes[0]


def test_other_images_are_left_out_and_counted(tmp_path, truth):
    """Detections on images without annotations cannot be judged."""
    results = read_results(write(tmp_path / "r.json", [GOOD, {**GOOD, "image_id": 8}, {**GOOD, "image_id": 8}]), truth)
    assert len(results.detections.scores) == 1
    assert results.notes == ("2 of 3 detections left out: their 1 images are not in the annotations",)


def test_other_classes_are_left_out_only_where_asked(tmp_path, truth):
    """An unknown category_id is more often a wrong numbering than a class to ignore."""
    path = write(tmp_path / "r.json", [GOOD, {**GOOD, "category_id": 0}])
    with pytest.raises(DataError, match=r"record 1: category_id 0 is none of the 2 ids 3 to 90 .*use classes=index"):
        read_results(path, truth)
    results = read_results(path, truth, "known")
    assert results.detections.category.tolist() == [0]
    assert "1 of 2 detections left out: their category_id (0)" in results.notes[0]


def test_class_numbers_count_from_zero(tmp_path, truth):
    """classes=index reads category_id as the class number of a YOLO dataset."""
    path = write(tmp_path / "r.json", [{**GOOD, "category_id": 0}, {**GOOD, "category_id": 1}])
    assert read_results(path, truth, "index").detections.category.tolist() == [0, 1]
    with pytest.raises(
        DataError, match=r"category_id 3 is none of the 2 ids 0 to 1 .*; use classes=known to leave such"
    ):
        read_results(write(tmp_path / "r.json", [GOOD]), truth, "index")


def test_an_empty_list_finds_nothing(tmp_path, truth):
    """A model without detections is evaluated, not refused."""
    assert len(read_results(write(tmp_path / "r.json", []), truth).detections.scores) == 0


def test_annotations_of_other_images_are_refused(tmp_path, truth):
    """Not one common image means the wrong file."""
    with pytest.raises(DataError, match=r"none of its images is in the annotations \(first: image_id 1\)"):
        read_results(write(tmp_path / "r.json", [{**GOOD, "image_id": 1}]), truth)


@pytest.mark.parametrize(
    ("record", "phrase"),
    [
        ([1, 2], "must be a mapping, got [1, 2]"),
        ({"image_id": 7, "bbox": [1, 2, 3, 4]}, "lacks category_id, score"),
        ({**GOOD, "bbox": [1, 2, 3]}, "bbox must be four finite numbers"),
        ({**GOOD, "bbox": [1, 2, -3, 4]}, "got [1, 2, -3, 4]"),
        ({**GOOD, "bbox": [1, 2, 3, -4]}, "got [1, 2, 3, -4]"),
        ({**GOOD, "bbox": [-1e308, 0, 1, 1]}, "in pixels, at most 1e9, got [-1e+308, 0, 1, 1]"),
        ({**GOOD, "bbox": [1, 2, float("nan"), 4]}, "bbox must be four finite numbers"),
        ({**GOOD, "bbox": [0, 0, 10**200, 10**200]}, "in pixels, at most 1e9, got [0, 0, 1000"),
        ({**GOOD, "bbox": [1e308, 0, 1, 1]}, "in pixels, at most 1e9, got [1e+308, 0, 1, 1]"),
        ({**GOOD, "bbox": "1 2 3 4"}, "bbox must be four finite numbers"),
        ({**GOOD, "score": 1.5}, "score must be a number in 0 to 1, got 1.5"),
        ({**GOOD, "score": -0.1}, "score must be a number in 0 to 1, got -0.1"),
        ({**GOOD, "score": None}, "score must be a number in 0 to 1, got None"),
        ({**GOOD, "score": float("inf")}, "score must be a number in 0 to 1, got inf"),
        ({**GOOD, "category_id": "cat"}, "category_id and image_id must be ids"),
        ({**GOOD, "file_name": 5}, "file_name must be the name of an image, got 5"),
        ({**GOOD, "file_name": ""}, "file_name must be the name of an image, got ''"),
        ({**GOOD, "image_id": True}, "category_id and image_id must be ids"),
    ],
)
def test_a_faulty_record_is_named(tmp_path, truth, record, phrase):
    """The message has the file, the record and the value."""
    path = write(tmp_path / "bad.json", [GOOD, record])
    with pytest.raises(DataError) as error:
        read_results(path, truth)
    assert str(error.value).startswith(f"{path}: record 1: ")
    assert phrase in str(error.value)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [("{", "is not JSON"), ('{"a": 1}', "must be a JSON list of detections, got dict"), ("3", "got int")],
)
def test_a_file_that_is_no_list_is_refused(tmp_path, truth, content, phrase):
    """Malformed JSON and other documents name the file."""
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"bad\.json") as error:
        read_results(path, truth)
    assert phrase in str(error.value)


def test_a_missing_file_is_refused(tmp_path, truth):
    """The message has the path."""
    with pytest.raises(DataError, match=r"nowhere\.json does not exist"):
        read_results(tmp_path / "nowhere.json", truth)


@pytest.mark.parametrize(
    ("files", "also"),
    [(("cat.jpg", "dog.jpg"), ""), (("1.jpg", "7.jpg"), ", and the name of 7.jpg"), (("7.jpg", "1.jpg"), None)],
)
def test_an_id_in_quotes_is_refused_unless_the_name_says_the_same(tmp_path, truth, files, also):
    """It is text, as names are: for an image of another id it would be lost or taken for the wrong one."""
    path = write(tmp_path / "r.json", [GOOD, {**GOOD, "image_id": "7"}])
    numbered = replace(truth, image_files=files)
    if also is None:
        assert read_results(path, numbered).detections.image.tolist() == [0, 0]
        return
    message = (
        rf"record 1: image_id '7' is text; without quotes it is the id of {files[0]}{also}; write ids without quotes"
    )
    with pytest.raises(DataError, match=message):
        read_results(path, numbered)


def test_ids_that_other_images_are_named_by_are_noted(tmp_path, truth):
    """Ultralytics writes the number of a name as the id; only in sets like COCO both are the same."""
    path = write(tmp_path / "r.json", [GOOD, {**GOOD, "image_id": 9}])
    for files in (("0007.jpg", "0009.jpg"), ("a.jpg", "b.jpg"), ("1.jpg", "2.jpg")):
        assert not read_results(path, replace(truth, image_files=files)).notes
    (note,) = read_results(path, replace(truth, image_files=("0009.jpg", "0007.jpg"))).notes
    assert note.startswith("2 image_ids are taken as ids") and "(7: 0009.jpg, not 0007.jpg)" in note
    named = [{**GOOD, "file_name": "0009.jpg"}]
    results = read_results(write(tmp_path / "r.json", named), replace(truth, image_files=("0009.jpg", "0007.jpg")))
    assert results.detections.image.tolist() == [0] and not results.notes
