"""The Python functions, one for each of doctor, compare, evaluate, calibrate, tune, subset and convert.

They take the arguments of the command by the same names, and return a result to work with.

Values are checked as the command line checks them. Nothing is written but where `out`, or `project` and `name`, say so;
`compare`, `convert`, `calibrate`, `subset` and `tune` are there to write, and do so where the command would.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from yolo_focal.arguments.command_line import check_values
from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.arguments.key import plain
from yolo_focal.arguments.output import PROJECT, Output, take_output
from yolo_focal.arguments.passed_on import passed_on
from yolo_focal.console import is_quiet, quiet
from yolo_focal.files import check_new_folder, check_writable
from yolo_focal.results import (
    CalibrateResult,
    CompareResult,
    ConvertResult,
    DoctorResult,
    EvaluateResult,
    SubsetResult,
    TuneResult,
)

__all__ = ["calibrate", "compare", "convert", "doctor", "evaluate", "subset", "training_arguments", "tune"]

StrPath = str | Path


def training_arguments(command: str) -> list[str]:
    """The training arguments of Ultralytics and of this plugin that a command passes on; enables the plugin."""
    if command == "demo":  # takes none of Ultralytics'
        return passed_on(command, ())
    import yolo_focal
    from yolo_focal.ultra import host

    yolo_focal.enable()
    return passed_on(command, host.DEFAULT_CFG_DICT)


def _values(command: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The checked values of a function's arguments, those in its `training` among them."""
    own = dict(given)
    training = own.pop("training", {})
    extra = training_arguments(command) if training else ()
    plain = {name: _plain(value, name in training) for name, value in {**own, **training}.items()}
    return check_values(command, COMMANDS[command].keys, plain, extra)


def _plain(value: Any, of_training: bool) -> Any:
    """Numbers of NumPy and torch as Python's; paths of a training as text: both are written as JSON and YAML."""
    if of_training and isinstance(value, PurePath):
        return str(value)
    return plain(value)


def _asked_output(command: str, values: dict[str, Any]) -> Output | None:
    """Where to write, or None where nobody named a place."""
    asked = values["out"] is not None or values["name"] is not None or values["project"] != PROJECT
    output = take_output(command, values)
    return output if asked else None


@contextlib.contextmanager
def _at_work(values: dict[str, Any]) -> Iterator[None]:
    """Load checkpoints and print as `trust` and `verbose` say, which are taken out of `values`; check the others first.

    Raises:
        ConfigError: a device, image size or optimizer that Ultralytics would refuse once it has begun.
    """
    import yolo_focal
    from yolo_focal.ultra.drivers.check_before_run import check_before_run
    from yolo_focal.ultra.hooks.checkpoints import safe_loading
    from yolo_focal.ultra.logger import warnings_only

    with quiet(not values.pop("verbose")), safe_loading(values.pop("trust", False)):
        elsewhere = values.get("engine") == "ray" or values.get("use_ray")  # on devices of a cluster
        check_before_run({**values, "device": None} if elsewhere else values)
        if not is_quiet():
            yield
            return
        yolo_focal.enable()  # loads Ultralytics, which sets up its log
        with warnings_only():
            yield


