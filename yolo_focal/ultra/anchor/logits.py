"""The two logits behind each score of the anchor detector, which the score alone does not tell."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from yolo_focal.detector.decode import BOX_AND_OBJECTNESS
from yolo_focal.ultra.anchor.head import anchor_head

__all__ = ["record_anchor_logits"]


def record_anchor_logits(model: Any) -> Callable[[], npt.NDArray[np.float64]] | None:
    """Let the next validation of `model` note the logits of its detections; None where its head has no anchors.

    Args:
        model: an `ultralytics.YOLO`, before `collect_predictions`.

    Returns:
        A function for afterwards: (D, 2) logits of objectness and class, in the order of the predictions.
    """
    if anchor_head(model.model) is None:
        return None
    images: list[npt.NDArray[np.float64]] = []
    load = model._smart_load

    def smart_load(kind: str) -> Any:
        return _recording(load(kind), images) if kind == "validator" else load(kind)

    model._smart_load = smart_load
    return lambda: np.concatenate([*images, np.zeros((0, 2))])


def _recording(validator: type[Any], images: list[npt.NDArray[np.float64]]) -> type[Any]:
    class LogitRecorder(validator):  # type: ignore[misc]
        def postprocess(self, preds: Any) -> Any:
            detections = super().postprocess(preds)
            decoded, raw = preds
            flat = torch.cat([logits.flatten(3) for logits in raw["maps"]], 3).transpose(1, 2).flatten(2)
            for scores, logits, found in zip(decoded[:, 4:], flat, detections, strict=True):
                images.append(_logits(scores, logits, found["conf"], found["cls"].long()))
            return detections

    return LogitRecorder


def _logits(scores: Tensor, logits: Tensor, conf: Tensor, category: Tensor) -> npt.NDArray[np.float64]:
    """(n, 2) logits of an image's detections, by falling score: NMS copies scores bit for bit, so each finds its box.

    Args:
        scores: (classes, N).
        logits: (5 + classes, N).
        conf: (n,).
        category: (n,).
    """
    box = (
        torch.stack([scores[c].eq(s).int().argmax() for s, c in zip(conf, category, strict=True)])
        if len(conf)
        else category
    )
    pairs = torch.stack((logits[BOX_AND_OBJECTNESS - 1, box], logits[BOX_AND_OBJECTNESS + category, box]), 1)
    order = torch.argsort(conf, descending=True, stable=True)
    return pairs[order].double().cpu().numpy()
