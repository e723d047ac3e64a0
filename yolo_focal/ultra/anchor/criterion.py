"""The anchor detector's criterion on Ultralytics' engine: arguments and batch in, YOLOv5's objective out."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from yolo_focal.arguments.anchor import read_anchor_config
from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.detector.objective import Gains, anchor_objective, level_balance, next_balance, scaled_gains
from yolo_focal.errors import ConfigError
from yolo_focal.losses import LOSSES, ClassGradients
from yolo_focal.ultra.criteria.focal_term import FocalTerm
from yolo_focal.ultra.criteria.schedule import Schedule, schedule_of, settings_of

__all__ = ["AnchorCriterion", "check_focal"]


class AnchorCriterion:
    """YOLOv5's loss of an anchor detector's predictions on a batch.

    Everything is read from the model once, when upstream builds the criterion: the arguments in `model.args`, anchors
    and strides of its head, and `model.class_weights` where Ultralytics' `cls_pw` set them. The only state is the
    weight of each level, which `autobalance` moves while training.

    Args:
        model: a `DetectionModel` with an `AnchorDetect` head.
    """

    def __init__(self, model: Any):
        arguments = model.args if isinstance(model.args, Mapping) else vars(model.args)
        head = model.model[-1]
        device = next(model.parameters()).device
        self.config = read_anchor_config(arguments)
        self.focal = settings_of(model)
        if self.focal is not None:
            check_focal(self.focal, head.nc, self.config.cls_smoothing)
            self.focal.check_classes(head.nc)
        self.gains = scaled_gains(
            Gains(self.config.box, self.config.obj, self.config.cls), head.nl, head.nc, float(arguments["imgsz"])
        )
        self.anchors = head.grid_anchors(device)
        self.balance = level_balance(head.nl)
        strides = list(head.pixels_per_cell)
        self.reference_level = strides.index(16) if 16 in strides else 0
        weights = getattr(model, "class_weights", None)
        on_objectness, on_classes = _by_scope(self.focal)
        schedule = schedule_of(model)
        weights = None if weights is None else weights.flatten()
        self.objectness = _criterion("obj", on_objectness, self.config.obj_pw, None, device, schedule)
        self.classes = _criterion("cls", on_classes, self.config.cls_pos_weight, weights, device, schedule)
        if on_classes is not None and on_classes.loss == "efl":
            # A batch without objects does not call it, but every rank has to take part in the sum after each batch.
            schedule.gradients.setdefault("cls", ClassGradients(head.nc))

    def __call__(self, preds: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of `preds` on `batch`.

        Args:
            preds: what the head returns, in training or evaluation.
            batch: `batch_idx` (t,), `cls` (t, 1), `bboxes` (t, 4) as centre and size in [0, 1] of the image.

        Returns:
            The three terms times gain and number of images, shape (3,); and the terms times gain, detached, by name.
        """
        maps = (preds[1] if isinstance(preds, tuple) else preds)["maps"]
        targets = torch.cat((batch["batch_idx"].view(-1, 1), batch["cls"].view(-1, 1), batch["bboxes"]), 1)
        objective = anchor_objective(
            maps,
            targets.to(maps[0].device),
            self.anchors,
            objectness_criterion=self.objectness,
            class_criterion=self.classes,
            balance=self.balance,
            anchor_t=self.config.anchor_t,
            smoothing=self.config.cls_smoothing,
        )
        if self.config.autobalance and torch.is_grad_enabled():
            self.balance = next_balance(self.balance, objective.level_objectness.tolist(), self.reference_level)
        terms = {
            "box_loss": objective.box * self.gains.box,
            "obj_loss": objective.objectness * self.gains.objectness,
            "cls_loss": objective.classes * self.gains.classes,
        }
        loss = torch.stack(tuple(terms.values())) * len(maps[0])
        return loss, {name: term.detach() for name, term in terms.items()}

    def start_line(self) -> str:
        """What runs, in one line."""
        on_objectness, on_classes = _by_scope(self.focal)
        return (
            f"anchor detector: objectness {_describe(on_objectness)}, class {_describe(on_classes)}; gains box "
            f"{self.config.box:g}, obj {self.config.obj:g}, cls {self.config.cls:g} (YOLOv5's meaning)"
        )


def _criterion(
    name: str,
    focal: FocalConfig | None,
    pos_weight: float,
    class_weights: Tensor | None,
    device: torch.device,
    schedule: Schedule,
) -> nn.Module:
    """The mean loss of one term: the focal-family loss of `focal`, or BCE where that is None.

    It is called once a level, and with fl_gain=auto has a gain for each: so the levels keep the balance they have under
    BCE.
    """
    positives = None if pos_weight == 1 else torch.tensor(pos_weight, device=device)
    if focal is None:
        return LOSSES["bce"].make(gamma=0.0, alpha=None, weight=class_weights, pos_weight=positives, reduction="mean")
    assert not isinstance(focal.alpha, str)  # check_focal has seen to it
    alpha = torch.tensor(focal.alpha, device=device) if isinstance(focal.alpha, tuple) else focal.alpha
    loss = LOSSES[focal.loss].make(
        gamma=focal.gamma, alpha=alpha, weight=class_weights, pos_weight=positives, reduction="mean"
    )
    return FocalTerm(focal, loss, schedule, name)


def _by_scope(focal: FocalConfig | None) -> tuple[FocalConfig | None, FocalConfig | None]:
    """The settings of the objectness and of the class loss; None for plain BCE."""
    if focal is None:
        return None, None
    return (
        focal.for_objectness() if focal.scope != "cls" else None,
        focal if focal.scope != "obj" else None,
    )


def _describe(focal: FocalConfig | None) -> str:
    return "BCE" if focal is None else f"BCE -> {focal}"


def check_focal(focal: FocalConfig, number_of_classes: int, smoothing: float) -> None:
    """Raise ConfigError where focal settings cannot act on an anchor detector with this many classes."""
    if number_of_classes == 1 and focal.scope == "cls":
        raise ConfigError(
            "fl_scope=cls cannot act: with one class an anchor detector has no class loss; use fl_scope=obj"
        )
    if number_of_classes == 1 and focal.loss == "efl":
        raise ConfigError(
            "fl_loss=efl cannot act: with one class an anchor detector has no class loss; choose another loss"
        )
    if focal.loss == "efl" and focal.scope != "obj" and smoothing:
        raise ConfigError(
            f"fl_loss=efl does not fit cls_smoothing={smoothing:g}: it knows positives by a target above 0; "
            "leave one of them out"
        )
    if focal.scope == "obj" and focal.loss == "efl":
        raise ConfigError("fl_loss=efl cannot act with fl_scope=obj: objectness has no classes; use fl_scope=cls")
    if focal.scope != "cls" and isinstance(focal.for_objectness().alpha, tuple | str):
        raise ConfigError(
            "fl_alpha has a number per class, which objectness has not; give fl_obj_alpha=0.25 or fl_scope=cls"
        )
