"""YOLO to COCO and Pascal VOC to YOLO, against the same data in the other format."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolo_focal.data.label_statistics import split_statistics
from yolo_focal.data.labels import read_labels
from yolo_focal.data.subset import CocoSource, SubsetOptions, make_subset
from yolo_focal.data.voc import read_voc
from yolo_focal.data.voc_to_yolo import VocOptions, voc_to_yolo
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.data.yolo_to_coco import image_ids, write_coco_files
from yolo_focal.errors import DataError
from yolo_focal.evaluation.yolo_source import ground_truth_from_yolo


def boxes_by_name(coco: COCO) -> dict[str, list[tuple[float, ...]]]:
    """File name -> sorted (category, x, y, width, height), rounded to a tenth of a pixel."""
    return {
        image["file_name"]: sorted(
            (a["category_id"], *(round(value, 1) for value in a["bbox"])) for a in coco.imgToAnns[image["id"]]
        )
        for image in coco.imgs.values()
    }


def test_blood_cells_become_their_own_coco_files(tmp_path: Path, shared: Path) -> None:
    """All 4886 boxes of the three splits equal those of the COCO files the set comes with."""
    folder = shared / "data" / "bccd"
    report = write_coco_files(read_data_yaml(folder / "bccd.yaml"), tmp_path / "out")
    assert {split: record["annotations"] for split, record in report.items()} == {
        "train": 2804,
        "val": 1137,
        "test": 945,
    }
    for split in report:
        ours = COCO(tmp_path / "out" / f"instances_{split}.json")
        theirs = COCO(folder / "annotations" / f"instances_{split}.json")
        found, expected = boxes_by_name(ours), boxes_by_name(theirs)
        assert found == expected
        assert ours.loadCats(ours.getCatIds()) == [
            {"id": record["id"], "name": record["name"]} for record in theirs.loadCats(theirs.getCatIds())
        ]


def test_converted_ground_truth_used_as_detections_is_perfect(tmp_path: Path, shared: Path) -> None:
    """Real COCO images: the written file is valid for pycocotools and gives AP 1 against itself."""
    write_coco_files(read_data_yaml(shared / "data" / "coco128" / "coco128.yaml"), tmp_path / "out")
    truth = COCO(tmp_path / "out" / "instances_val.json")
    detections = [
        {key: a[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1.0} for a in truth.anns.values()
    ]
    evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)
    assert all(int(Path(image["file_name"]).stem) == number for number, image in truth.imgs.items())


def test_a_subset_converted_back_has_the_source_boxes(tmp_path: Path, shared: Path) -> None:
    """COCO to YOLO to COCO moves no box by more than half a pixel and loses none."""
    folder = shared / "data" / "coco_tiny"
    source = CocoSource(folder / "annotations" / "instances_val2017.json", folder / "images" / "val2017")
    make_subset(source, tmp_path / "set", SubsetOptions())
    write_coco_files(read_data_yaml(tmp_path / "set" / "data.yaml"), tmp_path / "back")
    back, original = COCO(tmp_path / "back" / "instances_train.json"), COCO(source.annotations)
    category = dict(enumerate(sorted(original.cats), 1))
    for number in back.imgs:
        expected = np.array([a["bbox"] for a in original.imgToAnns[number] if not a["iscrowd"]])
        found = np.array([a["bbox"] for a in back.imgToAnns[number]])
        kinds = sorted(category[a["category_id"]] for a in back.imgToAnns[number])
        assert kinds == sorted(a["category_id"] for a in original.imgToAnns[number] if not a["iscrowd"])
        assert np.abs(found[:, None] - expected[None]).max(2).min(1).max() < 0.5


def test_polygons_become_segmentations_with_their_box_and_area(tmp_path: Path) -> None:
    """A triangle over half an image of 40 x 20 pixels has that box, area 200, and its corners in pixels."""
    make_yolo(tmp_path, {"7": "0 0.25 0 0.75 0 0.25 1\n"}, (40, 20))
    write_coco_files(read_data_yaml(tmp_path / "data.yaml"), tmp_path / "out")
    (annotation,) = json.loads((tmp_path / "out" / "instances_train.json").read_text())["annotations"]
    assert annotation["bbox"] == [10, 0, 20, 20]
    assert annotation["area"] == 200
    assert annotation["segmentation"] == [[10, 0, 30, 0, 10, 20]]


@pytest.mark.parametrize(
    ("shape", "keypoints"),
    [("[2, 2]", "0.28 0.4 0.32 0.4"), ("[2, 3]", "0.28 0.4 2 0.32 0.4 1"), ("[1, 2]", "0.3 0.4")],
)
def test_boxes_of_a_pose_dataset_are_its_boxes(tmp_path: Path, shape: str, keypoints: str) -> None:
    """kpt_shape tells keypoints from polygons, in the COCO file, the statistics and the ground truth alike."""
    make_yolo(tmp_path, {"7": f"0 0.3 0.4 0.3 0.5 {keypoints}\n"}, (100, 60))
    with (tmp_path / "data.yaml").open("a") as file:
        file.write(f"kpt_shape: {shape}\n")
    dataset = read_data_yaml(tmp_path / "data.yaml")
    report = write_coco_files(dataset, tmp_path / "out")
    assert report["train"]["problems"] == []
    (annotation,) = json.loads((tmp_path / "out" / "instances_train.json").read_text())["annotations"]
    assert (annotation["bbox"], annotation["area"]) == ([15, 9, 30, 30], 900)
    assert "segmentation" not in annotation
    assert split_statistics(dataset).box_sizes.tolist() == [[30, 30]]
    truth = ground_truth_from_yolo(dataset, "train", {str(tmp_path / "images" / "7.png"): (100, 60)})
    assert np.allclose(truth.boxes_xywh, [[15, 9, 30, 30]])


def test_image_ids_are_the_numbers_in_the_names_or_else_count() -> None:
    """Numbers that repeat, or names that are none, fall back to the order."""
    assert list(image_ids([Path("a/000139.jpg"), Path("a/7.jpg")]).values()) == [139, 7]
    assert list(image_ids([Path("a/1.jpg"), Path("b/01.jpg")]).values()) == [1, 2]
    assert list(image_ids([Path("a/5.jpg"), Path("a/x.jpg")]).values()) == [1, 2]


def test_label_problems_are_reported_and_equal_names_refused(tmp_path: Path) -> None:
    """A line that cannot be used is in the report; two images of one name cannot share a COCO file."""
    make_yolo(tmp_path, {"1": "9 .5 .5 .1 .1\n0 .5 .5 .1 .1\n"}, (40, 20))
    report = write_coco_files(read_data_yaml(tmp_path / "data.yaml"), tmp_path / "out")
    assert report["train"]["annotations"] == 1
    assert ["class out of range" in problem for problem in report["train"]["problems"]] == [True]
    (tmp_path / "images" / "deep").mkdir()
    (tmp_path / "images" / "deep" / "1.png").write_bytes((tmp_path / "images" / "1.png").read_bytes())
    with pytest.raises(DataError, match="COCO files tell images apart by name, so rename one"):
        write_coco_files(read_data_yaml(tmp_path / "data.yaml"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def make_yolo(folder: Path, labels: dict[str, str], size: tuple[int, int]) -> None:
    for name, text in labels.items():
        for kind in ("images", "labels"):
            (folder / kind).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "images" / f"{name}.png"), np.zeros((size[1], size[0], 3), np.uint8))
        (folder / "labels" / f"{name}.txt").write_text(text)
    (folder / "data.yaml").write_text("train: images\nnames: [a]\n")


XML = "<annotation><filename>{name}.png</filename>{objects}</annotation>"
OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult><part><name>head</name><bndbox><xmin>1</xmin></bndbox>"
    "</part><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
)


def make_voc(folder: Path, objects: dict[str, list[tuple[Any, ...]]], splits: dict[str, str] | None = None) -> Path:
    """A VOC dataset of 100 x 50 images; an object is (name, x0, y0, x1, y1) or with a sixth `difficult`."""
    for kind in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / kind).mkdir(parents=True)
    for name, items in objects.items():
        parts = [
            OBJECT.format(name=item[0], x0=item[1], y0=item[2], x1=item[3], y1=item[4], difficult=[*item, 0][5])
            for item in items
        ]
        (folder / "Annotations" / f"{name}.xml").write_text(XML.format(name=name, objects="".join(parts)))
        cv2.imwrite(str(folder / "JPEGImages" / f"{name}.png"), np.zeros((50, 100, 3), np.uint8))
    for split, stems in (splits or {}).items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(stems)
    return folder


def pixels(folder: Path, split: str, name: str) -> list[list[float]]:
    """Class and corners in pixels of a converted label file of a 100 x 50 image."""
    labels = read_labels(folder / "labels" / split / f"{name}.txt", 99)
    x, y, w, h = labels.boxes_xywh.T * np.array([[100], [50], [100], [50]])
    return np.round(np.stack([labels.classes, x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1), 3).tolist()


def test_real_boxes_written_as_voc_come_back_as_they_were(tmp_path: Path, shared: Path) -> None:
    """The blood cells' validation split as VOC files, converted, has the labels the set comes with."""
    source = shared / "data" / "bccd"
    coco = COCO(source / "annotations" / "instances_val.json")
    (tmp_path / "voc" / "Annotations").mkdir(parents=True)
    (tmp_path / "voc" / "JPEGImages").symlink_to(source / "images" / "val")
    for image in coco.imgs.values():
        parts = [
            OBJECT.format(name=coco.cats[a["category_id"]]["name"], difficult=0, x0=x, y0=y, x1=x + w, y1=y + h)
            for a in coco.imgToAnns[image["id"]]
            for x, y, w, h in [a["bbox"]]
        ]
        stem = Path(image["file_name"]).stem
        (tmp_path / "voc" / "Annotations" / f"{stem}.xml").write_text(XML.format(name=stem, objects="".join(parts)))
    options = VocOptions(names=("RBC", "WBC", "Platelets"), link="symlink")
    report = voc_to_yolo(tmp_path / "voc", tmp_path / "yolo", options)
    assert report["splits"]["train"]["instances"] == {"RBC": 967, "WBC": 87, "Platelets": 83}
    for label in (source / "labels" / "val").glob("*.txt"):
        expected, found = read_labels(label, 3), read_labels(tmp_path / "yolo" / "labels" / "train" / label.name, 3)
        assert found.classes.tolist() == expected.classes.tolist()
        assert np.allclose(found.boxes_xywh, expected.boxes_xywh, atol=2e-6)