def evaluate(
    model: StrPath | None = None,
    data: StrPath | None = None,
    *,
    split: str = "val",
    predictions: StrPath | None = None,
    annotations: StrPath | None = None,
    images: StrPath | None = None,
    train_annotations: StrPath | None = None,
    buckets: str = "thirds",
    classes: str = "match",
    imgsz: int = 640,
    conf: float = 0.001,
    iou: float = 0.7,
    max_det: int = 300,
    batch: int = 16,
    device: str | None = None,
    nms: bool | None = None,
    engine: str = "own",
    trust: bool = False,
    verbose: bool = True,
    project: StrPath = "runs",
    name: str | None = None,
    out: StrPath | None = None,
    exist_ok: bool = False,
) -> EvaluateResult:
    """COCO's numbers for a model or a results file, by class and by class frequency.

    Args:
        model: a checkpoint or an exported model.
        data: its dataset: a data YAML, `shapes`, or a COCO annotation file together with `images`.
        split: of the data YAML.
        predictions: in place of a model, a COCO results file; with `annotations`.
        annotations: COCO annotation file to measure against, in place of YOLO labels.
        images: folder of the images of a COCO annotation file given as `data`.
        train_annotations: COCO annotation file to count class frequencies in.
        buckets: `thirds` of the classes, or `lvis` thresholds, for rare, common and frequent.
        classes: `match`, `known` or `index`, see docs/evaluation.md.
        imgsz: side of the network's input in pixels.
        conf: least score of a detection, in [0, 1].
        iou: overlap above which NMS drops the weaker box, in [0, 1].
        max_det: most detections an image.
        batch: images at a time.
        device: as Ultralytics writes it.
        nms: False for the NMS-free head of an end-to-end model.
        engine: of COCO's twelve numbers: `own`, or `pycocotools`, the reference implementation.
        trust: load checkpoints by unpickling them, which may run code of whoever wrote them.
        verbose: False for no progress bars, and warnings alone from Ultralytics.
        project: folder of the numbered output folders; where it, `name` and `out` are left out, nothing is written.
        name: output folder in `project`: NAME, or NAME2, NAME3, ... if that exists; by default that of the command.
        out: in place of both, the folder of evaluation.json, per_class.csv and the plots.
        exist_ok: write into a folder that exists; files of the same names are replaced.

    Raises:
        YoloFocalError: an argument is wrong, or a file cannot be used; nothing was written.
    """
    values = _values("evaluate", locals())
    from yolo_focal.evaluation.evaluate import check_evaluation, evaluated, evaluated_into

    check_evaluation(values)
    output = _asked_output("evaluate", values)
    with _at_work(values):
        if output is None:
            return EvaluateResult(evaluated(values))
        return EvaluateResult(evaluated_into(values, output.path, output.exist_ok))


def doctor(
    model: StrPath,
    data: StrPath,
    *,
    imgsz: int = 640,
    batch: int = 16,
    seed: int = 0,
    device: str | None = None,
    trust: bool = False,
    verbose: bool = True,
    project: StrPath = "runs",
    name: str | None = None,
    out: StrPath | None = None,
    exist_ok: bool = False,
    **training: Any,
) -> DoctorResult:
    """Which loss runs where, gradient of positives, negatives and classes, data problems, advice.

    Args:
        model: architecture or checkpoint, as it would be trained.
        data: a data YAML, or `shapes`.
        imgsz: side of the network's input in pixels.
        batch: images in the batch.
        seed: of the weights, the batch and its augmentation.
        device: as Ultralytics writes it.
        trust: load checkpoints by unpickling them, which may run code of whoever wrote them.
        verbose: False for no progress bars, and warnings alone from Ultralytics.
        project: folder of the numbered output folders; where it, `name` and `out` are left out, nothing is written.
        name: output folder in `project`: NAME, or NAME2, NAME3, ... if that exists; by default that of the command.
        out: in place of both, the folder of doctor.txt, doctor.json and doctor.png.
        exist_ok: write into a folder that exists; files of the same names are replaced.
        training: training arguments; the training they make is examined.

    Raises:
        YoloFocalError: a model, dataset or argument that cannot be used; nothing was written.
    """
    values = _values("doctor", locals())
    from yolo_focal.diagnosis.examine import examine, write_examination

    output = _asked_output("doctor", values)
    if output is not None:
        check_new_folder(output.path, output.exist_ok)
    with _at_work(values):
        title, examination, advice = examine(values)
    result = DoctorResult(title, values, examination, tuple(advice))
    if output is None:
        return result
    return replace(result, out=write_examination(output, title, examination, result.summary(), result.to_dict()))


