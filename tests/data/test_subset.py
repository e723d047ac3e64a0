"""Subsets on disk: real COCO files in, what pycocotools and Ultralytics read back out."""

import functools
import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO
from ultralytics.data.utils import check_det_dataset, img2label_paths, verify_image_label

from tests.data.coco_files import one_image, write_coco
from yolo_focal.data.selection import SelectionRules
from yolo_focal.data.subset import CocoSource, SubsetOptions, make_subset
from yolo_focal.errors import DataError

subset = functools.partial(make_subset)


@pytest.fixture(scope="module")
def coco_tiny(shared: Path) -> CocoSource:
    folder = shared / "data" / "coco_tiny"
    return CocoSource(folder / "annotations" / "instances_train2017.json", folder / "images" / "train2017")


@pytest.fixture(scope="module")
def coco_tiny_val(shared: Path) -> CocoSource:
    folder = shared / "data" / "coco_tiny"
    return CocoSource(folder / "annotations" / "instances_val2017.json", folder / "images" / "val2017")


def ultralytics_boxes(data_yaml: Path, split: str) -> dict[str, np.ndarray]:
    """Image stem -> (n, 5) class and xyxy in pixels, as Ultralytics reads the labels."""
    data = check_det_dataset(str(data_yaml), autodownload=False)
    boxes = {}
    for image in sorted(Path(data[split]).rglob("*.*")):
        label = img2label_paths([str(image)])[0]
        read = verify_image_label((str(image), label, "", False, len(data["names"]), 0, 0, False))
        assert read[0] is not None, read[-1]
        (height, width), rows = read[2], read[1]
        corners = np.concatenate([rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2], 1)
        boxes[image.stem] = np.concatenate([rows[:, :1], corners * [width, height, width, height]], 1)
    return boxes


@pytest.mark.parametrize("labels", ["selected", "all"])
def test_pycocotools_and_ultralytics_read_the_source_boxes(
    tmp_path: Path, coco_tiny: CocoSource, coco_tiny_val: CocoSource, labels: str
) -> None:
    """On genuine COCO files every object of the subset is the same in the source, the JSON and the labels to 0.5 px."""
    options = SubsetOptions(categories=("person", "car", "chair"), labels=labels, rules=SelectionRules(max_images=30))
    manifest = subset(coco_tiny, tmp_path / "set", options, val=coco_tiny_val)
    names = yaml.safe_load((tmp_path / "set" / "data.yaml").read_text())["names"]
    assert len(names) == (3 if labels == "selected" else 80)
    for split, source in (("train", coco_tiny), ("val", coco_tiny_val)):
        original = COCO(source.annotations)
        written = COCO(tmp_path / "set" / "annotations" / f"instances_{split}.json")
        assert manifest["splits"][split]["crowds_in_json_only"] == sum(a["iscrowd"] for a in written.anns.values())
        index = {number: position for position, number in enumerate(sorted(written.cats))}
        assert {index[number]: record["name"] for number, record in written.cats.items()} == names
        assert all(original.anns[number] == record for number, record in written.anns.items())
        read = ultralytics_boxes(tmp_path / "set" / "data.yaml", split)
        assert len(read) == len(written.imgs)
        for image in written.imgs.values():
            kept = [a for a in original.imgToAnns[image["id"]] if a["category_id"] in index]
            assert sorted(a["id"] for a in kept) == sorted(a["id"] for a in written.imgToAnns[image["id"]])
            expected = [
                [index[a["category_id"]], x, y, x + w, y + h]
                for a in kept
                if not a["iscrowd"]
                for x, y, w, h in [a["bbox"]]
            ]
            found = read[Path(image["file_name"]).stem]
            assert len(found) == len(expected)
            for row in expected:
                same_class = found[found[:, 0] == row[0]]
                assert np.abs(same_class[:, 1:] - row[1:]).max(1).min() < 0.5