def test_corners_are_taken_as_written_or_by_the_original_convention(tmp_path: Path) -> None:
    """With first_pixel=1 the left and top corner move by one pixel and the box includes its last pixel."""
    voc = make_voc(tmp_path / "voc", {"a": [("cat", 1, 1, 100, 50), ("dog", 11, 21, 30, 40)]})
    voc_to_yolo(voc, tmp_path / "plain", VocOptions())
    voc_to_yolo(voc, tmp_path / "original", VocOptions(first_pixel=1))
    assert pixels(tmp_path / "plain", "train", "a") == [[0, 1, 1, 100, 50], [1, 11, 21, 30, 40]]
    assert pixels(tmp_path / "original", "train", "a") == [[0, 0, 0, 100, 50], [1, 10, 20, 30, 40]]


def test_split_files_names_and_difficult_objects_are_respected(tmp_path: Path) -> None:
    """ImageSets decide the splits, `names` the class order, and difficult objects can be left out."""
    things = {"a": [("cat", 1, 1, 9, 9), ("dog", 1, 1, 9, 9, 1)], "b": [("dog", 2, 2, 9, 9)], "c": []}
    voc = make_voc(tmp_path / "voc", things, {"train": "a\nc\n", "val": "b\n"})
    report = voc_to_yolo(voc, tmp_path / "set", VocOptions(names=("dog", "cat"), difficult=False))
    assert report["splits"]["train"] == {"images": 2, "instances": {"cat": 1}, "problems": []}
    dataset = read_data_yaml(tmp_path / "set" / "data.yaml")
    assert dataset.names == ("dog", "cat")
    assert [image.stem for image in dataset.image_files("val")] == ["b"]
    assert pixels(tmp_path / "set", "val", "b") == [[0, 2, 2, 9, 9]]


