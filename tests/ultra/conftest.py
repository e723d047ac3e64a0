"""Enabled plugin, small models and batches for the tests of the adapter."""

import cv2
import numpy as np
import pytest
import torch

import yolo_focal


@pytest.fixture
def enabled():
    """The plugin is on during the test and off after it."""
    yolo_focal.enable()
    yield
    yolo_focal.disable()


def arguments(**changes):
    """The complete training arguments of a call, as a trainer would hand them to its model."""
    from ultralytics.cfg import get_cfg

    return get_cfg(overrides={"mode": "train", "model": "m.yaml", **changes})


def build(yaml, nc=3, seed=0, **changes):
    """A model from an architecture YAML, with seeded weights and the training arguments `changes`."""
    from ultralytics.nn import tasks

    suffixes = {"-seg": tasks.SegmentationModel, "-pose": tasks.PoseModel, "-obb": tasks.OBBModel}
    kind = next((kind for suffix, kind in suffixes.items() if suffix in yaml), tasks.DetectionModel)
    torch.manual_seed(seed)
    model = kind(yaml, nc=nc, verbose=False)
    model.args = arguments(**changes)
    return model.train()


def batch_of(images=2, objects=4, nc=3, size=64, task="detect", seed=0):
    """Random images with random boxes (and masks, keypoints or angles, as the task needs)."""
    generator = torch.Generator().manual_seed(seed)
    n = images * objects

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    batch = {
        "img": uniform(images, 3, size, size),
        "batch_idx": torch.arange(images).repeat_interleave(objects).float(),
        "cls": torch.randint(0, nc, (n, 1), generator=generator).float(),
        "bboxes": torch.cat([0.2 + 0.6 * uniform(n, 2), 0.2 + 0.3 * uniform(n, 2)], 1),
        "im_file": ["a.jpg"] * images,
    }
    if task == "segment":
        masks = torch.zeros(images, size // 4, size // 4)
        masks[:, 2:8, 2:8] = 1
        batch |= {"masks": masks, "sem_masks": torch.zeros(images, size // 4, size // 4)}
    if task == "pose":
        batch["keypoints"] = torch.cat([uniform(n, 17, 2), torch.ones(n, 17, 1)], 2)
    if task == "obb":
        batch["bboxes"] = torch.cat([batch["bboxes"], uniform(n, 1)], 1)
    return batch


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """The data YAML of eight images of 64 pixels, each with a light and a dark square, in two classes."""
    return write_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="session")
def objectless_data(tmp_path_factory):
    """The same images without a single label."""
    return write_squares(tmp_path_factory.mktemp("background"), labelled=False)


def write_squares(root, images=8, labelled=True):
    """Write the dataset into `root` and return its data YAML."""
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for index in range(images):
            image = generator.integers(100, 140, (64, 64, 3), dtype=np.uint8)
            lines = []
            for category, grey in enumerate((230, 20)):
                x, y = generator.integers(0, 40, 2)
                image[y : y + 24, x : x + 24] = grey
                lines.append(f"{category} {(x + 12) / 64} {(y + 12) / 64} {24 / 64} {24 / 64}")
            cv2.imwrite(str(root / "images" / split / f"{index}.png"), image)
            label = root / "labels" / split / f"{index}.txt"
            label.write_text("\n".join(lines) if labelled else "", encoding="utf-8")
    yaml = root / "squares.yaml"
    yaml.write_text(f"path: {root}\ntrain: images/train\nval: images/val\nnames: [light, dark]\n", encoding="utf-8")
    return yaml


QUICK = {"imgsz": 64, "batch": 4, "epochs": 1, "plots": False, "amp": False, "pretrained": False, "verbose": False}


def train_quickly(data, folder, model="yolo11n.yaml", callbacks=None, **changes):
    """Train a small model for a moment and return its trainer."""
    from ultralytics import YOLO

    yolo = YOLO(str(model))
    for event, callback in (callbacks or {}).items():
        yolo.add_callback(event, callback)
    yolo.train(**{**QUICK, "data": str(data), "project": str(folder), "name": "run", "exist_ok": True, **changes})
    return yolo.trainer
