"""Time and memory of the COCO evaluation beside those of others, on synthetic detections; numbers must agree.

Usage: python benchmarks/benchmark_evaluation.py [IMAGES [DETECTIONS_PER_IMAGE [CLASSES]]]     (default 5000 100 80)
       python benchmarks/benchmark_evaluation.py resamples (time of a bootstrap over images, ours alone)

The others are pycocotools, the reference, and faster-coco-eval where it is installed: pip install faster-coco-eval.
Each side runs in a process of its own, so that the peak memory printed is its alone, its input included: arrays here,
dictionaries there. Timed is the evaluation only, not the building of that input.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from yolo_focal.evaluation.boxes import Category, Detections, Floats, GroundTruth
from yolo_focal.evaluation.coco_eval import STATS, PrecisionSchedule
from yolo_focal.evaluation.evaluation import evaluate_detections
from yolo_focal.evaluation.matching import match_detections

OBJECTS_PER_IMAGE = 7  # as in COCO


def synthetic(images: int, per_image: int, classes: int) -> tuple[GroundTruth, Detections]:
    """Objects of COCO's density, and detections of which a third lie near an object."""
    rng = np.random.default_rng(0)
    objects, found = images * OBJECTS_PER_IMAGE, images * per_image

    def boxes(count: int) -> Floats:
        return np.concatenate([rng.uniform(0, 560, (count, 2)), np.exp(rng.uniform(2, 5.5, (count, 2)))], axis=1)

    truth_boxes = boxes(objects)
    truth = GroundTruth(
        image_ids=tuple(range(1, images + 1)),
        image_files=tuple(f"{number}.jpg" for number in range(1, images + 1)),
        categories=tuple(Category(number, str(number)) for number in range(1, classes + 1)),
        image=np.repeat(np.arange(images), OBJECTS_PER_IMAGE),
        category=rng.integers(0, classes, objects),
        boxes_xywh=truth_boxes,
        areas=truth_boxes[:, 2] * truth_boxes[:, 3],
        crowd=rng.random(objects) < 0.01,
    )
    near = rng.random(found) < 1 / 3
    image = np.repeat(np.arange(images), per_image)
    target = image * OBJECTS_PER_IMAGE + rng.integers(0, OBJECTS_PER_IMAGE, found)
    jittered = np.abs(truth_boxes[target] * (1 + rng.normal(0, 0.06, (found, 4))))
    return truth, Detections(
        image=image,
        category=np.where(near, truth.category[target], rng.integers(0, classes, found)),
        boxes_xywh=np.where(near[:, None], jittered, boxes(found)),
        scores=rng.random(found),
    )


def run_ours(truth: GroundTruth, detections: Detections) -> dict[str, float]:
    """Seconds, peak memory in GiB and the twelve numbers of this package."""
    started = time.perf_counter()
    evaluation = evaluate_detections(truth, detections)
    return measured(time.perf_counter() - started) | evaluation.stats


def run_pycocotools(truth: GroundTruth, detections: Detections) -> dict[str, float]:
    """The same of pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return run_coco_api(COCO, COCOeval, truth, detections)


def run_faster_coco_eval(truth: GroundTruth, detections: Detections) -> dict[str, float]:
    """The same of faster-coco-eval."""
    peer = importlib.import_module("faster_coco_eval")
    return run_coco_api(peer.COCO, peer.COCOeval_faster, truth, detections)


def run_coco_api(
    coco: Callable[..., Any], evaluator: Callable[..., Any], truth: GroundTruth, detections: Detections
) -> dict[str, float]:
    """Evaluate, accumulate and summarize with classes that have the interface of pycocotools."""
    columns = (truth.image + 1, truth.category + 1, truth.boxes_xywh, truth.areas, truth.crowd)
    keys = ("image_id", "category_id", "bbox", "area", "iscrowd")
    annotations = [
        {"id": number, **dict(zip(keys, row, strict=True))}
        for number, row in enumerate(zip(*(column.tolist() for column in columns), strict=True), 1)
    ]
    found = (detections.image + 1, detections.category + 1, detections.boxes_xywh, detections.scores)
    found_keys = ("image_id", "category_id", "bbox", "score")
    results = [
        dict(zip(found_keys, row, strict=True)) for row in zip(*(column.tolist() for column in found), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        reference = coco()
        reference.dataset = {
            "images": [{"id": number} for number in truth.image_ids],
            "categories": [{"id": category.id, "name": category.name} for category in truth.categories],
            "annotations": annotations,
        }
        reference.createIndex()
        evaluation = evaluator(reference, reference.loadRes(results), "bbox")
        started = time.perf_counter()
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        seconds = time.perf_counter() - started
    return measured(seconds) | dict(zip(STATS, list(map(float, evaluation.stats[: len(STATS)])), strict=True))


def time_resamples(images: int = 500, per_image: int = 100, classes: int = 10, resamples: int = 1000) -> float:
    """Seconds for AP of every class and IoU threshold on so many resamples of the images."""
    rng = np.random.default_rng(0)
    schedule = PrecisionSchedule(match_detections(*synthetic(images, per_image, classes))["all"])
    started = time.perf_counter()
    for _ in range(resamples):
        schedule.average_precision(np.bincount(rng.integers(0, images, images), minlength=images))
    return time.perf_counter() - started


def measured(seconds: float) -> dict[str, float]:
    """What this process has cost so far."""
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "gibibytes": kibibytes / 2**20}


def main() -> None:
    """Run what the words ask for, each side in a child, and print the times."""
    words = sys.argv[1:]
    if words and words[0] in SIDES:
        print(json.dumps(SIDES[words[0]](*synthetic(*map(int, words[1:])))))
        return
    if words == ["resamples"]:
        print(f"1,000 resamples over 500 images x 100 detections x 10 classes: {time_resamples():.1f} s")
        return
    size = [*words, *("5000", "100", "80")[len(words) :]]
    print(f"{size[0]} images x {size[1]} detections x {size[2]} classes")
    outputs = {}
    for side, package in PACKAGES.items():
        if importlib.util.find_spec(package) is None:
            print(f"{side:<16} is not installed")
            continue
        command = [sys.executable, __file__, side, *size]
        outputs[side] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{side:<16} {outputs[side]['seconds']:8.2f} s   peak {outputs[side]['gibibytes']:.2f} GiB")
    ours = outputs.pop("yolo_focal")
    for side, theirs in outputs.items():
        apart = max(abs(ours[name] - theirs[name]) for name in STATS)
        print(
            f"{side} takes {theirs['seconds'] / ours['seconds']:.1f} times as long; largest difference of the twelve "
            f"numbers: {apart:.1e}"
        )


SIDES = {"yolo_focal": run_ours, "pycocotools": run_pycocotools, "faster-coco-eval": run_faster_coco_eval}
PACKAGES = {side: side.replace("-", "_") for side in SIDES}

if __name__ == "__main__":
    main()