def test_every_image_has_a_chosen_category_and_bytes_are_the_source_s(tmp_path: Path, coco_tiny: CocoSource) -> None:
    """Only images with a chosen category come in, copied unchanged."""
    subset(coco_tiny, tmp_path / "set", SubsetOptions(categories=("dog",)))
    written = COCO(tmp_path / "set" / "annotations" / "instances_train.json")
    dog = written.getCatIds(["dog"])[0]
    assert set(written.imgs) == set(COCO(coco_tiny.annotations).getImgIds(catIds=[dog]))
    for image in written.imgs.values():
        copy = tmp_path / "set" / "images" / "train" / image["file_name"]
        assert copy.read_bytes() == (coco_tiny.images / image["file_name"]).read_bytes()


def test_categories_can_be_given_by_id(tmp_path: Path, coco_tiny: CocoSource) -> None:
    """COCO's id 18 is the dog."""
    by_id = subset(coco_tiny, tmp_path / "ids", SubsetOptions(categories=("18",)))
    by_name = subset(coco_tiny, tmp_path / "names", SubsetOptions(categories=("dog",)))
    assert by_id["splits"] == by_name["splits"]


def test_a_long_tail_of_real_images_is_within_ten_percent_or_says_why(tmp_path: Path, coco_tiny: CocoSource) -> None:
    """Each class reaches its target within 10 %, or a note names the class and the reason."""
    options = SubsetOptions(
        categories=("person", "car", "chair"), rules=SelectionRules(profile="zipf", imbalance=10, largest=60)
    )
    manifest = subset(coco_tiny, tmp_path / "set", options)
    rows = manifest["splits"]["train"]["classes"]
    assert all(abs(row["reached"] - row["asked"]) <= max(0.1 * row["asked"], 0.5) for row in rows)
    counts = Counter(a["category_id"] for a in COCO(tmp_path / "set/annotations/instances_train.json").anns.values()
                     if not a["iscrowd"])  # fmt: skip
    assert {row["category_id"]: row["reached"] for row in rows} == dict(counts)
    impossible = SubsetOptions(categories=("person", "tie"), rules=SelectionRules(profile="zipf", imbalance=1))
    manifest = subset(coco_tiny, tmp_path / "other", impossible)
    missed = [r for r in manifest["splits"]["train"]["classes"] if abs(r["reached"] - r["asked"]) > 0.1 * r["asked"]]
    assert missed
    for row in missed:
        note = next(note for note in manifest["notes"] if note.startswith(row["name"] + ":"))
        assert f"{row['asked']} instances asked, {row['reached']} reached" in note
        assert "objects come in whole images" in note or "the source has only" in note


def test_a_minimum_above_the_source_is_noted_with_what_there_is(tmp_path: Path, coco_tiny: CocoSource) -> None:
    """Asking for 100 dogs of a file with fewer gives them all and a note."""
    options = SubsetOptions(categories=("dog",), rules=SelectionRules(min_per_class=100))
    manifest = subset(coco_tiny, tmp_path / "set", options)
    row = manifest["splits"]["train"]["classes"][0]
    assert row["reached"] == row["available"] < 100
    assert any(f"the source has only {row['available']}" in note for note in manifest["notes"])


def test_a_minimum_that_other_limits_forbid_is_noted(tmp_path: Path, coco_tiny: CocoSource) -> None:
    """Two images cannot hold 100 people, and the note blames the limit."""
    options = SubsetOptions(categories=("person",), rules=SelectionRules(min_per_class=100, max_images=2))
    manifest = subset(coco_tiny, tmp_path / "set", options)
    assert any("person: 100 instances asked" in note and "the other limits" in note for note in manifest["notes"])


def test_a_class_name_cannot_add_keys_to_the_data_yaml(tmp_path: Path) -> None:
    """Names are data: line breaks and YAML syntax in them stay inside the name."""
    evil = "thing\ntrain: /etc"
    boxes = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81}]
    source = write_coco(tmp_path / "source", {1: (32, 32)}, boxes, {1: evil, 2: "path: {a: [b"})
    subset(source, tmp_path / "set", SubsetOptions(rules=SelectionRules(min_per_class=5)))
    content = yaml.safe_load((tmp_path / "set" / "data.yaml").read_text())
    assert content == {"train": "images/train", "val": "images/train", "names": {0: evil, 1: "path: {a: [b"}}


