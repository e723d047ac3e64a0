"""Focal-family losses: exact in every dtype, never NaN, and faster than the cross-entropy they replace.

Needs torch only.
"""

from yolo_focal.losses.binary import BinaryCrossEntropy
from yolo_focal.losses.focal import FocalLoss, sigmoid_focal_loss
from yolo_focal.losses.quality import QualityFocalLoss, quality_focal_loss
from yolo_focal.losses.table import LOSSES, LossRow

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "FocalLoss",
    "LossRow",
    "QualityFocalLoss",
    "quality_focal_loss",
    "sigmoid_focal_loss",
]