def test_boxes_outside_or_without_area_are_listed(tmp_path: Path) -> None:
    """A box over the border is clipped, one beyond it or of no size is left out, and all are reported."""
    voc = make_voc(tmp_path / "voc", {"a": [("x", 90, 10, 120, 20), ("x", 200, 1, 210, 9), ("x", 5, 5, 5, 9)]})
    record = voc_to_yolo(voc, tmp_path / "set", VocOptions())["splits"]["train"]
    assert pixels(tmp_path / "set", "train", "a") == [[0, 90, 10, 100, 20]]
    assert sum("reaches outside" in problem for problem in record["problems"]) == 2
    assert sum("left out" in problem for problem in record["problems"]) == 2
    assert all("a.xml" in problem for problem in record["problems"])


SIZE = "<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"


def state_size(voc: Path, size: str) -> None:
    """Write a <size> into the file of image a, which is 100 x 50."""
    file = voc / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace("</filename>", f"</filename>{size}"))


@pytest.mark.parametrize(
    "size",
    [
        "",
        "<size/>",
        SIZE.format(width=0, height=0),
        SIZE.format(width=100, height=50),
        SIZE.format(width="100.0", height=50),
    ],
)
def test_a_voc_size_may_be_right_or_missing(tmp_path: Path, size: str) -> None:
    """Zeros are what tools write that do not know."""
    voc = make_voc(tmp_path / "voc", {"a": [("x", 10, 10, 20, 20)]})
    state_size(voc, size)
    voc_to_yolo(voc, tmp_path / "set", VocOptions())
    assert pixels(tmp_path / "set", "train", "a") == [[0, 10, 10, 20, 20]]