def compare(
    data: StrPath,
    model: StrPath,
    *,
    losses: str | Sequence[str] = "bce,focal,qfl",
    seeds: int | Sequence[int] = (0, 1, 2),
    epochs: int = 100,
    imgsz: int = 640,
    batch: int = 16,
    device: str | None = None,
    split: str = "val",
    resamples: int = 1000,
    engine: str = "local",
    parallel: int = 2,
    extend: bool = False,
    keep: str = "last",
    dry_run: bool = False,
    trust: bool = False,
    verbose: bool = True,
    project: StrPath = "runs",
    name: str | None = None,
    out: StrPath | None = None,
    **training: Any,
) -> CompareResult:
    """Train losses side by side over several seeds, and say which is better, with 95 % intervals.

    Args:
        data: a data YAML, or `shapes`.
        model: architecture or checkpoint that every trial starts from.
        losses: configurations; BCE is always among them. See docs/compare.md.
        seeds: number of trainings of each, or a list of the seeds themselves.
        epochs: length of each training.
        imgsz: side of the network's input in pixels.
        batch: images per step.
        device: as Ultralytics writes it.
        split: of the data YAML to evaluate on.
        resamples: of the images, behind each interval.
        engine: `local`, one trial at a time, or `ray`.
        parallel: with `ray` and no cluster, trials at a time.
        extend: add seeds or losses to the comparison in `out`.
        keep: weights that stay of each trial once it is evaluated: `last`, `none`, `best` or `all`.
        dry_run: train and write nothing; `summary()` of the result is the plan.
        trust: load checkpoints by unpickling them, which may run code of whoever wrote them.
        verbose: False for no progress bars, and warnings alone from Ultralytics.
        project: folder of the output folder.
        name: output folder in `project`, by default compare; the same one again continues its comparison.
        out: in place of both, the folder itself.
        training: training arguments that all configurations share.

    Raises:
        YoloFocalError: anything with which a trial could only fail; nothing was started.
    """
    losses = losses if isinstance(losses, str) else ",".join(losses)
    values = _values("compare", locals())
    from yolo_focal.comparison.compare import compared

    values["out"] = take_output("compare", values, numbered=False).path
    with _at_work(values):
        return CompareResult(*compared(values))


def calibrate(
    model: StrPath,
    data: StrPath,
    *,
    split: str = "val",
    evaluate_split: str | None = None,
    per_class: bool = False,
    imgsz: int | None = None,
    iou: float = 0.7,
    max_det: int = 300,
    batch: int = 16,
    device: str | None = None,
    trust: bool = False,
    verbose: bool = True,
    project: StrPath = "runs",
    name: str | None = None,
    out: StrPath | None = None,
    exist_ok: bool = False,
) -> CalibrateResult:
    """Refit the scores of a checkpoint on a split and write a stock checkpoint with the map folded into its weights.

    Args:
        model: checkpoint (.pt).
        data: a data YAML, or `shapes`.
        split: to fit the map on.
        evaluate_split: to measure before and after on; by default test or val, whichever was not fitted on.
        per_class: a shift for each class on top of the common map.
        imgsz: side of the network's input in pixels; by default as in its training.
        iou: overlap above which NMS drops the weaker box, in [0, 1].
        max_det: most detections an image.
        batch: images at a time.
        device: as Ultralytics writes it.
        trust: load checkpoints by unpickling them, which may run code of whoever wrote them.
        verbose: False for no progress bars, and warnings alone from Ultralytics.
        project: folder of the numbered output folders.
        name: output folder in `project`: NAME, or NAME2, NAME3, ... if that exists; by default calibrate.
        out: in place of both, the folder of NAME-calibrated.pt, its .json and .png, or the checkpoint itself (.pt).
        exist_ok: write into a folder that exists; files of the same names are replaced.

    Raises:
        YoloFocalError: the model, the data or the output cannot be used; nothing was written.
    """
    values = _values("calibrate", locals())
    from yolo_focal.evaluation.recalibration.calibrate import calibrated

    output = take_output("calibrate", values)
    with _at_work(values):
        written, used, results = calibrated(values, output)
    return CalibrateResult(written, used, tuple(results))


def convert(
    weights: StrPath,
    *,
    data: StrPath | None = None,
    verbose: bool = True,
    project: StrPath = "runs",
    name: str | None = None,
    out: StrPath | None = None,
    exist_ok: bool = False,
) -> ConvertResult:
    """Make this package's anchor detector of an original YOLOv5 checkpoint; nothing in that file is executed.

    Args:
        weights: original checkpoint (v6.0 to v7.0, n to x, P5 or P6).
        data: a data YAML; its number of classes must be the checkpoint's.
        verbose: False for no progress bars, and warnings alone from Ultralytics.
        project: folder of the numbered output folders.
        name: output folder in `project`: NAME, or NAME2, NAME3, ... if that exists; by default convert.
        out: in place of both, the folder of NAME-anchor.pt, or the checkpoint itself (.pt).
        exist_ok: write into a folder that exists; files of the same names are replaced.

    Raises:
        CheckpointError: the file is no original YOLOv5 detection checkpoint, or has other classes than `data`.
        ConfigError, DataError: `out` or `data` cannot be used.
    """
    values = _values("convert", locals())
    from yolo_focal.arguments.checkpoint_path import checkpoint_path
    from yolo_focal.detector.checkpoint import read_original

    source: Path = values["weights"]
    output = take_output("convert", values)
    written = checkpoint_path(source, output, "anchor")
    original = read_original(source)
    check_writable(written, output.exist_ok)
    import yolo_focal
    from yolo_focal.ultra.anchor.checkpoint import build_model, check_classes, save_model

    if values["data"] is not None:
        check_classes(len(original.names), values["data"])
    yolo_focal.enable()
    with _at_work(values):
        model = build_model(original)
        save_model(model, written, source)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    names, strides = tuple(original.names), tuple(original.strides)
    return ConvertResult(written, parameters, names, strides, original.fused, values["data"])


