"""What conversions and subsets leave out is counted and named, and what they write can be trained on."""

import json
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.data.coco_files import write_coco
from yolo_focal import cli
from yolo_focal.data.subset import SubsetOptions, make_subset
from yolo_focal.data.voc_to_yolo import VocOptions, voc_to_yolo
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.data.yolo_to_coco import write_coco_files
from yolo_focal.errors import DataError
from yolo_focal.foreign_text import first_names

NOISE = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)


def yolo_set(folder, labels, yaml="train: images\nnames: [a]\n"):
    """Images of these names with these label texts; None writes no label file."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for name, text in labels.items():
        cv2.imwrite(str(folder / "images" / name), NOISE)
        if text is not None:
            (folder / "labels" / name).with_suffix(".txt").write_text(text)
    (folder / "data.yaml").write_text(yaml)
    return read_data_yaml(folder / "data.yaml")


GOOD = "0 .5 .5 .2 .2\n"


def test_names_of_many():
    """The last one is named where counting it would take as much room."""
    assert first_names([]) == ""
    assert first_names("abc") == "a, b, c"
    assert first_names("abcd") == "a, b, c, d"
    assert first_names(range(400)) == "0, 1, 2 and 397 more"


def test_yolo2coco_names_what_is_no_image_to_ultralytics(tmp_path):
    """Files of other suffixes, hidden ones, and labels without an image; what stands beside images is no loss."""
    dataset = yolo_set(tmp_path / "set", {"a.png": GOOD, "b.png": ""})
    for name in ("c.gif", ".d.png", "e", "notes.txt", "a.npy"):
        (tmp_path / "set" / "images" / name).write_bytes(b"x")
    (tmp_path / "set" / "labels" / "f.txt").write_text(GOOD)
    record = write_coco_files(dataset, tmp_path / "out")["train"]
    assert record["images"] == 2  # the one without objects among them
    images, labels = tmp_path / "set" / "images", tmp_path / "set" / "labels"
    assert record["left_out"] == [
        f"{images / '.d.png'}: hidden by its name",
        f"{images / 'c.gif'}: no image that Ultralytics reads",
        f"{images / 'e'}: no image that Ultralytics reads",
        f"{labels / 'f.txt'}: no image of this name",
    ]


def test_yolo2coco_writes_an_image_that_is_listed_twice_once(tmp_path, capsys):
    """And says so; what is no image in the list is named."""
    yolo_set(tmp_path / "set", {"a.png": GOOD, "b.png": GOOD}, "train: list.txt\nnames: [a]\n")
    images = tmp_path / "set" / "images"
    (tmp_path / "set" / "list.txt").write_text("./images/a.png\n./images/b.png\n./images/a.png\n./images/c.gif\n")
    assert cli.main(["yolo2coco", f"data={tmp_path / 'set'}", f"out={tmp_path / 'out'}"]) == 0
    content = json.loads((tmp_path / "out" / "instances_train.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.png", "b.png"]
    assert len(content["annotations"]) == 2
    printed = capsys.readouterr().out
    assert f"train: left out: 2\n  {images / 'a.png'}: listed more than once; written once\n" in printed
    assert "c.gif' is no image" in printed


def test_only_a_test_split_may_be_missing(tmp_path):
    """Ultralytics needs the other two."""
    yaml = "train: images\nval: {}\ntest: {}\nnames: [a]\n"
    yolo_set(tmp_path / "set", {"a.png": GOOD}, yaml.format("images", "none"))
    dataset = read_data_yaml(tmp_path / "set" / "data.yaml")
    report = write_coco_files(dataset, tmp_path / "out")
    assert report["test"]["images"] == 0 and "none, which does not exist" in report["test"]["left_out"][0]
    (tmp_path / "set" / "data.yaml").write_text(yaml.format("none", "images"))
    with pytest.raises(DataError, match=r"val names .*none, which does not exist; correct the path"):
        write_coco_files(read_data_yaml(tmp_path / "set" / "data.yaml"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def coco_set(folder, names, annotated=(1,)):
    """A COCO set whose images, numbered from 1, have these names; those of `annotated` have a box."""
    boxes = [{"image_id": number, "category_id": 7, "bbox": [10, 10, 40, 40], "area": 1600.0} for number in annotated]
    source = write_coco(folder, dict.fromkeys(range(1, len(names) + 1), (100, 80)), boxes, {7: "thing"})
    content = json.loads(source.annotations.read_text())
    for image, name in zip(content["images"], names, strict=True):
        before, after = source.images / image["file_name"], source.images / name
        after.parent.mkdir(parents=True, exist_ok=True)
        before.rename(after)
        image["file_name"] = name
    source.annotations.write_text(json.dumps(content))
    return source


def test_subset_counts_and_names_what_cannot_be_chosen(tmp_path, capsys):
    """Images without annotations, and those without an object of the categories."""
    source = coco_set(tmp_path / "src", [f"{n}.png" for n in range(1, 8)], annotated=(1, 2))
    content = json.loads(source.annotations.read_text())
    content["annotations"][1]["iscrowd"] = 1
    source.annotations.write_text(json.dumps(content))
    words = ["subset", f"annotations={source.annotations}", f"images={source.images}", f"out={tmp_path / 'set'}"]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert "left out: 5 images without annotations (3.png, 4.png, 5.png and 2 more); keep_empty=True" in printed
    assert "left out: 1 images without an object to choose by" in printed
    assert cli.main([*words[:-1], f"out={tmp_path / 'all'}", "keep_empty=True"]) == 0
    assert "without annotations" not in capsys.readouterr().out
    assert len(list((tmp_path / "all/images/train").iterdir())) == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.gif", r"instances\.json: images id 2: a\.gif is no image by its name; expected \.avif, .*; convert it"),
        ("a", r"images id 2: a is no image by its name"),
        (".a.png", r"images id 2: \.a\.png is hidden by its name, and Ultralytics passes over such files; rename it"),
        (".x/a.png", r"images id 2: \.x/a\.png is hidden by its name"),
    ],
)
def test_names_that_ultralytics_passes_over_are_refused_before_anything_is_written(tmp_path, name, message):
    """By name; an image that was not chosen may have any."""
    source = coco_set(tmp_path / "src", ["ok.png", "odd.png"], annotated=(1, 2))
    content = json.loads(source.annotations.read_text())
    (source.images / name).parent.mkdir(exist_ok=True)
    (source.images / "odd.png").rename(source.images / name)
    content["images"][1]["file_name"] = name
    source.annotations.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        make_subset(source, tmp_path / "set", SubsetOptions())
    assert not (tmp_path / "set").exists()
    del content["annotations"][1]
    source.annotations.write_text(json.dumps(content))
    make_subset(source, tmp_path / "set", SubsetOptions())


def truncate(path):
    """A JPEG whose header is whole and whose pixels are not."""
    cv2.imwrite(str(path), NOISE)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize("link", ["copy", "symlink"])
def test_what_a_training_would_leave_out_of_a_subset_is_said(tmp_path, capsys, link):
    """By Ultralytics' own scan of what was written: truncated images, images below 10 pixels; originals stay whole."""
    names = ["1.jpg", "2.jpg", "3.png", "4.jpg"]
    source = coco_set(tmp_path / "src", names, annotated=(1, 2, 3, 4))
    for name in ("1.jpg", "4.jpg"):
        cv2.imwrite(str(source.images / name), NOISE)
    truncate(source.images / "2.jpg")
    with (source.images / "4.jpg").open("ab") as file:
        file.write(b"more")  # after the end marker; Ultralytics restores such a file
    before = (source.images / "4.jpg").read_bytes()
    words = ["subset", f"annotations={source.annotations}", f"images={source.images}", f"out={tmp_path / 'set'}"]
    assert cli.main([*words, f"link={link}"]) == 0
    printed = capsys.readouterr().out
    said = "Ultralytics will leave out 1 of the 4 images of train: images/train/2.jpg: truncated image"
    assert f"note: {said}\n" in printed
    assert "note: Ultralytics wrote 1 JPEG files of train without an end marker anew: images/train/4.jpg" in printed
    assert said in json.loads((tmp_path / "set/manifest.json").read_text())["notes"]
    assert (source.images / "4.jpg").read_bytes() == before
    assert not list((tmp_path / "set").rglob("*.cache"))


