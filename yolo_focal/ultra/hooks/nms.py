"""No image lost in validation: NMS without a time limit, and the candidates that reach it counted.

Upstream's `non_max_suppression` gives up after 2 s + 0.05 s per image of a batch and leaves the remaining images
without detections; they then count as missed objects. Models trained with focal losses have low, flat scores, so that
at conf=0.001 thousands of candidates per image arrive and the limit is met in earnest.
"""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from yolo_focal.ultra.hooks.seam import seam
from yolo_focal.ultra.logger import LOGGER

__all__ = ["CandidateCount", "SEAMS", "TOO_MANY_CANDIDATES", "count_candidates", "watch_for_too_many_candidates"]

# Per image, averaged over a batch; a trained model has 100 to 1,000 at conf=0.001.
TOO_MANY_CANDIDATES = 3000
_READ = ("prediction", "conf_thres", "nc", "multi_label", "end2end")  # arguments of NMS


@dataclass
class CandidateCount:
    """How many (box, class) candidates reached NMS, image by image, in the order of validation."""

    per_image: list[int] = field(default_factory=list)


_counts: list[CandidateCount] = []
_too_many_reported = False


@contextlib.contextmanager
def count_candidates() -> Iterator[CandidateCount]:
    """Count the candidates of every NMS call inside the block; needs the plugin to be enabled."""
    count = CandidateCount()
    _counts.append(count)
    try:
        yield count
    finally:
        _counts.remove(count)


def watch_for_too_many_candidates() -> None:
    """Let too many candidates be reported again: called at the start of a training or a validation."""
    global _too_many_reported
    _too_many_reported = False


def candidates_per_image(prediction: Tensor, conf: float, nc: int, multi_label: bool) -> Tensor:
    """Number of (box, class) pairs above `conf` for each image.

    Args:
        prediction: (images, 4 + classes + extra, boxes), scores in [0, 1] from channel 4.
        conf: the threshold NMS applies.
        nc: number of classes; 0 takes all channels after the box.
        multi_label: whether a box may stay with several classes; otherwise only its best one counts.
    """
    scores = prediction[:, 4 : 4 + (nc or prediction.shape[1] - 4)]
    above = scores > conf if multi_label and scores.shape[1] > 1 else scores.amax(1, keepdim=True) > conf
    return above.sum((1, 2))


@seam(
    "nms.non_max_suppression",
    "takes prediction, conf_thres, nc, multi_label, end2end and max_time_img, and validators call it as "
    "nms.non_max_suppression",
    lambda function: {*_READ, "max_time_img"} <= inspect.signature(function).parameters.keys(),
)
def _non_max_suppression(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    call = inspect.signature(original).bind(*args, **kwargs)
    call.apply_defaults()
    given = call.arguments
    given["max_time_img"] = math.inf
    if given["multi_label"]:  # only validators keep several classes of a box
        _note_candidates(given)
    return original(*call.args, **call.kwargs)


def _note_candidates(given: dict[str, Any]) -> None:
    global _too_many_reported
    prediction = given["prediction"]
    prediction = prediction[0] if isinstance(prediction, list | tuple) else prediction
    if given["end2end"] or prediction.shape[-1] == 6:
        return  # such a head selects its own boxes; nothing is suppressed
    counts = candidates_per_image(prediction, given["conf_thres"], given["nc"], given["multi_label"]).tolist()
    for count in _counts:
        count.per_image.extend(counts)
    mean = sum(counts) / max(len(counts), 1)
    if mean > TOO_MANY_CANDIDATES and not _too_many_reported:
        _too_many_reported = True
        LOGGER.warning(
            f"{mean:,.0f} candidates per image reach NMS at conf={given['conf_thres']:g} "
            f"(usual: below {TOO_MANY_CANDIDATES:,}). No image is lost, but validation is slow. "
            "Scores are low and flat: train longer, or refit them with "
            "`yolo-focal calibrate`; with a focal loss, fl_cooldown=0.4 ends it while training."
        )


SEAMS = (_non_max_suppression,)