def subset(
    annotations: StrPath,
    out: StrPath | None = None,
    *,
    verbose: bool = True,
    project: StrPath = "runs",
    name: str | None = None,
    images: StrPath | None = None,
    categories: Sequence[str] = (),
    labels: str = "selected",
    max_images: int | None = None,
    min_per_class: int | None = None,
    max_per_class: int | None = None,
    profile: str | None = None,
    imbalance: float = 50.0,
    largest: int | None = None,
    keep_empty: bool = False,
    val_annotations: StrPath | None = None,
    val_images: StrPath | None = None,
    val_share: float = 0.0,
    link: str = "copy",
    seed: int = 0,
) -> SubsetResult:
    """Write a subset of a COCO-format dataset, for YOLO and for COCO tools.

    Args:
        annotations: COCO-format JSON file, or train2017 / val2017 (downloaded if needed).
        out: new folder, in place of `project` and `name`.
        verbose: False for no progress bars, and warnings alone from Ultralytics.
        project: folder of the numbered output folders.
        name: output folder in `project`: NAME, or NAME2, NAME3, ... if that exists; by default subset.
        images: folder of the images; not needed for train2017 / val2017.
        categories: names or ids of the categories that decide which images come in; all if empty.
        labels: write objects of the `selected` categories only, or of `all`.
        max_images: most training images.
        min_per_class: training instances to reach for every class.
        max_per_class: training instances no class may exceed.
        profile: long tail over training instances: exponential or zipf.
        imbalance: of the long tail: instances of the most over those of the least frequent class.
        largest: of the long tail: instances of the most frequent class.
        keep_empty: also take images without any annotation.
        val_annotations: annotations of the validation split.
        val_images: folder of its images.
        val_share: share of the images set aside for validation, in [0, 0.9], without `val_annotations`.
        link: how images get there: copy, hardlink or symlink.
        seed: of every random choice.

    Raises:
        YoloFocalError: arguments that do not go together, or data that cannot be used; nothing was written.
    """
    values = _values("subset", locals())
    from yolo_focal.ultra.drivers.coco_subset import written_subset

    values["out"] = take_output("subset", values).path
    with _at_work(values):
        return SubsetResult(values["out"], written_subset(values))


def tune(
    model: StrPath,
    data: StrPath,
    *,
    space: StrPath = "focal",
    iterations: int = 30,
    use_ray: bool = False,
    trust: bool = False,
    verbose: bool = True,
    out: StrPath | None = None,
    **training: Any,
) -> TuneResult:
    """Search training arguments with Ultralytics' tuner or Ray Tune, the focal ones among them.

    Args:
        model: architecture or checkpoint that every trial starts from.
        data: dataset to train and validate on.
        space: a YAML file of lines `key: [low, high]`, or a name in cfg/search.
        iterations: number of trials.
        use_ray: Ray Tune, with as many trials at a time as the machine has room for.
        trust: load checkpoints by unpickling them, which may run code of whoever wrote them.
        verbose: False for no output but warnings.
        out: hyperparameter file for the best values; by default best.yaml in the tuner's folder.
        training: training arguments for all trials.

    Raises:
        YoloFocalError: the space or an argument is wrong; no trial was started.
    """
    values = _values("tune", locals())
    import yolo_focal

    yolo_focal.enable()
    from yolo_focal.ultra.drivers.tuning import tuned

    own = {key.name for key in COMMANDS["tune"].keys}
    with _at_work(values):
        return TuneResult(*tuned(values, {name: value for name, value in values.items() if name not in own}))
