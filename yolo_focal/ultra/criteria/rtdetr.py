"""RT-DETR: its class loss, which is focal or varifocal already, with the settings of this plugin.

Upstream holds two losses: `vfl` for batches with objects, against a target that is the IoU of the matched box, and
`fl` for batches without. alpha is not the same in both: in focal loss it weighs positives, in varifocal loss negatives.
Hence two arguments, `fl_alpha` and `fl_vfl_alpha`. Matching and box losses are left alone.

No cross-entropy is replaced here, and its gradient, many times that of the stock loss, would drown the box losses: so
fl_gain=auto is 1, the scale that the stock losses have too.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor

from yolo_focal.arguments.focal import AUTO, FocalConfig
from yolo_focal.ultra import host
from yolo_focal.ultra.criteria.detection import ClassCriterion
from yolo_focal.ultra.criteria.schedule import schedule_of, settings_of
from yolo_focal.ultra.hooks.seam import seam

__all__ = ["QueryClassCriterion", "SEAMS"]


class QueryClassCriterion(ClassCriterion):
    """The class loss of RT-DETR: summed over images and classes, averaged over queries, as upstream's two losses are.

    `loss` focal judges hard labels in every batch; `vfl` judges IoU targets in batches with objects and leaves the
    others to focal loss; any other loss judges IoU targets.
    """

    def forward(self, logits: Tensor, targets: Tensor, labels: Tensor | None = None) -> Tensor:
        """The loss of `logits` against `targets`, both (images, queries, classes); `labels` are not used."""
        return super().forward(logits, targets) / logits.shape[1]


def _builds_both_losses(init_criterion: Any) -> bool:
    loss = host.DETRLoss
    functions = (loss.__init__, loss._get_loss_class)
    return "RTDETRDetectionLoss" in init_criterion.__code__.co_names and all(
        {"fl", "vfl"} <= set(function.__code__.co_names) for function in functions
    )


@seam(
    "RTDETRDetectionModel.init_criterion",
    "builds a criterion whose class losses are fl and vfl",
    _builds_both_losses,
)
def _init_criterion(original: Callable[[Any], Any], self: Any) -> Any:
    criterion = original(self)
    config = settings_of(self)
    if config is not None:
        config.check_classes(self.nc)
        criterion.fl, criterion.vfl = _losses(self, config)
    return criterion


def _losses(model: Any, config: FocalConfig) -> tuple[QueryClassCriterion, QueryClassCriterion | None]:
    """Those for batches without and with objects; None has the first do both, on hard labels."""
    weights = getattr(model, "class_weights", None)
    device = next(model.parameters()).device
    schedule = schedule_of(model)
    config = dataclasses.replace(config, gain=1.0 if config.gain == AUTO else config.gain)

    def make(config: FocalConfig) -> QueryClassCriterion:
        return QueryClassCriterion(config, weights, device, schedule)

    if config.loss == "focal":
        return make(config), None
    if config.loss == "vfl":
        return make(dataclasses.replace(config, loss="focal")), make(
            dataclasses.replace(config, alpha=config.varifocal_alpha)
        )
    return make(config), make(config)


SEAMS = (_init_criterion,)
