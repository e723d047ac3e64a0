"""Ground truth and class frequencies are read from COCO and YOLO files alike."""

import json
import shutil

import cv2
import numpy as np
import pytest

from yolo_focal.data.coco import read_coco
from yolo_focal.data.labels import read_labels
from yolo_focal.data.yolo import label_file, read_data_yaml
from yolo_focal.data.yolo_to_coco import write_coco_files
from yolo_focal.errors import DataError
from yolo_focal.evaluation.coco_source import ground_truth_from_coco, write_yolo_view
from yolo_focal.evaluation.training_counts import (
    TrainingCounts,
    training_counts_from_coco,
    training_counts_from_yolo,
)
from yolo_focal.evaluation.yolo_source import ground_truth_from_yolo

BCCD_TRAIN = {"RBC": 2381, "WBC": 214, "Platelets": 209}  # from the dataset's README


def sizes_of(dataset, split, size=(640, 480)):
    return {str(file.absolute()): size for file in dataset.image_files(split)}


def test_bccd_is_the_same_from_both_formats(shared):
    """The labels give the annotations' boxes to a hundredth of a pixel, image by image in the same order."""
    dataset = read_data_yaml(shared / "data/bccd/bccd.yaml")
    yolo = ground_truth_from_yolo(dataset, "val", sizes_of(dataset, "val"))
    coco = ground_truth_from_coco(read_coco(shared / "data/bccd/annotations/instances_val.json"))
    assert [file.rsplit("/", 1)[-1] for file in yolo.image_files] == list(coco.image_files)
    np.testing.assert_array_equal(yolo.image, coco.image)
    np.testing.assert_array_equal(yolo.category, coco.category)
    np.testing.assert_allclose(yolo.boxes_xywh, coco.boxes_xywh, atol=0.01)


def test_training_counts_are_those_of_the_readme(shared):
    """Both readers count the instances the dataset states, and images with a class, not instances."""
    yolo = training_counts_from_yolo(read_data_yaml(shared / "data/bccd/bccd.yaml"))
    coco = training_counts_from_coco(read_coco(shared / "data/bccd/annotations/instances_train.json"))
    assert dict(zip(yolo.names, yolo.instances, strict=True)) == BCCD_TRAIN
    assert dict(zip(coco.names, coco.instances, strict=True)) == BCCD_TRAIN
    assert yolo.images == coco.images
    assert max(yolo.images) <= 205


def test_crowds_are_objects_to_ignore_and_not_instances(shared):
    """COCO's crowd regions stay in the ground truth and out of the class frequencies."""
    dataset = read_coco(shared / "data/coco_tiny/annotations/instances_val2017.json")
    truth = ground_truth_from_coco(dataset)
    assert truth.crowd.sum() == 11
    assert len(truth.image) == 815
    assert sum(training_counts_from_coco(dataset).instances) == 804


def test_counts_follow_names_into_another_order():
    """A class that training does not have was seen 0 times."""
    counts = TrainingCounts(("a", "b"), (5, 7), (1, 2)).in_order_of(["b", "c", "a"])
    assert (counts.instances, counts.images) == ([7, 0, 5], [2, 0, 1])


def test_a_coco_set_becomes_a_yolo_set(shared, tmp_path):
    """Links and labels of the view are read back as the annotations without crowds, to a hundredth of a pixel."""
    annotations = read_coco(shared / "data/coco_tiny/annotations/instances_val2017.json")
    data_yaml = write_yolo_view(annotations, shared / "data/coco_tiny/images/val2017", tmp_path)
    dataset = read_data_yaml(data_yaml)
    assert list(dataset.names) == list(annotations.categories.values())
    place = {number: index for index, number in enumerate(annotations.categories)}
    files = {file.name: file for file in dataset.image_files("val")}
    assert len(files) == 80
    for image_id, record in annotations.images.items():
        labels = read_labels(label_file(files[record["file_name"]]), 80)
        assert not labels.problems
        expected = annotations.objects(image_id)
        assert labels.classes.tolist() == [place[each["category_id"]] for each in expected]
        scale = [record["width"], record["height"]] * 2
        corners = np.array([each["bbox"] for each in expected]).reshape(-1, 4)
        centred = np.c_[corners[:, :2] + corners[:, 2:] / 2, corners[:, 2:]]
        np.testing.assert_allclose(labels.boxes_xywh * scale, centred, atol=0.01)


