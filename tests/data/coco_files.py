"""Small COCO-format datasets with real image files, written for a test."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from yolo_focal.data.subset import CocoSource


def write_coco(
    folder: Path,
    images: dict[int, tuple[int, int]],
    annotations: list[dict[str, Any]],
    categories: dict[int, str],
    **extra: Any,
) -> CocoSource:
    """Write grey images of the given (width, height) and the annotation file; ids of annotations count up from 1."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    records = []
    for number, (width, height) in images.items():
        name = f"{number:04d}.png"
        cv2.imwrite(str(folder / "images" / name), np.full((height, width, 3), number % 256, np.uint8))
        records.append({"id": number, "file_name": name, "width": width, "height": height})
    content = {
        "images": records,
        "annotations": [{"id": number, "iscrowd": 0, **record} for number, record in enumerate(annotations, 1)],
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
        **extra,
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return CocoSource(folder / "instances.json", folder / "images")


def one_image(folder: Path, boxes: list[list[float]]) -> CocoSource:
    """One 100 x 80 image with boxes of a single category."""
    annotations = [{"image_id": 1, "category_id": 7, "bbox": box, "area": 1.0} for box in boxes]
    return write_coco(folder, {1: (100, 80)}, annotations, {7: "thing"})
