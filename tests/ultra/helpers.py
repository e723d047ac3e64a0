"""Small models, batches and trainings for the tests of what knows Ultralytics."""

import torch


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


def chatty(architecture: str):
    """An untrained model of three classes whose scores vary around 0.1, so that it finds something everywhere."""
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = YOLO(architecture)
    model.model = DetectionModel(architecture, nc=3, verbose=False)
    head = model.model.model[-1]
    with torch.no_grad():
        for branch in [*head.cv3, *getattr(head, "one2one_cv3", [])]:
            branch[-1].weight.mul_(40)
            branch[-1].bias[:] = -2.0
    return model


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


QUICK = {"imgsz": 64, "batch": 4, "epochs": 1, "plots": False, "amp": False, "pretrained": False, "verbose": False}


def train_quickly(data, folder, model="yolo11n.yaml", callbacks=None, **changes):
    """Train a small model for a moment and return its trainer."""
    from ultralytics import YOLO

    yolo = YOLO(str(model))
    for event, callback in (callbacks or {}).items():
        yolo.add_callback(event, callback)
    yolo.train(**{**QUICK, "data": str(data), "project": str(folder), "name": "run", "exist_ok": True, **changes})
    return yolo.trainer


def losses_of(run):
    """The training losses in the results.csv of a run, epoch by epoch."""
    header, *rows = (run / "results.csv").read_text().splitlines()
    columns = [i for i, name in enumerate(header.split(",")) if "train/" in name]
    return [row.split(",")[i] for row in rows for i in columns]


class Interrupted(Exception):
    """The test stops a training with it."""


def interrupt_after(epoch):
    """A callback that stops the training when the checkpoint of this epoch is written."""

    def stop(trainer):
        if trainer.epoch == epoch:
            raise Interrupted

    return stop
