"""YOLO datasets to COCO annotation files, for pycocotools and everything else that reads COCO."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from yolo_focal.data.images import image_size
from yolo_focal.data.labels import LabelProblem, Labels
from yolo_focal.data.progress_bar import progress_bar
from yolo_focal.data.usable import repeated_images
from yolo_focal.data.yolo import YoloDataset
from yolo_focal.errors import DataError
from yolo_focal.files import check_new_folder, new_folder, write_json

__all__ = ["coco_content", "image_ids", "write_coco_files"]


def image_ids(images: Iterable[Path]) -> dict[Path, int]:
    """An id for every image: the number in its name where all names are different numbers, else 1, 2, 3, ... in order.

    The first is what Ultralytics writes into `predictions.json`, so its detections can be matched with this file.
    """
    listed = list(images)
    stems = [image.stem for image in listed]
    if all(stem.isascii() and stem.isdigit() for stem in stems) and len({int(stem) for stem in stems}) == len(stems):
        return {image: int(image.stem) for image in listed}
    return {image: number for number, image in enumerate(listed, 1)}


def coco_content(
    dataset: YoloDataset,
    images: list[Path],
    split: str,
    ids: dict[Path, int],
    *,
    first_annotation_id: int = 1,
) -> tuple[dict[str, Any], list[LabelProblem]]:
    """Images of a split as the content of a COCO annotation file, and every label problem met on the way.

    category_id = class + 1, as Ultralytics numbers custom classes in `predictions.json`; boxes in pixels, not clipped;
    a polygon becomes the segmentation, its box the bbox, and its area the area. Keypoints are not written. Unusable
    label lines are left out and listed among the problems.

    Raises:
        DataError: an image cannot be read.
    """
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    problems: list[LabelProblem] = []
    for image in progress_bar(images, f"converting {split}"):
        width, height = image_size(image)
        labels = dataset.labels(image)
        problems += labels.problems
        records.append({"id": ids[image], "file_name": image.name, "width": width, "height": height})
        annotations += [
            {"id": first_annotation_id + len(annotations) + position, "image_id": ids[image], **record}
            for position, record in enumerate(_annotations(labels, width, height))
        ]
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(dataset.names)]
    info = {"description": f"{dataset.yaml_file.name}, {split}, converted from YOLO labels"}
    return {"info": info, "images": records, "annotations": annotations, "categories": categories}, problems


def write_coco_files(dataset: YoloDataset, out: Path, exist_ok: bool = False) -> dict[str, Any]:
    """Write instances_SPLIT.json for every split into the folder `out`; returns counts and problems by split.

    Ids of images and annotations are unique over all splits. An image that a split lists twice is written once. Of each
    split, `left_out` has a line for everything in its folder or list that is not in the file, the split itself if only
    its folder is missing.

    Raises:
        DataError: an image cannot be read, two images of a split share a name, or `out` is occupied.
    """
    check_new_folder(out, exist_ok)
    splits, left_out = _present(dataset)
    for split, images in splits.items():
        _refuse_equal_names(dataset, split, images)
    ids = image_ids(dict.fromkeys(image for images in splits.values() for image in images))
    report: dict[str, Any] = {}
    first = 1
    with new_folder(out, exist_ok) as root:
        for split in splits:
            content, problems = coco_content(dataset, splits[split], split, ids, first_annotation_id=first)
            write_json(root / f"instances_{split}.json", content)
            first += len(content["annotations"])
            report[split] = {
                "images": len(content["images"]),
                "annotations": len(content["annotations"]),
                "problems": [str(problem) for problem in problems],
            }
    nothing = {"images": 0, "annotations": 0, "problems": []}
    return {split: {**report.get(split, nothing), "left_out": left_out.get(split, [])} for split in dataset.sources}


def _present(dataset: YoloDataset) -> tuple[dict[str, list[Path]], dict[str, list[str]]]:
    """The images of every split, each once, and what is left out of it.

    A `test:` whose folder is missing is left out as a whole: exports name it without having one, and no training needs
    it.
    """
    splits: dict[str, list[Path]] = {}
    left_out: dict[str, list[str]] = {}
    for split in dataset.sources:
        try:
            images = dataset.image_files(split)
        except DataError as error:
            if split != "test" or len(dataset.sources) == 1:
                raise
            left_out[split] = [str(error)]
            continue
        again = [f"{image}: listed more than once; written once" for image in repeated_images(images)]
        left_out[split] = again + dataset.passed_over(split)
        splits[split] = list({image.absolute(): image for image in images}.values())
    return splits, left_out


def _refuse_equal_names(dataset: YoloDataset, split: str, images: list[Path]) -> None:
    seen: dict[str, Path] = {}
    for image in images:
        if image.name in seen:
            raise DataError(
                f"{dataset.yaml_file}: {split} has {seen[image.name]} and {image}; COCO files tell images apart "
                "by name, so rename one of them"
            )
        seen[image.name] = image


def _annotations(labels: Labels, width: int, height: int) -> list[dict[str, Any]]:
    annotations = []
    for kind, box, area, polygon in zip(labels.classes, *labels.in_pixels(width, height), labels.polygons, strict=True):
        record = {
            "category_id": int(kind) + 1,
            "bbox": [round(float(value), 4) for value in box],
            "area": round(float(area), 4),
            "iscrowd": 0,
        }
        if polygon is not None and len(polygon) > 2:
            corners = polygon * (width, height)
            record["segmentation"] = [[round(float(value), 4) for value in corners.ravel()]]
        annotations.append(record)
    return annotations