def test_record_order_does_not_matter_and_the_seed_does(tmp_path: Path, coco_tiny: CocoSource) -> None:
    """A file with its lists reversed gives the same files; another seed gives other images."""
    content = json.loads(coco_tiny.annotations.read_text())
    reordered = {key: list(reversed(value)) for key, value in content.items()}
    (tmp_path / "reordered.json").write_text(json.dumps(reordered))
    options = SubsetOptions(rules=SelectionRules(max_images=20))
    subset(coco_tiny, tmp_path / "first", options)
    subset(CocoSource(tmp_path / "reordered.json", coco_tiny.images), tmp_path / "second", options)
    subset(coco_tiny, tmp_path / "third", replace(options, seed=1))
    annotations = [tmp_path / name / "annotations" / "instances_train.json" for name in ("first", "second", "third")]
    assert annotations[0].read_bytes() == annotations[1].read_bytes()
    assert annotations[0].read_bytes() != annotations[2].read_bytes()
    first, second = (sorted((tmp_path / name / "labels").rglob("*.txt")) for name in ("first", "second"))
    rows = [[sorted(path.read_text().splitlines()) for path in paths] for paths in (first, second)]
    assert [path.name for path in first] == [path.name for path in second]
    assert rows[0] == rows[1]


def test_the_set_works_from_any_directory_and_after_a_move(
    tmp_path: Path, coco_tiny: CocoSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ultralytics finds the images of a set that was moved, from an unrelated working directory."""
    subset(coco_tiny, tmp_path / "set", SubsetOptions(categories=("dog",)))
    shutil.move(tmp_path / "set", tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert ultralytics_boxes(tmp_path / "moved" / "data.yaml", "train")
    text = (tmp_path / "moved" / "data.yaml").read_text()
    assert str(tmp_path) not in text
    assert "path" not in yaml.safe_load(text)


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_images_are_copied_or_linked(tmp_path: Path, link: str) -> None:
    """A hard link is the same inode, a symlink points to the source, a copy is neither."""
    source = one_image(tmp_path / "source", [[0, 0, 9, 9]])
    subset(source, tmp_path / "set", SubsetOptions(link=link))
    original, placed = source.images / "0001.png", tmp_path / "set" / "images" / "train" / "0001.png"
    assert placed.read_bytes() == original.read_bytes()
    assert placed.is_symlink() == (link == "symlink")
    assert placed.samefile(original) == (link != "copy")


def test_images_without_annotations_come_only_on_request(tmp_path: Path) -> None:
    """`keep_empty` takes them along as background without a label file."""
    boxes = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81}]
    source = write_coco(tmp_path / "source", {1: (32, 32), 2: (32, 32)}, boxes, {1: "thing"})
    without = subset(source, tmp_path / "without", SubsetOptions())
    kept = subset(source, tmp_path / "kept", SubsetOptions(keep_empty=True))
    assert without["splits"]["train"]["images"] == 1
    assert (kept["splits"]["train"]["images"], kept["splits"]["train"]["images_without_objects"]) == (2, 1)
    assert [path.name for path in (tmp_path / "kept" / "labels").rglob("*.txt")] == ["0001.txt"]


def test_an_image_with_an_object_of_an_unknown_category_is_no_background(tmp_path: Path) -> None:
    """There is something in it, whatever it is: `keep_empty` leaves it out."""
    boxes = [{"image_id": n, "category_id": n, "bbox": [0, 0, 9, 9], "area": 81} for n in (1, 2)]
    source = write_coco(tmp_path / "source", {1: (32, 32), 2: (32, 32)}, boxes, {1: "thing"})
    record = subset(source, tmp_path / "set", SubsetOptions(keep_empty=True))["splits"]["train"]
    assert (record["images"], record["left_out_of_other_categories"]) == (1, 1)
    assert record["left_out_without_annotations"] == []


def test_every_fault_of_the_source_is_counted_and_listed(tmp_path: Path) -> None:
    """Missing images, unknown categories, boxes outside or without area all appear in the manifest."""
    boxes: list[dict[str, Any]] = [
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "area": 81},
        {"image_id": 1, "category_id": 9, "bbox": [0, 0, 9, 9], "area": 81},
        {"image_id": 1, "category_id": 7, "bbox": [90, 0, 20, 10], "area": 200},
        {"image_id": 1, "category_id": 7, "bbox": [5, 5, 0, 10], "area": 0},
        {"image_id": 2, "category_id": 7, "bbox": [5, 5, 5, 10], "area": 50},
    ]
    source = write_coco(tmp_path / "source", {1: (100, 80), 2: (100, 80)}, boxes, {7: "thing"})
    (source.images / "0002.png").unlink()
    record = subset(source, tmp_path / "set", SubsetOptions())["splits"]["train"]
    assert record["source_problem_counts"] == {
        "unknown category": 1, "box reaches outside its image": 1, "box without area": 1, "image missing": 1,
    }  # fmt: skip
    assert any("0002.png" in problem for problem in record["source_problems"])
    assert any("annotations id 2" in problem for problem in record["source_problems"])
    labels = (tmp_path / "set" / "labels" / "train" / "0001.txt").read_text().split()
    assert np.allclose(np.array(labels, float).reshape(-1, 5)[1], [0, 0.95, 0.0625, 0.1, 0.125])
    kept = json.loads((tmp_path / "set" / "annotations" / "instances_train.json").read_text())["annotations"]
    assert [annotation["id"] for annotation in kept] == [1, 3, 4]


def test_info_and_licences_are_kept_where_there_are_any(tmp_path: Path) -> None:
    """The filtered JSON carries the source's terms."""
    boxes = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81}]
    extra = {"info": {"year": 2026}, "licenses": [{"id": 1, "name": "CC BY"}]}
    source = write_coco(tmp_path / "source", {1: (32, 32)}, boxes, {1: "thing"}, **extra)
    subset(source, tmp_path / "set", SubsetOptions())
    written = json.loads((tmp_path / "set" / "annotations" / "instances_train.json").read_text())
    assert {key: written[key] for key in extra} == extra