def test_a_subset_of_which_nothing_can_be_trained_on_is_not_written(tmp_path, capsys):
    """The first file is named."""
    source = coco_set(tmp_path / "src", ["1.jpg"])
    truncate(source.images / "1.jpg")
    words = ["subset", f"annotations={source.annotations}", f"images={source.images}", f"out={tmp_path / 'set'}"]
    assert cli.main(words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "none of the 1 images of 'train' can be used" in error and "1.jpg: truncated image; replace" in error
    assert not (tmp_path / "set").exists()


def voc_set(folder, names):
    """A VOC set with a box in every image."""
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(folder / "JPEGImages" / name), NOISE)
        stem = name.partition(".")[0]
        (folder / "Annotations" / f"{stem}.xml").write_text(
            f"<annotation><filename>{name}</filename><object><name>cat</name><bndbox><xmin>5</xmin><ymin>5</ymin>"
            "<xmax>50</xmax><ymax>50</ymax></bndbox></object></annotation>"
        )
    return folder


def test_what_a_training_would_leave_out_of_a_voc_set_is_said(tmp_path, capsys):
    """As for subsets."""
    voc = voc_set(tmp_path / "voc", ["a.jpg", "b.jpg", "c.png"])
    truncate(voc / "JPEGImages/b.jpg")
    Image.fromarray(NOISE).save(tmp_path / "gif.gif")
    shutil.copy(tmp_path / "gif.gif", voc / "JPEGImages/c.png")  # a GIF by another name
    assert cli.main(["voc2yolo", f"voc={voc}", f"out={tmp_path / 'set'}"]) == 0
    printed = capsys.readouterr().out
    assert "note: Ultralytics will leave out 2 of the 3 images of train: images/train/b.jpg: truncated image" in printed


