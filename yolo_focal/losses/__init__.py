"""Focal-family losses: exact in every dtype, never NaN, and fast on large tensors.

Needs torch only. `LOSSES` has them by name; `set_backend` chooses how they run.
"""

from yolo_focal.losses.asymmetric import AsymmetricLoss, asymmetric_loss
from yolo_focal.losses.binary import BinaryCrossEntropy
from yolo_focal.losses.class_weights import class_balanced_weights, object_normalised_weights
from yolo_focal.losses.equalized import ClassGradients, EqualizedFocalLoss, equalized_focal_loss
from yolo_focal.losses.focal import FocalLoss, sigmoid_focal_loss
from yolo_focal.losses.matchability import MatchabilityAwareLoss, matchability_aware_loss
from yolo_focal.losses.multibox import MultiBoxLoss, MultiBoxLosses
from yolo_focal.losses.poly import PolyLoss, poly_loss
from yolo_focal.losses.quality import QualityFocalLoss, quality_focal_loss
from yolo_focal.losses.run import set_backend
from yolo_focal.losses.softmax import SoftmaxFocalLoss, softmax_focal_loss
from yolo_focal.losses.table import LOSSES, LossRow
from yolo_focal.losses.varifocal import VarifocalLoss, varifocal_loss

__all__ = [
    "AsymmetricLoss",
    "BinaryCrossEntropy",
    "ClassGradients",
    "EqualizedFocalLoss",
    "FocalLoss",
    "LOSSES",
    "LossRow",
    "MatchabilityAwareLoss",
    "MultiBoxLoss",
    "MultiBoxLosses",
    "PolyLoss",
    "QualityFocalLoss",
    "SoftmaxFocalLoss",
    "VarifocalLoss",
    "asymmetric_loss",
    "class_balanced_weights",
    "equalized_focal_loss",
    "matchability_aware_loss",
    "object_normalised_weights",
    "poly_loss",
    "quality_focal_loss",
    "set_backend",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "varifocal_loss",
]
