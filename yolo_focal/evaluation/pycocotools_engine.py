"""COCO's twelve numbers by its reference implementation, pycocotools: to check this package's own against."""

import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolo_focal.evaluation.boxes import Detections, GroundTruth
from yolo_focal.evaluation.coco_eval import STATS
from yolo_focal.evaluation.results_file import results_of

__all__ = ["stats_by_pycocotools"]


def stats_by_pycocotools(ground_truth: GroundTruth, detections: Detections) -> dict[str, float]:
    """AP, AR and the rest by name, each in [0, 1], or -1 where nothing can be measured.

    Args:
        ground_truth: the objects of the evaluated images.
        detections: scored boxes on the same images and classes.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = _coco([{"id": image} for image in ground_truth.image_ids], ground_truth, _objects(ground_truth))
        found = _coco(truth.dataset["images"], ground_truth, _found(ground_truth, detections))
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: float(value) for name, value in zip(STATS, evaluation.stats, strict=True)}


def _coco(images: list[dict[str, int]], ground_truth: GroundTruth, annotations: list[dict[str, object]]) -> COCO:
    coco = COCO()
    categories = [{"id": category.id, "name": category.name} for category in ground_truth.categories]
    coco.dataset = {"images": images, "categories": categories, "annotations": annotations}
    coco.createIndex()
    return coco


def _objects(truth: GroundTruth) -> list[dict[str, object]]:
    columns = (truth.image, truth.category, truth.boxes_xywh, truth.areas, truth.crowd)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        {
            "id": number,
            "image_id": truth.image_ids[image],
            "category_id": truth.categories[category].id,
            "bbox": box,
            "area": area,
            "iscrowd": int(crowd),
        }
        for number, (image, category, box, area, crowd) in enumerate(rows, 1)
    ]


def _found(truth: GroundTruth, detections: Detections) -> list[dict[str, object]]:
    return [
        {**record, "id": number, "area": record["bbox"][2] * record["bbox"][3], "iscrowd": 0}
        for number, record in enumerate(results_of(detections, truth), 1)
    ]