@pytest.mark.parametrize(
    ("width", "height", "message"),
    [
        (50, 100, r"a\.png is 100x50, but .*a\.xml says 50x100; its boxes would be wrong, so correct one of them"),
        (200, 100, r"a\.png is 100x50, but .*a\.xml says 200x100"),
        (100, 0, r"a\.xml: size must have width and height in whole pixels, got \['100', '0'\]; correct or remove it"),
        ("nan", 50, r"got \['nan', '50'\]"),
        ("inf", 50, r"got \['inf', '50'\]"),
        ("wide", 50, r"got \['wide', '50'\]"),
        (100.5, 50, r"got \['100.5', '50'\]"),
    ],
)
def test_a_voc_size_that_is_not_the_images_is_refused(tmp_path: Path, width: Any, height: Any, message: str) -> None:
    """The boxes are relative to the stated size, so they would lie elsewhere in the image."""
    voc = make_voc(tmp_path / "voc", {"a": [("x", 10, 10, 20, 20)]})
    state_size(voc, SIZE.format(width=width, height=height))
    with pytest.raises(DataError, match=message):
        voc_to_yolo(voc, tmp_path / "set", VocOptions())
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<annotation>", r"cannot read the VOC file .*a.xml"),
        ("", r"cannot read the VOC file .*a.xml"),
        ("<other/>", "is not a VOC file: its root is <other>, expected <annotation>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "declares a document type"),
        ("<annotation><object/></annotation>", "object 1 has no <name>"),
        ("<annotation><object><name>x</name></object></annotation>", r"object 1 \(x\): bndbox must have four numbers"),
        (XML.format(name="a", objects=OBJECT.format(name="x", x0="nan", y0=1, x1=2, y1=2, difficult=0)),
         r"object 1 \(x\): bndbox must be finite with xmin <= xmax"),
        (XML.format(name="a", objects=OBJECT.format(name="x", x0=9, y0=1, x1=2, y1=2, difficult=0)),
         "bndbox must be finite with xmin <= xmax and ymin <= ymax"),
    ],
)  # fmt: skip
def test_unusable_voc_files_are_refused_with_file_and_object(tmp_path: Path, xml: str, message: str) -> None:
    """The error names the file and the object; entities are never expanded."""
    (tmp_path / "a.xml").write_text(xml)
    with pytest.raises(DataError, match=message):
        read_voc(tmp_path / "a.xml")


