"""Reading COCO annotation files that nobody vouches for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO

from yolo_focal.data.coco import clipped_box, read_coco, read_json
from yolo_focal.errors import DataError


def content() -> dict[str, Any]:
    """A correct annotation file of two images and three annotations."""
    return {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80},
            {"id": 2, "file_name": "b.jpg", "width": 64, "height": 64},
        ],
        "annotations": [
            {"id": 11, "image_id": 1, "category_id": 3, "bbox": [10, 10, 20, 30], "area": 600, "iscrowd": 0},
            {"id": 12, "image_id": 1, "category_id": 5, "bbox": [0.5, 0, 5.5, 5], "area": 27.5, "iscrowd": 0},
            {"id": 13, "image_id": 2, "category_id": 3, "bbox": [0, 0, 64, 64], "area": 4096, "iscrowd": 1},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 5, "name": "dog"}],
    }


def written(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Path:
    """The file of `content` after `change`."""
    record = content()
    change(record)
    path = folder / "instances.json"
    path.write_text(json.dumps(record))
    return path


def test_a_correct_file_without_info_and_licences_is_read_as_pycocotools_reads_it(tmp_path: Path) -> None:
    """Images, categories and annotations are those of pycocotools; nothing is reported."""
    path = written(tmp_path)
    dataset, reference = read_coco(path), COCO(path)
    assert dataset.images == reference.imgs
    assert dataset.categories == {number: record["name"] for number, record in reference.cats.items()}
    assert dataset.annotations == {number: list(reference.imgToAnns[number]) for number in reference.imgs}
    assert dataset.problems == []


def test_crowds_do_not_count_as_objects(tmp_path: Path) -> None:
    """A crowd stays among the annotations and out of the instances."""
    dataset = read_coco(written(tmp_path))
    assert len(dataset.annotations[2]) == 1
    assert dataset.objects(2) == []


def test_genuine_coco_files_have_no_problems(shared: Path) -> None:
    """Every genuine COCO and converted file reads without a fault, with all its annotations."""
    files = sorted((shared / "data").glob("*/annotations/instances_*.json"))
    assert len(files) >= 5
    for file in files:
        dataset = read_coco(file)
        assert dataset.problems == []
        assert sum(map(len, dataset.annotations.values())) == len(COCO(file).anns)


def image(position: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda record: record["images"][position].update(values)


def annotation(position: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda record: record["annotations"][position].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.pop("images"), "must have the lists images, annotations and categories"),
        (lambda record: record.update(images=[]), "images is empty"),
        (lambda record: record.update(categories=[]), "categories is empty"),
        (image(1, id=1), r"images\[1\]: id 1 is used twice"),
        (image(1, id="2"), r"images\[1\]: needs an integer id, got '2';"),
        (annotation(1, id=12.0, bbox=[0.123456789] * 4), r"annotations\[1\]: needs an integer id, got 12.0;"),
        (lambda record: record["images"][0].pop("id"), r"images\[0\]: needs an integer id, got \{'file_name': 'a.jpg'"),
        (image(1, file_name="a.jpg"), "file_name 'a.jpg' is used 2 times"),
        (image(0, width=0), r"images id 1: width and height must be whole pixels above 0, got \[0, 80\]"),
        (image(0, width=None), "images id 1: width and height must be whole pixels"),
        (image(0, file_name="../../etc/passwd"), "images id 1: file_name must stay inside the image folder"),
        (image(0, file_name="..\\..\\passwd"), "images id 1: file_name must stay inside the image folder"),
        (image(0, file_name="/etc/passwd"), "images id 1: file_name must stay inside the image folder"),
        (annotation(1, id=11), r"annotations\[1\]: id 11 is used twice"),
        (annotation(0, image_id=99), "annotations id 11: image_id 99 is not in images"),
        (annotation(0, bbox=[float("nan"), 0, 5, 5]), "annotations id 11: bbox must be four finite numbers"),
        (annotation(0, bbox=[0, 0, float("inf"), 5]), "annotations id 11: bbox must be four finite numbers"),
        (annotation(0, bbox=[0, 0, 5]), "annotations id 11: bbox must be four finite numbers"),
        (annotation(0, bbox=[0, 0, -5, 5]), r"annotations id 11: bbox has a negative size, got \[0, 0, -5, 5\]"),
        (annotation(0, bbox=[0, 0, 5, -5]), r"annotations id 11: bbox has a negative size, got \[0, 0, 5, -5\]"),
        (annotation(0, bbox=[10**400, 0, 5, 5]), "annotations id 11: bbox must be four finite numbers"),
        (annotation(0, bbox=[0, 0, 10**200, 10**200]), "annotations id 11: bbox must be four .* at most 1e9, got"),
        (annotation(0, category_id="cat"), "annotations id 11: category_id must be an integer"),
        (annotation(0, iscrowd=2), "annotations id 11: iscrowd must be 0 or 1, got 2"),
        (lambda record: record["categories"][1].update(name=" "), "categories id 5: no name"),
        (lambda record: record["categories"][1].update(name="cat"), "categories: name 'cat' is used 2 times"),
    ],
)
def test_an_unusable_record_is_refused_with_file_and_record(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """The error names the file, the first faulty record and its value."""
    path = written(tmp_path, change)
    with pytest.raises(DataError, match=message) as caught:
        read_coco(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_number_of_further_faults_is_told(tmp_path: Path) -> None:
    """One line, however many records are wrong."""

    def spoil(record: dict[str, Any]) -> None:
        for item in record["annotations"]:
            item["bbox"] = [0, 0, -1, 1]

    with pytest.raises(DataError, match=r"annotations id 11.*\(and 2 more faults like this\)"):
        read_coco(written(tmp_path, spoil))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"category_id": 4}, "unknown category"),
        ({"bbox": [10, 10, 0, 5]}, "box without area"),
        ({"bbox": [90, 10, 20, 5]}, "box reaches outside its image"),
        ({"bbox": [10, 70, 20, 20]}, "box reaches outside its image"),
        ({"bbox": [10, -3, 20, 5]}, "box reaches outside its image"),
        ({"bbox": [-3, 10, 20, 5]}, "box reaches outside its image"),
        ({"bbox": [200, 10, 20, 5]}, "box wholly outside its image"),
    ],
)
def test_what_a_reader_can_live_with_is_listed_with_its_record(
    tmp_path: Path, values: dict[str, Any], kind: str
) -> None:
    """Unknown categories and odd boxes are named, not raised and not forgotten."""
    dataset = read_coco(written(tmp_path, annotation(0, **values)))
    assert [(problem.kind, problem.record) for problem in dataset.problems] == [(kind, "annotations id 11")]


def test_rounding_by_half_a_pixel_is_not_reported(tmp_path: Path) -> None:
    """Annotation tools round to the border; that is no problem."""
    assert read_coco(written(tmp_path, annotation(0, bbox=[80, 10, 20.4, 5]))).problems == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON: .* at line 1, column 2"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON|nested too deeply"),
        ('{"a": 1' + "0" * 5000 + "}", "a number too long|must have the lists"),
        ("[]", "must have the lists images, annotations and categories; it has list"),
        ("{}", "it has nothing"),
    ],
)
def test_what_is_no_annotation_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    """Broken, deep or foreign JSON ends in a DataError that names the file."""
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_coco(path)
    assert "broken.json" in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    """The error says that the file does not exist, or that it is no text."""
    with pytest.raises(DataError, match="does not exist; give the path of a COCO-format JSON file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "image.json").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(DataError, match="is not JSON: it is not UTF-8 text"):
        read_json(tmp_path / "image.json")


def test_a_file_beyond_the_size_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A sparse file of 5 GiB costs no memory."""
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(5 * 2**30)
    with pytest.raises(DataError, match=r"has 5\.0 GiB; at most 4 GiB"):
        read_json(path)


@given(
    st.tuples(*[st.floats(-200, 200)] * 2, *[st.floats(0, 300)] * 2),
    st.integers(1, 150),
    st.integers(1, 150),
)
def test_a_clipped_box_is_the_intersection_with_the_image(
    box: tuple[float, float, float, float], width: int, height: int
) -> None:
    """It lies inside both, and is None exactly where they share no area."""
    clipped = clipped_box(list(box), {"width": width, "height": height})
    x, y, w, h = box
    overlap_x = min(x + w, width) - max(x, 0)
    overlap_y = min(y + h, height) - max(y, 0)
    if clipped is None:
        assert overlap_x <= 0 or overlap_y <= 0
    else:
        left, top, right, bottom = clipped
        assert (right - left, bottom - top) == (overlap_x, overlap_y)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
