"""The class criterion of every box task (detect, segment, pose, OBB, World, YOLOE), on each branch of the head.

Upstream makes one `BCEWithLogitsLoss(reduction="none")` per criterion, calls it as `self.bce(logits, targets)`, weights
the result by class and sums it. The replacement returns that weighted sum at once: one 0-dim tensor, made in one pass.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.errors import ConfigError, UnsupportedModelError
from yolo_focal.losses import LOSSES
from yolo_focal.ultra.criteria.focal_term import FocalTerm
from yolo_focal.ultra.criteria.schedule import Schedule, schedule_of, settings_of
from yolo_focal.ultra.hooks.seam import seam, takes

__all__ = [
    "ClassCriterion",
    "SEAMS",
    "acts_on",
    "box_criteria",
    "check_branch",
]


class ClassCriterion(FocalTerm):
    """The weighted sum of a focal-family loss over images, anchors and classes; stands in for `v8DetectionLoss.bce`.

    Called with logits and targets in [0, 1], both (images, anchors, classes), it gives a float32 scalar.

    Args:
        config: the loss and its settings.
        class_weights: shape (classes,), or None; each multiplies its class's loss (`cls_pw` of Ultralytics).
        device: where per-class numbers are kept.
        schedule: that of the training it belongs to; None for a criterion outside of any.
    """

    def __init__(
        self,
        config: FocalConfig,
        class_weights: Tensor | None = None,
        device: torch.device | None = None,
        schedule: Schedule | None = None,
    ):
        settled = config.settled_alpha
        alpha = torch.tensor(settled, device=device) if isinstance(settled, tuple) else settled
        loss = LOSSES[config.loss].make(gamma=config.gamma, alpha=alpha, weight=class_weights, reduction="sum")
        super().__init__(config, loss, schedule)
        self.class_weights = class_weights


def is_end_to_end(model: nn.Module) -> bool:
    """Whether the model trains a one-to-many and a one-to-one branch side by side."""
    return getattr(model.model[-1], "one2one_cv2", None) is not None  # type: ignore[index]


@seam(
    "v8DetectionLoss.__init__",
    "takes (model, tal_topk, tal_topk2), sets self.bce, self.class_weights, self.nc and self.device, and "
    "names the items of its loss in self.loss_names",
    takes(
        *("self", "model", "tal_topk", "tal_topk2"),
        uses=("bce", "class_weights", "nc", "device", "args", "loss_names"),
    ),
)
def _init(
    original: Callable[..., None], self: Any, model: nn.Module, tal_topk: int = 10, tal_topk2: int | None = None
) -> None:
    original(self, model, tal_topk, tal_topk2)
    config = settings_of(model)
    if config is None:
        return
    if not (isinstance(self.bce, nn.BCEWithLogitsLoss) and self.bce.reduction == "none"):
        raise UnsupportedModelError(
            f"{type(self).__name__}.bce is {self.bce!r}, expected BCEWithLogitsLoss(reduction='none'); "
            "focal cannot wrap it: train with focal=False"
        )
    if method := _own_sum(type(self)):
        raise UnsupportedModelError(
            f"{method} computes the class loss from self.bce in its own way, which would take focal's sum over all "
            "elements for the elements; train it with focal=False"
        )
    config.check_classes(self.nc)
    weights = None if self.class_weights is None else self.class_weights.flatten()
    self.bce = ClassCriterion(config, weights, self.device, schedule_of(model))
    self.class_weights = None  # they are inside the sum now; upstream would multiply a second time


def _own_sum(criterion: type) -> str | None:
    """The method of somebody's own criterion that uses self.bce; Ultralytics' own do no more than add it up."""
    for kind in criterion.__mro__:
        if kind.__module__.partition(".")[0] == "ultralytics":
            return None
        for name, function in vars(kind).items():
            if name != "__init__" and "bce" in getattr(getattr(function, "__code__", None), "co_names", ()):
                return f"{kind.__name__}.{name}"
    return None


def acts_on(config: FocalConfig, branch: str) -> bool:
    """Whether `config` asks for the loss on this branch: class, one2many or one2one."""
    return branch == "class" or config.branch in ("both", branch)


@seam(
    "E2ELoss.__init__",
    "takes (model, loss_fn) and sets self.one2many and self.one2one",
    takes("self", "model", "loss_fn", uses=("one2many", "one2one")),
)
def _end_to_end_init(original: Callable[..., None], self: Any, model: nn.Module, *args: Any, **kwargs: Any) -> None:
    original(self, model, *args, **kwargs)
    config = settings_of(model)
    for branch, criterion in box_criteria(self).items():
        if config is not None and acts_on(config, branch):
            criterion.bce.name = branch
        elif config is not None:
            weights = criterion.bce.class_weights
            criterion.class_weights = None if weights is None else weights.view(1, 1, -1)
            criterion.bce = nn.BCEWithLogitsLoss(reduction="none")


def box_criteria(criterion: Any) -> dict[str, Any]:
    """The criteria with a class term inside `criterion`, by branch name: `class`, or `one2many` and `one2one`."""
    branches = [name for name in ("one2many", "one2one") if hasattr(criterion, name)]
    found = {name: getattr(criterion, name) for name in branches} or {"class": criterion}
    return {name: getattr(inner, "vp_criterion", inner) for name, inner in found.items()}


def check_branch(config: FocalConfig, model: nn.Module) -> None:
    """Raise ConfigError where `fl_branch` names a branch that the model's head does not have."""
    if config.branch != "both" and not is_end_to_end(model):
        raise ConfigError(
            f"fl_branch={config.branch} needs an end-to-end head (YOLOv10, YOLO26), but this model's "
            f"{type(model.model[-1]).__name__} has a single branch; leave fl_branch out"  # type: ignore[index]
        )


SEAMS = (_init, _end_to_end_init)
