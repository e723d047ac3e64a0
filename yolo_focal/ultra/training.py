"""The two moments at which a training is checked: before anything is written, and before the first batch."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from yolo_focal.arguments.focal import read_config
from yolo_focal.arguments.key import plain
from yolo_focal.arguments.rare import read_rare_config
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.console import is_part_of_a_run, pasteable
from yolo_focal.errors import UnsupportedModelError
from yolo_focal.losses.run import backend
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.autoanchor import fit_anchors_to_data
from yolo_focal.ultra.anchor.checks import check_anchor_training, read_hyp_for
from yolo_focal.ultra.anchor.head import anchor_head
from yolo_focal.ultra.criteria.schedule import follow_training, follow_with_new_ema
from yolo_focal.ultra.datasets import (
    BOX_TASKS,
    UPRIGHT_BOX_TASKS,
    check_data_exists,
    class_count,
    class_folder_count,
    explained_dataset_errors,
    local_yaml,
    refuse_unusable_data,
    refuse_without_validation,
    resolve_data,
)
from yolo_focal.ultra.families import check_family, start_line
from yolo_focal.ultra.hooks.arguments import check_call
from yolo_focal.ultra.hooks.auto_alpha import count_anew, settled_config
from yolo_focal.ultra.hooks.nms import watch_for_too_many_candidates
from yolo_focal.ultra.hooks.seam import seam, takes
from yolo_focal.ultra.logger import LOGGER, is_main_process
from yolo_focal.ultra.sampling.rare_training import check_rare_training, show_rare_classes

__all__ = ["SEAMS", "check_training"]


def check_training(model: nn.Module, given: Mapping[str, Any]) -> None:
    """Check the arguments of one training against its model and dataset, before a run folder exists.

    Raises:
        YoloFocalError: an argument is wrong, the dataset is missing, or the model has no loss that focal could act on.
    """
    check_call(given, host.DEFAULT_CFG_DICT)
    count_anew()
    if given.get("resume"):
        return
    config = read_config(given)
    is_anchor_detector = anchor_head(model) is not None
    rare = read_rare_config(given)
    if config is not None or is_anchor_detector:
        backend()  # of the losses: the environment may name one that is none
    counted = config is not None or is_anchor_detector or rare is not None
    task = str(getattr(model, "task", "detect"))
    number_of_classes = _number_of_classes(given, task) if counted else None
    check_anchor_training(model, given, number_of_classes)
    check_rare_training(model, given, number_of_classes)
    if config is None:
        return
    check_family(model, config, given, number_of_classes)
    if number_of_classes is not None:
        unnamed = task == "semantic" and number_of_classes != _number_of_classes(given, "detect")
        config.check_classes(number_of_classes, "the background, which is the last" if unnamed else "")


def _number_of_classes(given: Mapping[str, Any], task: str) -> int | None:
    """That of the model on the dataset, None where the call names none; DataError where there is no such dataset.

    What has to be downloaded, unpacked or split first is not counted.
    """
    if given.get("data") is None:
        return None
    data = resolve_data(given["data"], draw=False)
    if task == "classify":
        return 1 if given.get("single_cls") else class_folder_count(data)
    check_data_exists(data)
    if given.get("single_cls"):
        return 1
    return None if data != "shapes" and local_yaml(data) is None else class_count(data, task)


@seam(
    "Model.train",
    "takes (trainer, **arguments), the arguments of the call and, as cfg=, a file with more",
    takes("self", "trainer", "kwargs"),
)
def _train(original: Callable[..., Any], self: Any, trainer: Any = None, **kwargs: Any) -> Any:
    watch_for_too_many_candidates()
    kwargs |= {name: plain(value) for name, value in kwargs.items() if name in TRAINING_KEYS}
    from_file: dict[str, Any] = {}
    if kwargs.get("cfg"):
        path, from_file, translated = read_hyp_for(self.model, kwargs.pop("cfg"))
        kwargs = {**from_file, **kwargs} if translated else {**kwargs, "cfg": str(path)}
    given = {**from_file, **kwargs}
    if not kwargs.get("cfg") and self.overrides.get("single_cls"):  # upstream remembers it from the last training
        given.setdefault("single_cls", True)
    if given.get("resume") is True and not _can_be_resumed(self):
        given["resume"] = False  # upstream warns, and starts a new training
    if isinstance(self.model, nn.Module):  # an exported model is refused upstream
        for each in _trainings(given):
            check_training(self.model, each)
    data, reading = resolve_data(given.get("data")), _reading(self, given)
    if trainer is None and not given.get("resume"):
        if self.task in BOX_TASKS:
            refuse_unusable_data(data, labelled=(), **reading)
        elif self.task == "classify":
            refuse_without_validation(data)
    started = time.time()
    try:
        with explained_dataset_errors(data, **reading):
            result = original(self, trainer=trainer, **kwargs)
    except KeyboardInterrupt as interruption:
        _forget_criterion(self.model)
        raise KeyboardInterrupt(_what_is_kept(self, started, resumed=bool(given.get("resume")))) from interruption
    except Exception:
        _forget_criterion(self.model)
        raise
    if not is_part_of_a_run() and (line := _next_step(self)) is not None:
        LOGGER.info(line)
    return result


def _forget_criterion(model: Any) -> None:
    """A model that stays behind when its training ends early is saved without this package's classes in it."""
    if isinstance(model, nn.Module) and hasattr(model, "criterion"):
        del model.criterion  # the next training builds its own


