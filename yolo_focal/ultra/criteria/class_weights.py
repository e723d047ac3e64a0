"""`fl_class_weights`: weights of the classes in the place where Ultralytics keeps those of `cls_pw`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from yolo_focal.arguments.focal import read_config
from yolo_focal.losses import object_normalised_weights
from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.seam import seam, takes
from yolo_focal.ultra.logger import LOGGER, is_main_process

__all__ = ["SEAMS"]


@seam(
    "DetectionTrainer.set_class_weights",
    "takes (self), after the train loader is made and before the EMA is copied, and sets model.class_weights",
    takes("self", uses=("class_weights",)),
)
def _set_class_weights(original: Callable[[Any], None], self: Any) -> None:
    original(self)
    config = read_config(vars(self.args))
    if config is None or not config.class_weights:
        return
    labels = self.train_loader.dataset.labels
    classes = np.concatenate([label["cls"].reshape(-1) for label in labels]).astype(int)
    counts = torch.from_numpy(np.bincount(classes, minlength=self.data["nc"]))
    if not counts.any():
        return  # background alone: no class is rarer than another
    model = host.unwrap_model(self.model)
    model = getattr(model, "student_model", model)  # distillation: the student builds the criterion
    model.class_weights = object_normalised_weights(counts, config.class_weights).to(self.device)
    if is_main_process():
        named = zip(
            (self.data["names"][index] for index in range(len(counts))), model.class_weights.tolist(), strict=True
        )
        shown = ", ".join(f"{name} {weight:.2f}" for name, weight in list(named)[:20])
        LOGGER.info(f"focal: fl_class_weights={config.class_weights:g} -> {shown}")


SEAMS = (_set_class_weights,)
