"""The built-in set `shapes`."""

import hashlib
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO

from yolo_focal.data.drawing import draw_image
from yolo_focal.data.shapes import SHAPE_NAMES, draw_shapes, ensure_shapes
from yolo_focal.errors import DataError


def folder_digest(folder: Path) -> str:
    """One hash over the names and bytes of every file below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_shapes(tmp_path_factory.mktemp("shapes") / "set", seed=3, train_images=60, val_images=30)


def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(tmp_path: Path, small_set: Path) -> None:
    """The whole set is a function of its seed."""
    again = draw_shapes(tmp_path / "again", seed=3, train_images=60, val_images=30)
    other = draw_shapes(tmp_path / "other", seed=4, train_images=60, val_images=30)
    assert folder_digest(again.parent) == folder_digest(small_set.parent) != folder_digest(other.parent)


def test_training_instances_follow_zipf_over_at_least_fifty_to_one(small_set: Path) -> None:
    """The most frequent class has at least fifty times the instances of the rarest, every one written as a label."""
    labels = small_set.parent / "labels" / "train"
    counts = Counter(int(row.split()[0]) for path in labels.iterdir() for row in path.read_text().splitlines())
    ordered = [counts[index] for index in range(len(SHAPE_NAMES))]
    assert ordered == sorted(ordered, reverse=True)
    assert ordered[0] >= 50 * ordered[-1] > 0
    exponent = np.log(50) / np.log(len(SHAPE_NAMES))
    expected = [ordered[0] * rank**-exponent for rank in range(1, len(SHAPE_NAMES) + 1)]
    assert np.allclose(ordered, expected, atol=1.0)


def test_validation_of_the_full_set_has_enough_of_every_class(tmp_path: Path) -> None:
    """At the default size every class has at least 15 validation instances, so its AP can be measured."""
    data_yaml = draw_shapes(tmp_path / "set", train_images=1)
    annotations = COCO(data_yaml.parent / "annotations" / "instances_val.json").anns.values()
    counts = Counter(annotation["category_id"] for annotation in annotations)
    assert len(counts) == len(SHAPE_NAMES)
    assert min(counts.values()) >= 15


@pytest.mark.parametrize("split", ["train", "val"])
def test_yolo_labels_and_coco_json_are_the_same_boxes(small_set: Path, split: str) -> None:
    """Both formats agree to a hundredth of a pixel, and every image exists in the stated size."""
    root = small_set.parent
    coco = COCO(root / "annotations" / f"instances_{split}.json")
    names = yaml.safe_load(small_set.read_text())["names"]
    assert {category["id"] - 1: category["name"] for category in coco.cats.values()} == names
    empty = 0
    for image in coco.imgs.values():
        pixels = cv2.imread(str(root / "images" / split / image["file_name"]))
        assert pixels.shape == (image["height"], image["width"], 3)
        from_json = sorted((a["category_id"] - 1, *a["bbox"]) for a in coco.imgToAnns[image["id"]])
        label = root / "labels" / split / Path(image["file_name"]).with_suffix(".txt")
        rows = np.array([row.split() for row in label.read_text().splitlines()] if label.exists() else [], float)
        empty += not len(rows)
        rows = rows.reshape(-1, 5)
        corners = rows[:, 1:3] - rows[:, 3:] / 2
        sides = np.round(np.concatenate([corners, rows[:, 3:]], 1) * image["width"], 2)
        from_labels = sorted((int(kind), *box) for kind, box in zip(rows[:, 0], sides, strict=True))
        assert np.allclose(from_json, from_labels, atol=0.01)
    assert empty == round(0.1 * len(coco.imgs))


def test_no_object_is_hidden_and_boxes_are_of_visible_pixels() -> None:
    """In the most crowded image every object keeps a visible box inside the image, with no more pixels than the box."""
    drawn = draw_image(list(range(10)) * 2, np.random.default_rng(0))
    size = drawn.pixels.shape[0]
    for (x, y, width, height), area in zip(drawn.boxes_xywh, drawn.visible_areas, strict=True):
        assert 0 <= x < x + width <= size
        assert 0 <= y < y + height <= size
        assert 0 < area <= width * height


def test_the_data_yaml_has_no_absolute_path(small_set: Path) -> None:
    """The set works after a move, since its YAML has no root but its own folder."""
    content = yaml.safe_load(small_set.read_text())
    assert set(content) == {"train", "val", "names"}
    assert str(small_set.parent) not in small_set.read_text()
    assert json.dumps(content).count("/") == 2


def test_a_set_is_drawn_once_even_when_processes_race(tmp_path: Path) -> None:
    """Two processes that start together both get the one finished set, and a third call leaves it untouched."""
    with ProcessPoolExecutor(2) as pool:
        first, second = pool.map(ensure_quietly, [tmp_path, tmp_path])
    assert first == second
    assert first.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [first.parent.name]
    before = first.stat().st_mtime_ns
    assert ensure_quietly(tmp_path) == first
    assert first.stat().st_mtime_ns == before


def ensure_quietly(datasets_dir: Path) -> Path:
    return ensure_shapes(datasets_dir)


def test_an_occupied_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A folder with the user's files is neither overwritten nor mixed with the set."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty; name a new one or remove it"):
        draw_shapes(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
