"""What a training would really compute: one batch of its data through its own criterion, under BCE and another loss."""

import contextlib
import dataclasses
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from yolo_focal.arguments.focal import KEYS, FocalConfig
from yolo_focal.errors import CheckpointError, ConfigError, UnsupportedModelError, YoloFocalError, reason_of
from yolo_focal.losses.module import SigmoidLoss
from yolo_focal.ultra import host
from yolo_focal.ultra.class_losses import OBJECTNESS
from yolo_focal.ultra.criteria.focal_term import FocalTerm
from yolo_focal.ultra.criteria.schedule import leave_training
from yolo_focal.ultra.datasets import explained_dataset_errors
from yolo_focal.ultra.drivers.check_before_run import check_asked
from yolo_focal.ultra.drivers.class_gradients import (
    ClassTerm,
    Floats,
    Recorder,
    record_class_terms,
    sum_by_class,
)
from yolo_focal.ultra.drivers.load_model import load_model
from yolo_focal.ultra.drivers.predictions import remove_label_cache
from yolo_focal.ultra.drivers.running_criterion import PLAIN
from yolo_focal.ultra.hooks.auto_alpha import settled_config
from yolo_focal.ultra.logger import warnings_only

__all__ = ["BatchLoss", "Diagnosis", "diagnose", "load_for_diagnosis"]

_PLAIN_CONFIG = FocalConfig(loss="bce", gain=1.0)
_MEASURED = ("DetectionModel", "SegmentationModel", "OBBModel", "RTDETRDetectionModel")
# One batch in this process and in float32; nothing is trained, validated or plotted.
_ONE_BATCH = {"workers": 0, "amp": False, "plots": False, "val": False, "save": False, "verbose": False}


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """One loss on the batch.

    Attributes:
        name: of the loss, with its settings.
        runs: whether training with the given arguments would use it.
        branches: what acts on each branch, read off the criterion.
        items: the loss items as the trainer prints them, in its order.
        terms: the class terms by branch.
        matching_gain: `fl_gain` at which the sum of |d total / d logit| is that under BCE: what `fl_gain=auto` takes in
            this batch; None if there is no loss of this plugin, or none with a gradient.
    """

    name: str
    runs: bool
    branches: dict[str, str]
    items: dict[str, float]
    terms: dict[str, ClassTerm]
    matching_gain: float | None

    @property
    def label(self) -> str:
        """The name without settings: `BCE`, `focal`, `stock varifocal`; of a mixture, the one that is not BCE."""
        words = next((words for words in self.branches.values() if words != PLAIN), PLAIN)
        return words.partition("(")[0]

    def class_terms(self) -> list[ClassTerm]:
        """The terms that tell classes apart: all but an anchor detector's objectness."""
        return [term for branch, term in self.terms.items() if branch != OBJECTNESS]

    def gradient_by_class(self) -> Floats:
        """(C,) share of each class in the gradient of all class terms; zeros where there is no gradient."""
        by_class = sum(term.gradient_positives + term.gradient_negatives for term in self.class_terms())
        assert not isinstance(by_class, int)
        return np.asarray(by_class) / max(float(by_class.sum()), np.finfo(float).tiny)

    def gradient_on_negatives(self) -> float:
        """Share of the negatives in the gradient of all terms."""
        positives = sum(float(term.gradient_positives.sum()) for term in self.terms.values())
        negatives = sum(float(term.gradient_negatives.sum()) for term in self.terms.values())
        return negatives / (positives + negatives) if positives + negatives else 0.0


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """A model on one batch of its training data.

    Attributes:
        kind: class of the model.
        head: class of its last layer.
        names: class names.
        images: images in the batch.
        objects: objects in the batch.
        imgsz: side of the network's input in pixels.
        fresh: whether the class layers start untrained: no checkpoint, or one of other classes.
        bins: of Distribution Focal Loss (a box loss); None where boxes are regressed without it.
        end_to_end: whether the head has a one-to-one branch.
        focal: the settings that were given; None where the plugin is off.
        compared: the settings of `other`; None for RT-DETR's stock loss.
        class_weights_inert: Ultralytics' `cls_pw` is on and the running criterion does not use it.
        bce: binary cross-entropy.
        other: the loss asked for; RT-DETR's own or, for other models, `focal=True` as a proposal where none was.
        kept: the image files of `train` and `val` that the trainer reads; others it has dropped.
    """

    kind: str
    head: str
    names: tuple[str, ...]
    images: int
    objects: int
    imgsz: int
    fresh: bool
    bins: int | None
    end_to_end: bool
    focal: FocalConfig | None
    compared: FocalConfig | None
    class_weights_inert: bool
    bce: BatchLoss
    other: BatchLoss
    kept: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def running(self) -> BatchLoss:
        """The loss that training with the given arguments would use."""
        return self.other if self.other.runs else self.bce