def _trainings(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The arguments of each training of a call: upstream trains anew on every dataset of a list."""
    data = given.get("data")
    return [{**given, "data": one, "resume": False} for one in data] if isinstance(data, list | tuple) else [given]


def _can_be_resumed(model: Any) -> bool:
    """Whether upstream takes the checkpoint that `model` was loaded from for one of an unfinished training."""
    checkpoint = model.ckpt or {}
    return checkpoint.get("epoch", -1) >= 0 and checkpoint.get("optimizer") is not None


def _next_step(model: Any) -> str | None:
    """How to evaluate what a training with settings of this plugin made; None after others and where it cannot be."""
    trainer = model.trainer
    if not isinstance(trainer, host.BaseTrainer):  # several models at once
        return None
    used = vars(trainer.args)
    ours = read_config(used) is not None or read_rare_config(used) is not None or anchor_head(model.model) is not None
    kept = next((file for file in (trainer.best, trainer.last) if file.is_file()), None)
    if not ours or kept is None or model.task not in UPRIGHT_BOX_TASKS:
        return None
    iou = [f"iou={trainer.args.iou}"] * (trainer.args.iou != host.DEFAULT_CFG.iou)  # as a YOLOv5 file sets it
    command = pasteable("evaluate", f"model={kept}", f"data={trainer.args.data}", f"imgsz={trainer.args.imgsz}", *iou)
    return f"Next, AP by class and class frequency, thresholds and calibration: {command}"


def _what_is_kept(model: Any, started: float, *, resumed: bool) -> str:
    """What an interrupted training leaves behind, and how to go on; the checkpoint may also be an earlier run's."""
    last = getattr(getattr(model, "trainer", None), "last", None)
    try:
        kept = last is not None and last.is_file() and (resumed or last.stat().st_mtime >= started)
    except OSError:
        kept = False
    if not kept:
        return "no epoch was finished and saved, so that there is nothing to go on with; start again"
    command = pasteable("train", "resume=True", f"model={last}")
    return f"what was finished is kept; go on with: {command}"


def _reading(model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """How labels are read for a model and the arguments of a call, for the checks of a dataset."""
    return {"task": str(model.task), "single_class": bool(given.get("single_cls"))}


@seam(
    "BaseTrainer._build_train_pipeline",
    "makes self.train_loader, whose batch_sampler repeats a batch sampler for ever and whose iterator starts "
    "later, and first runs before self.ema exists",
    takes("self"),
)
def _build_train_pipeline(original: Callable[[Any], None], self: Any) -> None:
    original(self)
    if self.ema is None and not self.resume:  # later calls follow an out-of-memory retry; resumed anchors are fit
        fit_anchors_to_data(self)
    show_rare_classes(self)


@seam(
    "BaseTrainer.resume_training",
    "takes (ckpt), the checkpoint or None, once model and EMA are built and before any criterion is",
    takes("self", "ckpt"),
)
def _resume_training(original: Callable[..., None], self: Any, ckpt: dict[str, Any] | None) -> None:
    config = settled_config(vars(self.args))
    if config is None:
        original(self, ckpt)
        return
    # Before: of an end-to-end head, upstream builds the criterion here.
    follow_training(self, config, ckpt["ema"] if ckpt is not None and self.resume else None)
    original(self, ckpt)
    follow_with_new_ema(self)


@seam(
    "BaseTrainer._setup_train",
    "prepares the model, its arguments and the data, before the first batch",
    takes("self"),
)
def _setup_train(original: Callable[[Any], None], self: Any) -> None:
    original(self)
    model, arguments = host.unwrap_model(self.model), vars(self.args)
    config = read_config(arguments)
    if config is None and anchor_head(model) is None:
        return
    if config is not None and not self.resume:  # a trainer that no model started was not checked before
        check_family(model, config, arguments, self.data["nc"])
        if anchor_head(model) is None:
            check_anchor_training(model, arguments, self.data["nc"])
    line = start_line(model.init_criterion())  # as the first batch will build it
    if line is None:
        raise UnsupportedModelError(
            f"focal cannot act: the criterion of {type(model).__name__} has no class loss that the plugin knows; "
            "train it with focal=False and without fl_* arguments"
        )
    if is_main_process():
        LOGGER.info(line)


@seam(
    "Model.val",
    "starts a validation outside training",
)
def _val(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
    watch_for_too_many_candidates()
    data, splits = resolve_data(kwargs.get("data")), (str(kwargs.get("split") or "val"),)
    reading = _reading(self, kwargs)
    if self.task in BOX_TASKS:
        refuse_unusable_data(data, splits, (), **reading)
    with explained_dataset_errors(data, splits, **reading):
        return original(self, *args, **kwargs)


SEAMS = (_train, _val, _build_train_pipeline, _resume_training, _setup_train)