def test_a_huge_voc_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    """A sparse gigabyte costs nothing."""
    with (tmp_path / "a.xml").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(DataError, match="is larger than 16 MiB; a VOC file describes one image"):
        read_voc(tmp_path / "a.xml")


def test_voc_datasets_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    """No files, a missing image, an unlisted class, no objects, a split without annotation: each by name."""
    with pytest.raises(DataError, match=r"no \*.xml in"):
        voc_to_yolo(tmp_path, tmp_path / "out", VocOptions())
    voc = make_voc(tmp_path / "voc", {"a": [("cat", 1, 1, 9, 9)], "b": []})
    with pytest.raises(DataError, match="has the classes cat, which names= lacks; add them"):
        voc_to_yolo(voc, tmp_path / "out", VocOptions(names=("dog",)))
    (voc / "ImageSets" / "Main" / "train.txt").write_text("a\nz\n")
    with pytest.raises(DataError, match=r"train.txt names z \(1 in all\) without an annotation file"):
        voc_to_yolo(voc, tmp_path / "out", VocOptions())
    (voc / "ImageSets" / "Main" / "train.txt").rename(voc / "ImageSets" / "Main" / "val.txt")
    (voc / "ImageSets" / "Main" / "val.txt").write_text("a\n")
    with pytest.raises(DataError, match=r"has val but no train.txt; add it"):
        voc_to_yolo(voc, tmp_path / "out", VocOptions())
    (voc / "JPEGImages" / "b.png").unlink()
    with pytest.raises(DataError, match=r"b.xml: its image b.png is in none of"):
        voc_to_yolo(voc, tmp_path / "out", VocOptions())
    empty = make_voc(tmp_path / "empty", {"a": []})
    with pytest.raises(DataError, match="has no object in its 1 annotation files"):
        voc_to_yolo(empty, tmp_path / "out", VocOptions())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["annotations", "labels", "."])
def test_annotations_lie_where_tools_put_them(tmp_path: Path, place: str) -> None:
    """In lower case, in `labels`, or in the folder itself."""
    voc = make_voc(tmp_path / "voc", {"a": [("x", 10, 10, 20, 20)]})
    (voc / place).mkdir(exist_ok=True)
    (voc / "Annotations/a.xml").rename(voc / place / "a.xml")
    voc_to_yolo(voc, tmp_path / "set", VocOptions())
    assert pixels(tmp_path / "set", "train", "a") == [[0, 10, 10, 20, 20]]


def test_an_export_in_folders_of_its_splits_is_told_by_them(tmp_path: Path) -> None:
    """As Roboflow writes it: files beside their images in train and valid."""
    for split in ("train", "valid"):
        make_voc(tmp_path / "made" / split, {"a": [("x", 10, 10, 20, 20)]})
        (tmp_path / "voc" / split).mkdir(parents=True)
        (tmp_path / "made" / split / "Annotations/a.xml").rename(tmp_path / "voc" / split / "a.xml")
    with pytest.raises(DataError, match=r"train, valid have some: convert each by itself, as voc=.*/train"):
        voc_to_yolo(tmp_path / "voc", tmp_path / "set", VocOptions())


def test_boxes_are_clipped_at_every_border(tmp_path: Path) -> None:
    """Below, and left and above."""
    voc = make_voc(tmp_path / "voc", {"a": [("x", 10, 40, 20, 70), ("x", -4, -5, 20, 5)]})
    voc_to_yolo(voc, tmp_path / "set", VocOptions())
    assert pixels(tmp_path / "set", "train", "a") == [[0, 10, 40, 20, 50], [0, 0, 0, 20, 5]]


def test_ids_of_annotations_are_unique_over_all_splits(tmp_path: Path) -> None:
    """So that the files can be joined."""
    make_yolo(tmp_path, {"1": "0 .5 .5 .1 .1\n0 .5 .5 .2 .2\n"}, (40, 20))
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [a]\n")
    write_coco_files(read_data_yaml(tmp_path / "data.yaml"), tmp_path / "out")
    files = [json.loads((tmp_path / "out" / f"instances_{split}.json").read_text()) for split in ("train", "val")]
    assert [each["id"] for file in files for each in file["annotations"]] == [1, 2, 3, 4]