def test_missing_images_are_named(shared, tmp_path):
    """The wrong folder is refused with the first file that is not in it."""
    annotations = read_coco(shared / "data/bccd/annotations/instances_val.json")
    with pytest.raises(DataError, match=r"87 of 87 images of .*instances_val.json are not in .*the first is Blood"):
        write_yolo_view(annotations, tmp_path, tmp_path / "view")


def yolo_root(folder, names, size=(40, 30)):
    """A COCO file beside images/ and labels/ that lists `names`, every one of them an image with an object; read."""
    records = [{"id": n, "file_name": name, "width": size[0], "height": size[1]} for n, name in enumerate(names, 1)]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "drawn.png"), np.zeros((size[1], size[0], 3), np.uint8))
        (folder / "drawn.png").rename(folder / name)
    objects = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 10, 20]} for n in range(1, len(names) + 1)]
    document = {"images": records, "categories": [{"id": 1, "name": "a"}], "annotations": objects}
    (folder / "a.json").write_text(json.dumps(document))
    return read_coco(folder / "a.json")


@pytest.mark.parametrize("names", [["images/x.jpg", "labels/x.txt"], ["labels/x.txt", "images/x.jpg"]])
def test_labels_listed_as_images_are_refused_and_stay_as_they_are(tmp_path, names):
    """In a YOLO root the view of images/x.jpg has its labels at labels/x.txt: that must never be the user's file."""
    annotations = yolo_root(tmp_path / "set", names)
    (tmp_path / "set" / "labels" / "x.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (tmp_path / "view").mkdir()
    with pytest.raises(DataError, match=r"a\.json: images id \d: labels/x\.txt is no image.*expected \.avif, "):
        write_yolo_view(annotations, tmp_path / "set", tmp_path / "view")
    assert (tmp_path / "set" / "labels" / "x.txt").read_text() == "0 0.5 0.5 0.1 0.1\n"
    assert list((tmp_path / "view").iterdir()) == []


def test_a_view_leaves_the_users_folder_untouched(tmp_path):
    """Folders called images and labels on the way to an image, and images named like folders, change nothing there."""
    names = ["images/x.jpg", "labels/y.jpg", "images/labels/z.png", "a/images/images/x.jpg", "labels/images/a.PNG"]
    annotations = yolo_root(tmp_path / "set", names)
    before = {file: file.read_bytes() for file in sorted((tmp_path / "set").rglob("*")) if file.is_file()}
    (tmp_path / "view").mkdir()
    dataset = read_data_yaml(write_yolo_view(annotations, tmp_path / "set", tmp_path / "view"))
    assert {file: file.read_bytes() for file in sorted((tmp_path / "set").rglob("*")) if file.is_file()} == before
    files = dataset.image_files("val")
    assert sorted(str(file.relative_to(tmp_path / "view" / "images")) for file in files) == sorted(names)
    for file in files:
        assert not label_file(file).is_symlink()
        np.testing.assert_allclose(dataset.labels(file).boxes_xywh, [[6 / 40, 12 / 30, 10 / 40, 20 / 30]], atol=1e-6)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["x.jpg", "x.png"], r"images x\.jpg and x\.png would share one label file; rename one of them"),
        (["images/a.jpg/x.jpg", "labels/a.jpg"], r"labels/a\.jpg.*File exists|File exists.*labels/a\.jpg"),
        (["labels/a.jpg", "images/a.jpg/x.jpg"], r"labels/a\.jpg.*File exists|File exists.*labels/a\.jpg"),
    ],
)
def test_images_that_a_view_cannot_hold_are_refused(tmp_path, names, message):
    """Two images with one label file, or an image where the folder of other labels must be: one line, no traceback."""
    annotations = yolo_root(tmp_path / "set", names)
    (tmp_path / "view").mkdir()
    with pytest.raises(DataError, match=message):
        write_yolo_view(annotations, tmp_path / "set", tmp_path / "view")