def load_for_diagnosis(name: str) -> Any:
    """The `ultralytics.YOLO` or `RTDETR` called `name`.

    Raises:
        CheckpointError: it cannot be loaded.
        UnsupportedModelError: it is no detector whose class loss can be measured.
    """
    yolo = load_model(name)
    kind = type(yolo.model).__name__
    if kind not in _MEASURED:
        raise UnsupportedModelError(
            f"doctor cannot examine model={name}: it is a {kind} for '{yolo.task}'; expected a model that detects or "
            "segments objects, upright or rotated, without prompts: YOLO, RT-DETR, or the anchor detector"
        )
    return yolo


def diagnose(yolo: Any, arguments: Mapping[str, Any]) -> Diagnosis:
    """Take one training batch and measure the class loss on it; the plugin is enabled. Leaves no file behind.

    Everything before the batch is the trainer's own work, so that model, augmentation, class weights, `fl_alpha=auto`
    and criterion are those of a training with these arguments and this seed. Gamma is taken at its full value.

    Args:
        yolo: from `load_for_diagnosis`.
        arguments: training arguments, `data`, `imgsz` and `batch` among them.

    Raises:
        YoloFocalError: an argument is wrong or cannot act on this model and dataset, or its weights are no numbers.
    """
    check_asked(yolo, arguments)
    with _prepared(yolo, arguments) as trainer:
        model = host.unwrap_model(trainer.model).train().requires_grad_(False)
        with explained_dataset_errors(arguments["data"], task=str(yolo.task)):
            batch = trainer.preprocess_batch(next(iter(trainer.train_loader)))
        found = _examined(model, batch, trainer, fresh=_starts_untrained(yolo, arguments, trainer.data["names"]))
    for name, value in found.running.items.items():
        if not math.isfinite(value):
            raise CheckpointError(
                f"one batch through {yolo.ckpt_path or 'the model'} gives {name}={value}, as weights do of a training "
                "that diverged; give another checkpoint"
            )
    return found


def _starts_untrained(yolo: Any, arguments: Mapping[str, Any], names: Mapping[int, str]) -> bool:
    """Whether no class layer is taken from a checkpoint: upstream takes those of as many classes, or by class name."""
    pretrained = arguments.get("pretrained", True)
    if isinstance(pretrained, str | Path):
        return False
    if not yolo.ckpt or pretrained is False:
        return True
    before = {str(name).strip().lower() for name in yolo.names.values()}
    shared = before & {str(name).strip().lower() for name in names.values()}
    return len(yolo.names) != len(names) and not shared


@contextlib.contextmanager
def _prepared(yolo: Any, arguments: Mapping[str, Any]) -> Iterator[Any]:
    """The trainer as it stands before its first batch; its folder and label caches are gone afterwards."""
    started = time.time()
    trainer: Any = None
    try:
        with warnings_only(), tempfile.TemporaryDirectory(prefix="yolo_focal_") as folder:
            place = {"project": folder, "name": "doctor", "exist_ok": True, "mode": "train", "task": yolo.task}
            overrides = {**yolo.overrides, **arguments, **_ONE_BATCH, **place}
            # Ultralytics gives the loggers of its settings (MLflow, Comet, ...) to classes called Trainer.
            kind = type("Examination", (yolo._smart_load("trainer"),), {})
            with explained_dataset_errors(overrides["data"], task=str(yolo.task)):
                trainer = kind(overrides=overrides)
            if yolo.ckpt:
                weights = None if overrides.get("pretrained", True) is False else yolo.model
                trainer.model = trainer.get_model(weights=weights, cfg=yolo.model.yaml)
            try:
                with explained_dataset_errors(overrides["data"], task=str(yolo.task)):
                    trainer._setup_train()
            except YoloFocalError:
                raise
            except ValueError as error:  # settings that do not go together, such as one image of 32 pixels a batch
                raise ConfigError(f"Ultralytics refuses this training: {reason_of(error)}") from error
            yield trainer
    finally:
        host.unset_deterministic()
        for name in ("train_loader", "test_loader"):
            if hasattr(trainer, name):
                remove_label_cache(getattr(trainer, name).dataset.label_files, started)


