"""The class criterion of every box task (detect, segment, pose, OBB, World, YOLOE), on each branch of the head.

Upstream makes one `BCEWithLogitsLoss(reduction="none")` per criterion, calls it as `self.bce(logits, targets)`, weights
the result by class and sums it. The replacement returns that weighted sum at once: one 0-dim tensor, made in one pass.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from yolo_focal.config import FocalConfig, read_config
from yolo_focal.errors import ConfigError, UnsupportedModelError
from yolo_focal.losses import LOSSES
from yolo_focal.ultra.anchor_criterion import AnchorCriterion
from yolo_focal.ultra.patching import Seam

__all__ = ["ClassCriterion", "SEAMS", "box_criteria", "branch_of", "settings_of", "start_line"]


class ClassCriterion(nn.Module):
    """The weighted sum of a focal-family loss over images, anchors and classes; stands in for `v8DetectionLoss.bce`.

    Args:
        config: the loss and its settings.
        class_weights: shape (classes,), or None; each multiplies its class's loss (`cls_pw` of Ultralytics).
        device: where per-class numbers are kept.
    """

    def __init__(self, config: FocalConfig, class_weights: Tensor | None = None, device: torch.device | None = None):
        super().__init__()
        alpha = torch.tensor(config.alpha, device=device) if isinstance(config.alpha, tuple) else config.alpha
        row = LOSSES[config.loss]
        self.config = config
        self.loss = row.make(gamma=config.gamma, alpha=alpha, weight=class_weights, reduction="sum")

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of `logits` against `targets` in [0, 1], both (images, anchors, classes), as a float32 scalar."""
        total: Tensor = self.loss(logits, targets)
        return total * self.config.gain


def settings_of(model: nn.Module) -> FocalConfig | None:
    """The checked settings in `model.args`; None where focal is off or the model has no arguments."""
    arguments = getattr(model, "args", {})
    return read_config(arguments if isinstance(arguments, Mapping) else vars(arguments))


def is_end_to_end(model: nn.Module) -> bool:
    """Whether the model trains a one-to-many and a one-to-one branch side by side."""
    return getattr(model.model[-1], "one2one_cv2", None) is not None  # type: ignore[index]


def branch_of(model: nn.Module, tal_topk2: int | None) -> str:
    """`one2many` or `one2one` in an end-to-end head, else `class`; upstream builds one2one with topk2=1."""
    if not is_end_to_end(model):
        return "class"
    return "one2one" if tal_topk2 == 1 else "one2many"


def _wrap_init(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, model: nn.Module, tal_topk: int = 10, tal_topk2: int | None = None) -> None:
        original(self, model, tal_topk, tal_topk2)
        config = settings_of(model)
        if config is None or not acts_on(config, branch_of(model, tal_topk2)):
            return
        if not (isinstance(self.bce, nn.BCEWithLogitsLoss) and self.bce.reduction == "none"):
            raise UnsupportedModelError(
                f"{type(self).__name__}.bce is {self.bce!r}, expected BCEWithLogitsLoss(reduction='none'); "
                "focal cannot wrap it: train with focal=False"
            )
        config.check_classes(self.nc)
        weights = None if self.class_weights is None else self.class_weights.flatten()
        self.bce = ClassCriterion(config, weights, self.device)
        self.class_weights = None  # they are inside the sum now; upstream would multiply a second time

    return __init__


def acts_on(config: FocalConfig, branch: str) -> bool:
    """Whether `config` asks for the loss on this branch."""
    return branch == "class" or config.branch in ("both", branch)


def box_criteria(criterion: Any) -> dict[str, Any]:
    """The criteria with a class term inside `criterion`, by branch name: `class`, or `one2many` and `one2one`."""
    branches = [name for name in ("one2many", "one2one") if hasattr(criterion, name)]
    found = {name: getattr(criterion, name) for name in branches} or {"class": criterion}
    return {name: getattr(inner, "vp_criterion", inner) for name, inner in found.items()}


def start_line(criterion: Any) -> str | None:
    """One line that says what runs, read off the criterion itself; None where focal acts on none of its branches."""
    if isinstance(criterion, AnchorCriterion):
        return criterion.start_line()
    acting = {
        name: inner.bce.config
        for name, inner in box_criteria(criterion).items()
        if isinstance(getattr(inner, "bce", None), ClassCriterion)
    }
    if not acting:
        return None
    config = next(iter(acting.values()))
    where = "" if "class" in acting else f" on {', '.join(acting)}"
    return f"focal: class BCE -> {config}{where}; box and DFL untouched"


def check_branch(config: FocalConfig, model: nn.Module) -> None:
    """Raise ConfigError where `fl_branch` names a branch that the model's head does not have."""
    if config.branch != "both" and not is_end_to_end(model):
        raise ConfigError(
            f"fl_branch={config.branch} needs an end-to-end head (YOLOv10, YOLO26), but this model's "
            f"{type(model.model[-1]).__name__} has a single branch; leave fl_branch out"  # type: ignore[index]
        )


SEAMS = (
    Seam(
        owner="ultralytics.utils.loss:v8DetectionLoss",
        name="__init__",
        fact="takes (model, tal_topk, tal_topk2) and sets self.bce, self.class_weights, self.nc and self.device",
        wrap=_wrap_init,
        holds=lambda init: (
            list(inspect.signature(init).parameters) == ["self", "model", "tal_topk", "tal_topk2"]
            and {"bce", "class_weights", "nc", "device", "args"} <= set(init.__code__.co_names)
        ),
    ),
)