def test_a_share_set_aside_for_validation_is_disjoint(tmp_path: Path, coco_tiny: CocoSource) -> None:
    """No image is in both splits, and together they are what one split would be."""
    manifest = subset(coco_tiny, tmp_path / "set", SubsetOptions(val_share=0.25))
    train, val = (COCO(tmp_path / "set" / "annotations" / f"instances_{split}.json").imgs for split in ("train", "val"))
    assert not set(train) & set(val)
    assert (len(train), len(val)) == (60, 20)
    assert manifest["notes"] == []


def test_the_manifest_names_source_hash_and_options(tmp_path: Path, coco_tiny: CocoSource) -> None:
    """The record of how the set was made is complete enough to make it again."""
    options = SubsetOptions(categories=("dog",), seed=5)
    returned = subset(coco_tiny, tmp_path / "set", options)
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["options"]["categories"] == ["dog"]
    assert manifest["options"]["seed"] == 5
    assert len(manifest["splits"]["train"]["annotations_sha256"]) == 64
    assert manifest["splits"] == json.loads(json.dumps(returned))["splits"]
    assert any("no validation split" in note for note in manifest["notes"])


def test_unknown_categories_are_refused_with_the_closest(tmp_path: Path, coco_tiny: CocoSource) -> None:
    """A misspelt name gets a proposal, and nothing is written."""
    with pytest.raises(DataError, match=r"'persn' is not a category of .*did you mean 'person'"):
        subset(coco_tiny, tmp_path / "set", SubsetOptions(categories=("persn",)))
    assert not list(tmp_path.iterdir())


def test_different_categories_in_the_validation_file_are_refused(tmp_path: Path) -> None:
    """The same id must mean the same class in both files."""
    source = one_image(tmp_path / "source", [[0, 0, 9, 9]])
    boxes = [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "area": 81}]
    other = write_coco(tmp_path / "other", {1: (32, 32)}, boxes, {7: "something else"})
    with pytest.raises(DataError, match=r"category 7 is 'something else', but in .* it is 'thing'"):
        subset(source, tmp_path / "set", SubsetOptions(), val=other)


