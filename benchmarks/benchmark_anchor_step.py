"""Time one training step of the anchor detector against one of stock yolov5n, interleaved in one process.

python benchmarks/benchmark_anchor_step.py batch=8 imgsz=320 rounds=15
"""

import statistics
import sys
import time
from typing import Any

import torch

import yolo_focal
from yolo_focal.arguments.key import Key, in_range
from yolo_focal.commands.exit_codes import run_script

MODELS = ("yolov5n.yaml", "yolov5n-anchor.yaml")
ARGUMENTS = (
    Key("batch", 8, "images", in_range(int, 1)),
    Key("imgsz", 320, "size in pixels", in_range(int, 32)),
    Key("objects", 12, "objects per image", in_range(int, 0)),
    Key("rounds", 15, "timed steps of each model", in_range(int, 1)),
)


def random_batch(images: int, imgsz: int, objects: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    number_of_boxes = images * objects
    return {
        "img": torch.rand(images, 3, imgsz, imgsz, generator=generator),
        "batch_idx": torch.arange(images).repeat_interleave(objects).float(),
        "cls": torch.randint(0, 80, (number_of_boxes, 1), generator=generator).float(),
        "bboxes": 0.1 + 0.3 * torch.rand(number_of_boxes, 4, generator=generator),
    }


def build(name: str, imgsz: int) -> Any:
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel(name, verbose=False)
    model.args = get_cfg(overrides={"mode": "train", "model": name, "imgsz": imgsz})
    return model.train()


def step_seconds(model: Any, batch: dict[str, torch.Tensor]) -> float:
    started = time.perf_counter()
    model.loss(batch)[0].sum().backward()
    seconds = time.perf_counter() - started
    model.zero_grad()
    return seconds


def main(arguments: dict[str, Any]) -> int:
    yolo_focal.enable()
    models = {name: build(name, arguments["imgsz"]) for name in MODELS}
    batch = random_batch(arguments["batch"], arguments["imgsz"], arguments["objects"])
    seconds: dict[str, list[float]] = {name: [] for name in MODELS}
    for turn in range(arguments["rounds"] + 2):
        for name, model in models.items():
            taken = step_seconds(model, batch)
            if turn >= 2:  # the first two warm up
                seconds[name].append(taken)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:<22} {median * 1e3:8.1f} ms")
    print(f"ratio {medians[MODELS[1]] / medians[MODELS[0]]:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
