"""The examination of a training before it starts: its model, one batch, its labels, and what to do about them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

import yolo_focal
from yolo_focal.arguments.output import Output
from yolo_focal.data.label_statistics import SplitStatistics, split_statistics
from yolo_focal.data.yolo import YoloDataset
from yolo_focal.diagnosis.advice import Advice, Examination, advise
from yolo_focal.diagnosis.plot import plot_examination
from yolo_focal.diagnosis.rare_classes import rare_classes
from yolo_focal.errors import DataError
from yolo_focal.files import new_folder, write_json, write_text
from yolo_focal.ultra.anchor.checks import read_hyp_for
from yolo_focal.ultra.datasets import read_dataset
from yolo_focal.ultra.drivers.diagnosis import diagnose, load_for_diagnosis

__all__ = ["examine", "write_examination"]


def examine(arguments: dict[str, Any]) -> tuple[str, Examination, list[Advice]]:
    """Title, examination and advice for `arguments`, by the names of `yolo-focal doctor`; enables the plugin.

    Raises:
        YoloFocalError: a model, dataset or argument that cannot be used.
    """
    yolo_focal.enable()
    yolo = load_for_diagnosis(arguments["model"])
    dataset = read_dataset(arguments["data"])
    train, val = _statistics(dataset)
    settings = _training_arguments(arguments, dataset.yaml_file, yolo.model)
    diagnosis = diagnose(yolo, settings)
    train = _as_trained(dataset, train, diagnosis.kept)
    val = None if val is None else _as_trained(dataset, val, diagnosis.kept)
    rare = rare_classes(train, diagnosis.imgsz, settings, yolo.model)
    examination = Examination(diagnosis, train, val, rare, float(settings.get("cls_pw") or 0))
    title = (
        f"{Path(arguments['model']).name} on {dataset.yaml_file.name}: one batch of {diagnosis.images} images, "
        f"{diagnosis.objects} objects, {diagnosis.imgsz} px, seed {arguments['seed']}"
    )
    return title, examination, advise(examination)


def write_examination(out: Output, title: str, examination: Examination, text: str, document: dict[str, Any]) -> Path:
    """Write doctor.txt, doctor.json and doctor.png, and return the folder."""
    with new_folder(out.path, out.exist_ok) as folder:
        write_text(folder / "doctor.txt", text + "\n")
        write_json(folder / "doctor.json", document)
        plot_examination(title, examination, folder / "doctor.png")
    return out.path


def _statistics(dataset: YoloDataset) -> tuple[SplitStatistics, SplitStatistics | None]:
    """Of the training and the validation split.

    Raises:
        DataError: there is no training or validation split, or no usable label in training.
    """
    if "val" not in dataset.sources and "test" not in dataset.sources:
        raise DataError(f"{dataset.yaml_file} has no split 'val', without which Ultralytics does not train; add val:")
    train = split_statistics(dataset, "train")
    if not train.instances.sum():
        wrong = f" ({train.problems[0]})" if train.problems else ""
        raise DataError(
            f"{dataset.yaml_file}: the {train.images + train.images_dropped} training images have no usable label"
            f"{wrong}; expected text files in labels/ beside images/"
        )
    return train, split_statistics(dataset, "val") if "val" in dataset.sources else None


def _as_trained(dataset: YoloDataset, counted: SplitStatistics, kept: Mapping[str, tuple[str, ...]]) -> SplitStatistics:
    """The statistics of a split with what the trainer has kept of it, where it has dropped more than they say."""
    if counted.split not in kept or len(kept[counted.split]) >= counted.images:
        return counted
    return split_statistics(dataset, counted.split, kept=frozenset(kept[counted.split]))


def _training_arguments(arguments: dict[str, Any], data_yaml: Path, model: nn.Module) -> dict[str, Any]:
    """The arguments of the training to examine: all that were given, a hyperparameter file read."""
    given = {name: value for name, value in arguments.items() if name not in ("model", "out")}
    if given["device"] is None:
        del given["device"]
    from_file = read_hyp_for(model, given.pop("cfg"))[1] if given.get("cfg") else {}
    return {**from_file, **given, "data": str(data_yaml.absolute())}