def test_missing_images_are_refused_when_all_are_missing(tmp_path: Path) -> None:
    """A wrong image folder is an error that names the first image looked for."""
    source = one_image(tmp_path / "source", [[0, 0, 9, 9]])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"none of the 1 images of .* is in .*empty \(looked for 0001.png"):
        subset(CocoSource(source.annotations, tmp_path / "empty"), tmp_path / "set", SubsetOptions())
    with pytest.raises(DataError, match=r"image folder .*absent does not exist"):
        subset(CocoSource(source.annotations, tmp_path / "absent"), tmp_path / "set", SubsetOptions())


def test_two_images_that_can_only_be_one_file_are_refused(tmp_path: Path) -> None:
    """In the folder of one split `train/1.png` is `1.png`, but `val/1.png` is not; from above, each is its own."""
    boxes = [{"image_id": number, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81} for number in (1, 2)]
    source = write_coco(tmp_path / "source", {1: (32, 32), 2: (32, 32)}, boxes, {1: "thing"})
    content = json.loads(source.annotations.read_text())
    for record, folder in zip(content["images"], ("train", "val"), strict=True):
        (source.images / folder).mkdir()
        (source.images / record["file_name"]).rename(source.images / folder / "1.png")
        record["file_name"] = f"{folder}/1.png"
    source.annotations.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"train/1.png and val/1.png can both only be .*images/train/1.png"):
        subset(CocoSource(source.annotations, source.images / "train"), tmp_path / "set", SubsetOptions())
    subset(source, tmp_path / "set", SubsetOptions())
    for folder in ("train", "val"):
        copied = tmp_path / "set" / "images" / "train" / folder / "1.png"
        assert copied.read_bytes() == (source.images / folder / "1.png").read_bytes()


def test_a_file_without_usable_annotations_is_refused(tmp_path: Path) -> None:
    """An empty set is an error, not an empty folder."""
    source = write_coco(tmp_path / "source", {1: (32, 32)}, [], {1: "thing"})
    with pytest.raises(DataError, match=r"no image is left for train: .* has 1 images, but none fits"):
        subset(source, tmp_path / "set", SubsetOptions())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b"not an image"), "cannot read the image .*0001.png"),
        (lambda path: shutil.copy(path.with_name("other.png"), path), "is 10x10, but images id 1 of .* says 100x80"),
    ],
)
def test_a_bad_image_is_refused_by_name_and_nothing_is_left(tmp_path: Path, spoil: Any, message: str) -> None:
    """Unreadable images and wrong sizes stop the work; no half-written folder stays."""
    source = one_image(tmp_path / "source", [[0, 0, 9, 9]])
    small = write_coco(tmp_path / "small", {1: (10, 10)}, [], {1: "thing"})
    shutil.copy(small.images / "0001.png", source.images / "other.png")
    spoil(source.images / "0001.png")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(DataError, match=message):
        subset(source, tmp_path / "set", SubsetOptions())
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_images_that_would_share_a_label_file_are_refused(tmp_path: Path) -> None:
    """`a.png` and `a.jpg` in one folder have one label file in YOLO's layout."""
    source = one_image(tmp_path / "source", [[0, 0, 9, 9]])
    content = json.loads(source.annotations.read_text())
    shutil.copy(source.images / "0001.png", source.images / "0001.bmp")
    content["images"].append({**content["images"][0], "id": 2, "file_name": "0001.bmp"})
    content["annotations"].append({**content["annotations"][0], "id": 2, "image_id": 2})
    source.annotations.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"images 0001.png and 0001.bmp would share one label file"):
        subset(source, tmp_path / "set", SubsetOptions())


