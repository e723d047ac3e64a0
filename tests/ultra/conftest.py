"""Enabled plugin, small models and batches for the tests of the adapter."""

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