def test_voc_images_that_differ_in_suffix_only(tmp_path):
    """The annotation decides by the name in it; if it does not, the conversion would be a guess."""
    voc = voc_set(tmp_path / "voc", ["a.png"])
    cv2.imwrite(str(voc / "JPEGImages" / "a.jpg"), NOISE)
    report = voc_to_yolo(voc, tmp_path / "set", VocOptions())
    assert [file.name for file in (tmp_path / "set/images/train").iterdir()] == ["a.png"]
    assert [line.partition(": no annotation")[0] for line in report["left_out"]] == [str(voc / "JPEGImages/a.jpg")]
    annotation = voc / "Annotations/a.xml"
    written = annotation.read_text()
    annotation.write_text(written.replace("a.png", "a"))
    with pytest.raises(DataError, match=r"a\.xml can be of .*a\.jpg or .*a\.png; rename or remove one of them"):
        voc_to_yolo(voc, tmp_path / "other", VocOptions())
    for name in ("a.xml", "a.XML"):
        (voc / "Annotations" / name).write_text(written)
    with pytest.raises(DataError, match=r"a\.XML and .*a\.xml are of one image; remove one"):
        voc_to_yolo(voc, tmp_path / "other", VocOptions())


def test_two_annotation_files_of_one_image_are_refused(tmp_path):
    """Whose names are not the image's: half of the image's objects would be missing, and it could be in both splits."""
    voc = voc_set(tmp_path / "voc", ["a.png"])
    annotation = voc / "Annotations/a.xml"
    for name in ("1.xml", "2.xml"):
        (voc / "Annotations" / name).write_text(annotation.read_text())
    annotation.unlink()
    with pytest.raises(DataError, match=r"1\.xml and .*2\.xml are of one image, .*a\.png; remove one"):
        voc_to_yolo(voc, tmp_path / "set", VocOptions(val_share=0.5))


def test_difficult_objects_are_counted(tmp_path):
    """Those that difficult=False leaves out."""
    voc = voc_set(tmp_path / "voc", ["a.png", "b.png"])
    annotation = voc / "Annotations/a.xml"
    annotation.write_text(annotation.read_text().replace("<bndbox>", "<difficult>1</difficult><bndbox>"))
    report = voc_to_yolo(voc, tmp_path / "set", VocOptions(difficult=False))
    assert report["notes"] == ["1 objects marked difficult are left out, by difficult=False"]


def test_an_empty_validation_list_leaves_a_set_that_trains(tmp_path, capsys):
    """The training images are val then, and both are said."""
    voc = voc_set(tmp_path / "voc", ["a.png", "b.png"])
    (voc / "ImageSets/Main/train.txt").write_text("a\nb\n")
    (voc / "ImageSets/Main/val.txt").write_text("\n")
    assert cli.main(["voc2yolo", f"voc={voc}", f"out={tmp_path / 'set'}"]) == 0
    assert "val.txt is empty: no such split is written" in capsys.readouterr().out
    dataset = read_data_yaml(tmp_path / "set" / "data.yaml")
    assert dataset.image_files("val") == dataset.image_files("train")


def test_four_hundred_classes_are_not_printed(tmp_path):
    """Neither those that names= lacks nor those of a split."""
    voc = voc_set(tmp_path / "voc", ["a.png"])
    things = "".join(
        f"<object><name>n{n}</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>50</xmax><ymax>50</ymax></bndbox></object>"
        for n in range(400)
    )
    (voc / "Annotations/a.xml").write_text(f"<annotation><filename>a.png</filename>{things}</annotation>")
    with pytest.raises(DataError, match=r"has the classes n0, n1, .* and 390 more, which names= lacks; add them"):
        voc_to_yolo(voc, tmp_path / "set", VocOptions(names=("cat",)))


def test_a_category_named_by_a_number(tmp_path):
    """As text or as a number; where it is also the id of another one, it does not say which is meant."""
    source = coco_set(tmp_path / "src", ["1.png"])
    content = json.loads(source.annotations.read_text())
    content["categories"] = [{"id": 7, "name": 3}, {"id": 8, "name": "9"}]
    source.annotations.write_text(json.dumps(content))
    make_subset(source, tmp_path / "a", SubsetOptions(categories=("3",)))
    assert read_data_yaml(tmp_path / "a/data.yaml").names == ("3",)
    content["categories"] = [{"id": 7, "name": "thing"}, {"id": 8, "name": "7"}]
    source.annotations.write_text(json.dumps(content))
    with pytest.raises(
        DataError, match=r"'7' is the name of category 8 in .*, and the id of category 'thing'; write 8"
    ):
        make_subset(source, tmp_path / "b", SubsetOptions(categories=("7",)))
    make_subset(source, tmp_path / "b", SubsetOptions(categories=("thing",)))
