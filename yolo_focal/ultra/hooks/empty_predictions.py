"""A prediction that finds nothing in any image says what to do about it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from yolo_focal.arguments.focal import read_config
from yolo_focal.ultra import host
from yolo_focal.ultra.datasets import BOX_TASKS
from yolo_focal.ultra.hooks.seam import seam, takes
from yolo_focal.ultra.logger import LOGGER

__all__ = ["SEAMS"]

_LEAST_IMAGES = 3  # one or two images may well be empty

_found: "WeakKeyDictionary[Any, int]" = WeakKeyDictionary()  # detections of the running prediction, by predictor


@seam(
    "BasePredictor.run_callbacks",
    "takes (event): on_predict_start, on_predict_postprocess_end with self.results of a batch, and "
    "on_predict_end with the number of images in self.seen",
    lambda function: (
        takes("self", "event")(function)
        and {"on_predict_start", "on_predict_postprocess_end", "on_predict_end"}
        <= set(inspect.unwrap(host.BasePredictor.stream_inference).__code__.co_consts)
    ),
)
def _run_callbacks(original: Callable[[Any, str], None], self: Any, event: str) -> None:
    if event == "on_predict_start":
        _found[self] = 0
    elif event == "on_predict_postprocess_end" and self in _found:
        _found[self] += sum(len(result) for result in self.results)
    elif event == "on_predict_end" and _found.pop(self, 1) == 0:
        _hint(self)
    original(self, event)


def _hint(predictor: Any) -> None:
    arguments = predictor.args
    if predictor.seen < _LEAST_IMAGES or arguments.task not in BOX_TASKS or not arguments.verbose:
        return
    hint = f"no detections in {predictor.seen} images at conf={arguments.conf:g}: give a lower conf="
    if _is_focal(predictor.model):
        hint += (
            "; a focal loss can leave low scores, which 'yolo-focal calibrate model=CHECKPOINT data=DATA' refits so "
            "that the usual conf= suits them"
        )
    LOGGER.info(hint)


def _is_focal(backend: Any) -> bool:
    """Whether the model that predicts was trained with a focal loss; an exported one does not say."""
    arguments = getattr(getattr(backend, "model", None), "args", {})
    return read_config(arguments if isinstance(arguments, Mapping) else vars(arguments)) is not None


SEAMS = (_run_callbacks,)
