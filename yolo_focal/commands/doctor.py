"""`yolo-focal doctor`: what will really run on this model and dataset, who pulls, and whether a loss is the lever."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo_focal.commands.arguments import Argument, number
from yolo_focal.errors import DataError
from yolo_focal.files import new_folder, numbered_folder, write_json, write_text

if TYPE_CHECKING:  # the layers below load torch and Matplotlib, which `yolo-focal help` does without
    from yolo_focal.data.label_statistics import SplitStatistics
    from yolo_focal.data.yolo import YoloDataset

__all__ = ["ARGUMENTS", "SUMMARY", "passed_through", "run"]

SUMMARY = "which loss runs where, gradient of positives, negatives and classes, data problems, advice"
ARGUMENTS = (
    Argument("model", None, "architecture or checkpoint, as it would be trained", required=True),
    Argument("data", None, "dataset: a data YAML, or shapes", required=True),
    Argument("imgsz", 640, "side of the network's input in pixels", number(int, 32)),
    Argument("batch", 16, "images in the batch", number(int, 1)),
    Argument("seed", 0, "seed of the weights, the batch and its augmentation", number(int, 0)),
    Argument("device", None, "as for yolo: cpu, 0, ...; a GPU where there is one"),
    Argument("out", "runs/doctor", "folder of doctor.txt, doctor.json and doctor.png; numbered when it exists"),
)
_NOT_THE_FIRST_BATCH = ("mode", "task", "resume", "val", "plots", "save", "verbose", "time", "distill_model")
_FOLDERS = ("project", "name", "exist_ok", "save_dir")
_FIXED = ("workers", "amp", "compile", "multi_scale")  # set by the measurement
_OTHER_DATA = ("classes", "single_cls", "fraction")  # the counted classes and images would not be those of the batch
_LEFT_OUT = frozenset([*_NOT_THE_FIRST_BATCH, *_FOLDERS, *_FIXED, *_OTHER_DATA])


def passed_through() -> list[str]:
    """The training arguments of Ultralytics and of this plugin: the doctor examines the training they make."""
    import yolo_focal
    from yolo_focal.ultra.drivers.asked_and_used import known_arguments

    yolo_focal.enable()
    return [name for name in known_arguments() if name not in _LEFT_OUT]


def run(arguments: dict[str, Any]) -> int:
    """Examine, write the three files, print the page.

    Raises:
        YoloFocalError: a model, dataset or argument that cannot be used; nothing was written.
    """
    import yolo_focal
    from yolo_focal.data.yolo import read_data_yaml
    from yolo_focal.diagnosis.advice import Examination, advise
    from yolo_focal.diagnosis.plot import plot_examination
    from yolo_focal.diagnosis.report import document, page
    from yolo_focal.ultra.datasets import datasets_folder, find_data_yaml
    from yolo_focal.ultra.drivers.diagnosis import diagnose, load_for_diagnosis

    yolo_focal.enable()
    yolo = load_for_diagnosis(arguments["model"])
    dataset = read_data_yaml(find_data_yaml(arguments["data"]), datasets_folder())
    train, val = _statistics(dataset)
    settings = _training_arguments(arguments, dataset.yaml_file)
    examination = Examination(diagnose(yolo, settings), train, val)
    advice = advise(examination)
    diagnosis = examination.diagnosis
    title = (
        f"{Path(arguments['model']).name} on {dataset.yaml_file.name}: one batch of {diagnosis.images} images, "
        f"{diagnosis.objects} objects, {diagnosis.imgsz} px, seed {arguments['seed']}"
    )
    text = page(title, examination, advice)
    out = numbered_folder(Path(arguments["out"]))
    with new_folder(out) as folder:
        write_text(folder / "doctor.txt", text + "\n")
        write_json(folder / "doctor.json", document(title, arguments, examination, advice))
        plot_examination(title, examination, folder / "doctor.png")
    print(f"\n{text}\n\nWritten to {out}: doctor.txt, doctor.json, doctor.png")
    return 0


def _statistics(dataset: "YoloDataset") -> tuple["SplitStatistics", "SplitStatistics | None"]:
    """Of the training and the validation split.

    Raises:
        DataError: there is no training or validation split, or no usable label in training.
    """
    from yolo_focal.data.label_statistics import split_statistics

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


def _training_arguments(arguments: dict[str, Any], data_yaml: Path) -> dict[str, Any]:
    """The arguments of the training to examine: all that were given, a hyperparameter file read."""
    from yolo_focal.arguments.hyp import find_hyp, read_hyp

    given = {name: value for name, value in arguments.items() if name not in ("model", "out")}
    if given["device"] is None:
        del given["device"]
    from_file = read_hyp(find_hyp(given.pop("cfg"))) if given.get("cfg") else {}
    return {**from_file, **given, "data": str(data_yaml.absolute())}
