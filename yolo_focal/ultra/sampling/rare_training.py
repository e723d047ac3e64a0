"""A training with rare_sampling or rare_paste: checked before it starts, and fitted to its data loader."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from yolo_focal.arguments.rare import AUTO, RareConfig, read_rare_config
from yolo_focal.console import is_part_of_a_run
from yolo_focal.data.yolo import label_file
from yolo_focal.errors import ConfigError, DataError, UnsupportedModelError
from yolo_focal.ultra import host
from yolo_focal.ultra.datasets import BOX_TASKS, data_file, learns_one_class, read_dataset, resolve_data
from yolo_focal.ultra.logger import LOGGER, is_main_process
from yolo_focal.ultra.sampling.acting_epochs import never_pastes, never_stops, pasted_epochs
from yolo_focal.ultra.sampling.crops import CropBank, Crops, find_crops
from yolo_focal.ultra.sampling.draws import EpochBatches, EpochDraws, Stream
from yolo_focal.ultra.sampling.exposure import Exposure, below_median, expected_exposure, exposure_lines
from yolo_focal.ultra.sampling.training_images import Pasting, RareImages, attach_to_dataset, start_worker

__all__ = ["PASTED_TASKS", "check_rare_training", "rare_metrics", "refuse_without_pasting", "show_rare_classes"]

PASTED_TASKS = ("detect", "segment")


def check_rare_training(model: nn.Module, given: Mapping[str, Any], number_of_classes: int | None) -> None:
    """Check what can be known before a run folder exists.

    Args:
        model: what is to be trained.
        given: the arguments of the call.
        number_of_classes: of the dataset; None where it is not known yet.

    Raises:
        ConfigError: a bad value, or one that cannot act.
        UnsupportedModelError: the model's task has nothing that could be sampled or pasted.
    """
    config = read_rare_config(given)
    if config is None:
        return
    task = getattr(model, "task", "detect")
    if task not in (*BOX_TASKS, "classify"):
        raise UnsupportedModelError(
            f"{config} cannot act on a {task} model: its labels are no objects or image classes; leave it out"
        )
    if config.paste and task not in PASTED_TASKS:
        raise UnsupportedModelError(
            f"rare_paste={config.paste:g} cannot act on a {task} model: it pastes boxes and polygons; "
            "rare_sampling=auto can act, or leave it out"
        )
    if given.get("rect"):
        raise ConfigError(f"{config} cannot act with rect=True, which fixes the order of the images; leave rect out")
    if config.stop and given.get("time"):
        raise ConfigError(
            f"rare_stop={config.stop:g} cannot act with time={given['time']}: the number of epochs is not known; "
            "give epochs instead"
        )
    if not config.sampling and (why := never_pastes(config, given)):
        raise ConfigError(why)
    # A trial of a tuning may come near to 0, where the space begins.
    if not is_part_of_a_run() and (why := never_stops(config, given)):
        raise ConfigError(why)
    if learns_one_class(given, task, number_of_classes):
        raise ConfigError(f"{config} cannot act with one class: nothing is rarer than anything; leave it out")
    data = resolve_data(given.get("data"), draw=False)
    if task != "classify" and data not in (None, "shapes") and _has_no_objects(data_file(data)):
        raise ConfigError(
            f"{config} cannot act: the training images of data={given['data']} have no labels; leave it out"
        )


def refuse_without_pasting(given: Mapping[str, Any]) -> None:
    """Raise ConfigError where rare_paste acts in no epoch; a training only warns of it where sampling is left."""
    config = read_rare_config(given)
    if config is not None and (why := never_pastes(config, given)) is not None:
        raise ConfigError(why)


def _has_no_objects(data_yaml: Path | None) -> bool:
    """Whether the training images are there and none has anything in its label file."""
    if data_yaml is None or data_yaml.is_dir():
        return False
    try:
        images = read_dataset(data_yaml).image_files("train")
    except DataError:
        return False  # Ultralytics downloads it, or says what is wrong with it
    files = (label_file(image) for image in images)
    return not any(file.is_file() and file.stat().st_size for file in files)


def show_rare_classes(trainer: Any) -> None:
    """Let the trainer's loader draw images as its rare_* arguments ask, and its dataset paste; without them, nothing.

    To be called each time after the trainer has made its loader, before the first batch.
    """
    config = read_rare_config(vars(trainer.args))
    if config is None:
        return
    if (why := never_pastes(config, vars(trainer.args))) is not None:
        if is_main_process():
            LOGGER.warning(why)
        config = dataclasses.replace(config, paste=0.0)  # for the table to say what is left
    loader = trainer.train_loader
    dataset = loader.dataset
    names = [str(trainer.data["names"][c]) for c in range(len(trainer.data["names"]))]
    image_of_box, class_of_box = _boxes(dataset)
    crops = _crops(dataset, class_of_box, len(names), config)
    croppable = np.isin(np.arange(len(names)), crops.category) if crops is not None else None
    exposure = expected_exposure(image_of_box, class_of_box, len(dataset), len(names), config, croppable)
    if is_main_process():
        for line in exposure_lines(exposure, names, config, why is None and trainer.args.task in PASTED_TASKS):
            LOGGER.info(line)
        if (which := pasted_epochs(config, vars(trainer.args))) is not None:
            LOGGER.info(which)
    draws = EpochDraws(exposure.factors, int(trainer.args.seed), config.stop_epoch(trainer.epochs))
    stream = Stream(
        rank=max(host.RANK, 0),
        ranks=max(trainer.world_size, 1),
        batch=loader.batch_size,
        batches=len(loader),
    )
    batches = EpochBatches(loader.batch_sampler.sampler, draws, stream, loader.drop_last, exposure)
    object.__setattr__(loader, "batch_sampler", batches)  # torch forbids the plain way; Ultralytics does it like this
    if crops is not None or exposure.resamples:
        pasting = _pasting(trainer, config, exposure, crops)
        if not isinstance(dataset, host.ClassificationDataset):
            attach_to_dataset(dataset, RareImages(draws, stream, exposure.resamples, pasting))
            loader.worker_init_fn = functools.partial(start_worker, loader.worker_init_fn)
    if _start_epoch not in trainer.callbacks["on_train_epoch_start"]:
        trainer.add_callback("on_train_epoch_start", _start_epoch)


def rare_metrics(trainer: Any) -> dict[str, float]:
    """What the present epoch shows of rare classes, by the names under which it is logged; nothing where both are off.

    rare/exposure: boxes of rare classes that it is expected to show, over those in the labels.
    rare/threshold: with rare_sampling=auto the image frequency below which a class is rare; 0 if nothing is sampled.
    """
    batches = trainer.train_loader.batch_sampler
    if not isinstance(batches, EpochBatches) or batches.exposure is None:
        return {}
    exposure, epoch = batches.exposure, trainer.epoch
    metrics = {"rare/exposure": exposure.of_rare(epoch < batches.draws.stop, epoch < batches.paste_until)}
    if trainer.args.rare_sampling == AUTO:
        metrics["rare/threshold"] = exposure.threshold if exposure.resamples else 0.0
    return metrics


def _pasting(trainer: Any, config: RareConfig, exposure: Exposure, crops: Crops | None) -> Pasting | None:
    if crops is None:
        return None
    return Pasting(config.paste, exposure.paste_chances, CropBank(crops), float(trainer.args.fliplr))


def _boxes(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """The image and the class of every box of a detection dataset; of every image of a classification dataset."""
    if isinstance(dataset, host.ClassificationDataset):
        return np.arange(len(dataset)), np.array([sample[1] for sample in dataset.samples], int)
    if not isinstance(dataset, host.BaseDataset):
        raise UnsupportedModelError(
            f"rare_sampling and rare_paste cannot act on a {type(dataset).__name__}; leave them out"
        )
    classes = [label["cls"].reshape(-1).astype(int) for label in dataset.labels]
    images = np.repeat(np.arange(len(classes)), [len(each) for each in classes])
    return images, np.concatenate(classes)


def _crops(dataset: Any, class_of_box: np.ndarray, classes: int, config: RareConfig) -> Crops | None:
    if not config.paste:
        return None
    wanted = below_median(np.bincount(class_of_box, minlength=classes))
    return find_crops(dataset.labels, wanted, int(dataset.imgsz))


def _start_epoch(trainer: Any) -> None:
    """Tell the batches where the training stands: their next iteration begins there, also after a resume."""
    loader = trainer.train_loader
    batches = loader.batch_sampler
    if not isinstance(batches, EpochBatches):
        return
    batches.epoch = trainer.epoch
    batches.paste_until = min(batches.draws.stop, trainer.epochs - trainer.args.close_mosaic)
    if loader.iterator is not None and trainer.epoch != batches.expected:
        loader.reset()  # a training that recovers from NaN repeats an epoch
    batches.expected = trainer.epoch + 1