def test_an_image_named_like_labels_is_refused(tmp_path: Path) -> None:
    """The labels of images/x.jpg would be written through the link that stands for labels/x.txt."""
    names = ["labels/x.txt", "images/x.jpg"]
    for name in names:
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "x.png"), np.zeros((80, 100, 3), np.uint8))
        (tmp_path / "x.png").rename(tmp_path / "set" / name)
    before = (tmp_path / "set" / names[0]).read_bytes()
    content = {
        "images": [{"id": n, "file_name": name, "width": 100, "height": 80} for n, name in enumerate(names)],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 9, 9]} for n in range(2)],
        "categories": [{"id": 1, "name": "a"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"labels/x\.txt is no image by its name; expected \.avif"):
        make_subset(
            CocoSource(tmp_path / "a.json", tmp_path / "set"),
            tmp_path / "out",
            SubsetOptions(link="symlink"),
        )
    assert (tmp_path / "set" / names[0]).read_bytes() == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    ("record", "place"),
    [
        ("annotations", "annotations id 1: score"),
        ("images", "images id 1: score"),
        ("categories", "categories id 7: score"),
        ("info", "info: year"),
        ("licenses", "licenses"),
    ],
)
def test_a_number_that_json_does_not_have_is_refused_before_an_image_is_read(
    tmp_path: Path, number: str, record: str, place: str
) -> None:
    """Python's JSON reads it, so other programs do write it; of records that are left out it does not matter."""
    boxes = [{"image_id": n, "category_id": n + 6, "bbox": [0, 0, 9, 9]} for n in (1, 2)]
    extra = {"info": {"url": "", "year": 1}, "licenses": [1]}
    source = write_coco(tmp_path / "source", {1: (32, 32), 2: (32, 32)}, boxes, {7: "thing", 8: "other"}, **extra)
    content = json.loads(source.annotations.read_text())
    if record == "info":
        content["info"]["year"] = "NUMBER"
    elif record == "licenses":
        content["licenses"][0] = "NUMBER"
    else:
        content[record][0]["score"] = ["NUMBER"]
    source.annotations.write_text(json.dumps(content).replace('"NUMBER"', number))
    (source.images / "0001.png").write_bytes(b"")
    message = rf"instances\.json: {place} has NaN or an infinity, which JSON cannot hold; correct it"
    with pytest.raises(DataError, match=message):
        subset(source, tmp_path / "set", SubsetOptions())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
    if record in ("annotations", "images", "categories"):
        subset(source, tmp_path / "set", SubsetOptions(categories=("other",)))


def test_background_alone_is_refused(tmp_path: Path) -> None:
    """`keep_empty` takes it; without any object beside it there is nothing to learn."""
    source = write_coco(tmp_path / "source", {1: (32, 32), 2: (32, 32)}, [], {1: "thing"})
    with pytest.raises(
        DataError, match=r"instances\.json: none of the 2 images for train has an object; there is noth"
    ):
        subset(source, tmp_path / "set", SubsetOptions(keep_empty=True))


def test_a_name_that_no_file_can_have_is_a_missing_image(tmp_path: Path) -> None:
    """Listed as such beside the others."""
    boxes = [{"image_id": n, "category_id": 1, "bbox": [0, 0, 9, 9]} for n in (1, 2)]
    source = write_coco(tmp_path / "source", {1: (32, 32), 2: (32, 32)}, boxes, {1: "thing"})
    source.annotations.write_text(source.annotations.read_text().replace("0002.png", "x" * 300 + ".png"))
    record = subset(source, tmp_path / "set", SubsetOptions())["splits"]["train"]
    assert (record["images"], record["source_problem_counts"]) == (1, {"image missing": 1})


def test_an_occupied_output_folder_is_refused(tmp_path: Path) -> None:
    """Files of the user are never mixed with a new set."""
    source = one_image(tmp_path / "source", [[0, 0, 9, 9]])
    with pytest.raises(DataError, match="is not empty; name a new one or remove it"):
        subset(source, tmp_path / "source", SubsetOptions())


def test_a_read_only_place_is_refused(tmp_path: Path) -> None:
    """The error names the folder that cannot be written."""
    source = one_image(tmp_path / "source", [[0, 0, 9, 9]])
    blocker = tmp_path / "file"
    blocker.write_text("a file where a folder is needed")
    with pytest.raises(DataError, match=r"cannot write to .*file"):
        subset(source, blocker / "set", SubsetOptions())
    if os.geteuid():  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(DataError, match=r"cannot write to .*locked"):
            subset(source, tmp_path / "locked" / "set", SubsetOptions())
