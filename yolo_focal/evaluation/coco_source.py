"""Ground truth from a COCO annotation file, and its images as a dataset that Ultralytics validates on."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from yolo_focal.data.coco import CocoDataset, class_boxes
from yolo_focal.data.images import place_image, refuse_unreadable_names, refuse_wrong_size
from yolo_focal.data.layout import refuse_clashes, write_labels
from yolo_focal.data.usable import lacking_end_marker
from yolo_focal.data.yolo import label_file
from yolo_focal.errors import DataError
from yolo_focal.evaluation.boxes import Category, GroundTruth
from yolo_focal.numbers import is_number
from yolo_focal.paths import is_file

__all__ = ["ground_truth_from_coco", "write_yolo_view"]


def ground_truth_from_coco(dataset: CocoDataset) -> GroundTruth:
    """The objects of an annotation file, crowds and boxes without area included, as COCO's reference counts them.

    Raises:
        DataError: an `area` that is no number.
    """
    image_ids = tuple(sorted(dataset.images))
    place = {category: index for index, category in enumerate(dataset.categories)}
    rows = [
        (index, annotation)
        for index, image_id in enumerate(image_ids)
        for annotation in dataset.annotations.get(image_id, [])
    ]
    boxes = np.array([annotation["bbox"] for _, annotation in rows], dtype=np.float64).reshape(-1, 4)
    return GroundTruth(
        image_ids=image_ids,
        image_files=tuple(dataset.images[image_id]["file_name"] for image_id in image_ids),
        categories=tuple(Category(number, name) for number, name in dataset.categories.items()),
        image=np.array([index for index, _ in rows], dtype=np.int64),
        category=np.array([place[annotation["category_id"]] for _, annotation in rows], dtype=np.int64),
        boxes_xywh=boxes,
        areas=np.array([_area(dataset.source, annotation) for _, annotation in rows], dtype=np.float64),
        crowd=np.array([bool(annotation.get("iscrowd")) for _, annotation in rows], dtype=bool),
    )


def write_yolo_view(dataset: CocoDataset, images: Path, folder: Path) -> Path:
    """Lay out an annotation file's images (as links) and objects in `folder` as a YOLO dataset; return its data YAML.

    Args:
        dataset: the annotations.
        images: the folder that their `file_name`s are relative to.
        folder: an empty folder.

    The images are only read: every file written is a new one in `folder`.

    Raises:
        DataError: an image that does not exist, is none by its name or has another size than stated, or images that
            cannot share a YOLO dataset.
    """
    names = {image_id: record["file_name"] for image_id, record in dataset.images.items()}
    refuse_unreadable_names(names, dataset.source)
    refuse_clashes((record["file_name"] for record in dataset.images.values()), dataset.source)
    missing = [record for record in dataset.images.values() if not is_file(images / record["file_name"])]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(dataset.images)} images of {dataset.source} are not in {images}, the first is "
            f"{missing[0]['file_name']}; give their folder with images="
        )
    for image_id, record in dataset.images.items():
        stated = record["width"], record["height"]
        refuse_wrong_size(images / record["file_name"], stated, f"images id {image_id} of {dataset.source}")
    place = {category: index for index, category in enumerate(dataset.categories)}
    for image_id, record in dataset.images.items():
        link = folder / "images" / record["file_name"]
        _link(images / record["file_name"], link)
        write_labels(label_file(link), class_boxes(dataset, image_id, place), record["width"], record["height"])
    content = {
        "path": str(folder),
        "train": "images",
        "val": "images",
        "names": dict(enumerate(dataset.categories.values())),
    }
    data_yaml = folder / "data.yaml"
    data_yaml.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return data_yaml


def _area(source: Path, annotation: dict[str, Any]) -> float:
    area = annotation.get("area")
    if area is None:
        return float(annotation["bbox"][2] * annotation["bbox"][3])
    if not is_number(area) or area < 0:
        raise DataError(
            f"{source}: annotations id {annotation['id']}: area must be a finite number >= 0, got {repr(area)[:40]}"
        )
    return float(area)


def _link(source: Path, link: Path) -> None:
    if lacking_end_marker([source]):  # Ultralytics would write it anew through the link
        place_image(source, link, "copy")
        return
    try:
        place_image(source, link, "symlink")
    except DataError:  # Windows without the right to make links
        place_image(source, link, "copy")
