"""COCO's reference implementation, random datasets to try it on, and plain readings of real ones."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolo_focal.evaluation.boxes import Category, Detections, GroundTruth
from yolo_focal.evaluation.results_file import results_of


@dataclass
class Reference:
    """What pycocotools says: the 12 stats, precision [T, R, K, A, M] and recall [T, K, A, M]."""

    stats: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    def average_precision(self, area: int) -> np.ndarray:
        """[T, K] at 100 detections, NaN for classes without objects."""
        precision = self.precision[:, :, :, area, -1]
        return np.where(precision[:, 0] < 0, np.nan, precision.mean(1))


def run_pycocotools(document: dict, results: list[dict]) -> Reference:
    """Evaluate COCO results against a COCO document with pycocotools alone."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = document
        truth.createIndex()
        found = truth.loadRes([dict(result) for result in results])
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return Reference(evaluation.stats, evaluation.eval["precision"], evaluation.eval["recall"])


def reference_of(truth: GroundTruth, detections: Detections) -> Reference:
    """What the reference says about the same arrays."""
    return run_pycocotools(document_of(truth), results_of(detections, truth))


def document_of(truth: GroundTruth) -> dict:
    """A COCO document with the objects of `truth`, annotation ids from 1 in row order."""
    columns = (truth.image, truth.category, truth.boxes_xywh, truth.areas, truth.crowd)
    return {
        "images": [
            {"id": number, "file_name": file, "width": 640, "height": 480}
            for number, file in zip(truth.image_ids, truth.image_files, strict=True)
        ],
        "categories": [{"id": category.id, "name": category.name} for category in truth.categories],
        "annotations": [
            {
                "id": number,
                "image_id": truth.image_ids[image],
                "category_id": truth.categories[category].id,
                "bbox": box,
                "area": area,
                "iscrowd": int(crowd),
            }
            for number, (image, category, box, area, crowd) in enumerate(
                zip(*(column.tolist() for column in columns), strict=True), 1
            )
        ],
    }


def random_case(
    seed: int, images: int = 12, classes: int = 3, objects: int = 60, detections: int = 400, coarse: bool = False
) -> tuple[GroundTruth, Detections]:
    """Objects and detections, half of them near an object; `coarse` makes equal scores and equal IoUs common."""
    rng = np.random.default_rng(seed)
    grid = (0, 1) if coarse else (2, 6)  # decimals of boxes and scores

    def boxes(count: int) -> np.ndarray:
        size = np.exp(rng.uniform(np.log(6), np.log(250), (count, 2)))
        return np.c_[rng.uniform(0, 500, (count, 2)), size].round(grid[0])

    truth_boxes = boxes(objects)
    truth = GroundTruth(
        image_ids=tuple(range(3, 3 + 2 * images, 2)),
        image_files=tuple(f"{index:04d}.jpg" for index in range(images)),
        categories=tuple(Category(10 + 7 * index, f"class {index}") for index in range(classes)),
        image=rng.integers(0, images, objects),
        category=rng.integers(0, classes, objects),
        boxes_xywh=truth_boxes,
        areas=truth_boxes[:, 2] * truth_boxes[:, 3] * rng.uniform(0.5, 1, objects),
        crowd=rng.random(objects) < 0.1,
    )
    near = rng.integers(0, max(objects, 1), detections // 2 if objects else 0)
    rest = detections - len(near)
    jittered = np.abs(truth_boxes[near] * (1 + rng.normal(0, 0.07, (len(near), 4)))).round(grid[0])
    found = Detections(
        image=np.r_[truth.image[near], rng.integers(0, images, rest)],
        category=np.r_[truth.category[near], rng.integers(0, classes, rest)],
        boxes_xywh=np.r_[jittered, boxes(rest)],
        scores=rng.random(detections).round(grid[1]),
    )
    return truth, shuffled(found, rng)


def shuffled(found: Detections, rng: np.random.Generator) -> Detections:
    """The same detections in another order."""
    order = rng.permutation(len(found.scores))
    return Detections(found.image[order], found.category[order], found.boxes_xywh[order], found.scores[order])


def as_detections(truth: GroundTruth, seed: int | None = None) -> Detections:
    """The objects themselves as detections; with a seed jittered, thinned and scored at random."""
    boxes, scores = truth.boxes_xywh, np.ones(len(truth.image))
    keep = np.ones(len(truth.image), dtype=bool)
    if seed is not None:
        rng = np.random.default_rng(seed)
        boxes = np.abs(boxes * (1 + rng.normal(0, 0.06, boxes.shape)))
        scores, keep = rng.random(len(scores)), rng.random(len(scores)) < 0.8
    return Detections(truth.image[keep], truth.category[keep], boxes[keep], scores[keep])


def read_yolo_plainly(images: Path, names: int) -> dict:
    """A COCO document of a folder of images with YOLO labels, image ids from 1 by name, category id = class number."""
    document: dict = {"images": [], "annotations": [], "categories": [{"id": c, "name": str(c)} for c in range(names)]}
    for number, file in enumerate(sorted(images.iterdir()), 1):
        with Image.open(file) as image:
            width, height = image.size
        document["images"].append({"id": number, "file_name": file.name, "width": width, "height": height})
        labels = images.parents[1] / "labels" / images.name / f"{file.stem}.txt"
        for line in labels.read_text().splitlines() if labels.exists() else []:
            category, x, y, w, h = (float(word) for word in line.split())
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": number,
                    "category_id": int(category),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    return document