def _examined(model: Any, batch: dict[str, Any], trainer: Any, *, fresh: bool) -> Diagnosis:
    leave_training(model)  # several settings are tried on it, none of them those of the training that was prepared
    given = vars(model.args)
    focal = settled_config(given)
    has_own_loss = type(model).__name__ == "RTDETRDetectionModel"
    stock = {name: value for name, value in given.items() if name not in KEYS}
    plain = {**stock, "focal": True, "fl_loss": "bce"} if has_own_loss else stock
    compared = given if focal is not None else stock if has_own_loss else {**stock, "focal": True}
    _predict_once(model)
    bce = _batch_loss(model, batch, plain, runs=focal is None and not has_own_loss)
    other = _batch_loss(model, batch, compared, runs=focal is not None or has_own_loss)
    head = model.model[-1]
    running = other if other.runs else bce
    return Diagnosis(
        kind=type(model).__name__,
        head=type(head).__name__,
        names=tuple(str(trainer.data["names"][index]) for index in range(trainer.data["nc"])),
        images=len(batch["img"]),
        objects=len(batch["cls"]),
        imgsz=int(trainer.args.imgsz),
        fresh=fresh,
        bins=head.reg_max if getattr(head, "reg_max", 1) > 1 else None,
        end_to_end="one2one" in bce.terms,
        focal=focal,
        compared=settled_config(compared),
        class_weights_inert=_inert(getattr(model, "class_weights", None), running),
        bce=bce,
        other=other,
        kept={
            split: tuple(loader.dataset.im_files)
            for split, loader in (("train", trainer.train_loader), ("val", trainer.test_loader))
        },
    )


def _predict_once(model: Any) -> None:
    """Let every further call of `model.predict` return what the first did: all losses judge the same predictions."""
    predict = model.predict
    made: list[Any] = []

    def remembered(*args: Any, **kwargs: Any) -> Any:
        if not made:
            made.append(predict(*args, **kwargs))
        return made[0]

    model.predict = remembered


def _batch_loss(model: Any, batch: dict[str, Any], arguments: Mapping[str, Any], *, runs: bool) -> BatchLoss:
    recorders, items = _pass(model, batch, arguments)
    branches = {branch: _in_words(each) for branch, each in recorders.items()}
    return BatchLoss(
        name=", ".join(dict.fromkeys(branches.values())),
        runs=runs,
        branches=branches,
        items=items,
        terms={branch: sum_by_class(each) for branch, each in recorders.items()},
        matching_gain=_matching_gain(recorders),
    )


def _pass(
    model: Any, batch: dict[str, Any], arguments: Mapping[str, Any]
) -> tuple[dict[str, list[Recorder]], dict[str, float]]:
    """The batch through the criterion that `arguments` build, and backward to the class logits."""
    model.args = host.IterableSimpleNamespace(**arguments)
    model.criterion = model.init_criterion()
    recorders = record_class_terms(model.criterion, model.model[-1].nc)
    total, items = model.loss(batch)
    total.sum().backward()
    used = {branch: [each for each in several if each.calls] or several[:1] for branch, several in recorders.items()}
    return used, {name: float(value) for name, value in items.items()}


def _matching_gain(recorders: Mapping[str, list[Recorder]]) -> float | None:
    """The sum of |derivative| of the cross-entropy over that of the loss without its gain, over all terms."""
    stock = own = 0.0
    for recorder in (each for several in recorders.values() for each in several):
        if isinstance(recorder.criterion, FocalTerm):
            for call in recorder.calls:
                assert call.output.grad is not None
                measured = recorder.criterion.loss.measured(call.logits.detach(), call.targets)
                stock += float(measured.stock * call.output.grad.abs())
                own += float(measured.own * call.output.grad.abs())
    return stock / own if own else None


def _in_words(recorders: list[Recorder]) -> str:
    """What acts on a branch: this plugin's settings, BCE, or RT-DETR's own losses."""
    words = [_criterion_in_words(recorder.criterion) for recorder in recorders]
    return " / ".join(dict.fromkeys(words))


def _criterion_in_words(criterion: nn.Module) -> str:
    if isinstance(criterion, FocalTerm) and dataclasses.replace(criterion.config, gain=1.0) != _PLAIN_CONFIG:
        return str(criterion.config)
    if isinstance(criterion, FocalTerm | SigmoidLoss | nn.BCEWithLogitsLoss):
        return PLAIN
    alpha: Any = getattr(criterion, "alpha", None)
    name = {"VarifocalLoss": "varifocal", "FocalLoss": "focal"}.get(type(criterion).__name__, type(criterion).__name__)
    return f"stock {name}(gamma={float(criterion.gamma):g}, alpha={float(alpha):g})"  # type: ignore[arg-type]


def _inert(class_weights: Tensor | None, running: BatchLoss) -> bool:
    """Whether there are class weights that differ, and an undecided positive weighs the same in every class."""
    if class_weights is None or float(class_weights.max() - class_weights.min()) == 0:
        return False
    return all(np.ptp(term.weight_positives) < 1e-9 for term in running.class_terms())