def test_a_stated_size_that_is_not_the_images_is_refused(tmp_path):
    """The boxes are in pixels of the stated size; detections are in pixels of the file."""
    annotations = yolo_root(tmp_path / "set", ["images/x.jpg", "images/y.jpg"])
    cv2.imwrite(str(tmp_path / "set/images/y.jpg"), np.zeros((60, 80, 3), np.uint8))
    (tmp_path / "view").mkdir()
    with pytest.raises(
        DataError, match=r"y\.jpg is 80x60, but images id 2 of .*a\.json says 40x30; its boxes would be"
    ):
        write_yolo_view(annotations, tmp_path / "set", tmp_path / "view")
    assert list((tmp_path / "view").iterdir()) == []


def test_an_area_that_is_no_number_is_refused(tmp_path):
    """The record is named; a missing area is width x height."""
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 4]}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    assert ground_truth_from_coco(read_coco(path)).areas.tolist() == [12.0]
    for area, shown in (("large", "'large'"), (-5, "-5"), (10**400, "1000000000000000000000000000000000000000")):
        document["annotations"][0]["area"] = area
        path.write_text(json.dumps(document))
        with pytest.raises(DataError, match=rf"annotations id 5: area must be a finite number >= 0, got {shown}$"):
            ground_truth_from_coco(read_coco(path))


@pytest.fixture
def two_images(shared, tmp_path):
    """A data YAML over two images of BCCD with their labels, to be damaged."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for file in sorted((shared / "data/bccd" / kind / "val").iterdir())[:2]:
            shutil.copyfile(file, tmp_path / kind / file.name)
    yaml_file = tmp_path / "data.yaml"
    yaml_file.write_text("val: images\nnames: [RBC, WBC, Platelets]\n")
    return yaml_file


def test_a_dataset_without_training_split_has_no_counts(two_images):
    """Then there are no frequency buckets."""
    assert training_counts_from_yolo(read_data_yaml(two_images)) is None


def test_labels_that_cost_an_image_are_refused(two_images):
    """Ultralytics would silently drop the image, and its objects with it."""
    labels = sorted((two_images.parent / "labels").iterdir())[1]
    labels.write_text("7 0.5 0.5 0.1 0.1\n")
    dataset = read_data_yaml(two_images)
    with pytest.raises(DataError, match=rf"{labels.name}:1: class out of range \(7, expected 0 to 2\)"):
        ground_truth_from_yolo(dataset, "val", sizes_of(dataset, "val"))


def test_an_unreadable_image_is_named(two_images):
    """An image that the model never saw is not evaluated as one without detections."""
    dataset = read_data_yaml(two_images)
    sizes = sizes_of(dataset, "val")
    sizes.popitem()
    with pytest.raises(DataError, match=r"1 of 2 images of .* could not be read, the first is .*jpg"):
        ground_truth_from_yolo(dataset, "val", sizes)


def test_a_label_that_a_pose_model_cannot_use_is_named(two_images):
    """It is what Ultralytics leaves the image out for, which is as readable as the others."""
    two_images.write_text("val: images\nkpt_shape: [1, 3]\nnames: [RBC, WBC, Platelets]\n")
    dataset = read_data_yaml(two_images)
    label = label_file(dataset.image_files("val")[1])
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    sizes = sizes_of(dataset, "val")
    sizes.popitem()
    with pytest.raises(DataError, match=rf"{label.name}:1: wrong number of columns \(5, expected 8 by kpt_shape"):
        ground_truth_from_yolo(dataset, "val", sizes)


def test_objects_with_polygons_have_the_size_of_these_in_both_formats(two_images, tmp_path):
    """AP of small, medium and large objects is that of the COCO file that yolo2coco makes of them."""
    for label in (two_images.parent / "labels").iterdir():
        label.write_text("0 0.1 0.1 0.5 0.1 0.1 0.7\n1 0.2 0.2 0.6 0.2 0.6 0.4 0.2 0.4\n")
    dataset = read_data_yaml(two_images)
    write_coco_files(dataset, tmp_path / "coco")
    labels = ground_truth_from_yolo(dataset, "val", sizes_of(dataset, "val"))
    coco = ground_truth_from_coco(read_coco(tmp_path / "coco" / "instances_val.json"))
    np.testing.assert_allclose(labels.areas, coco.areas, atol=1e-3)
    assert labels.areas[0] == pytest.approx(labels.boxes_xywh[0, 2:].prod() / 2)
