"""An evaluation as asked for: of a model or of a results file, checked first, and perhaps written into a folder."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo_focal.arguments.commands import chosen
from yolo_focal.data.coco import read_coco
from yolo_focal.errors import ConfigError
from yolo_focal.evaluation import plots
from yolo_focal.evaluation.boxes import Detections, GroundTruth
from yolo_focal.evaluation.coco_source import ground_truth_from_coco
from yolo_focal.evaluation.evaluation import evaluate_detections
from yolo_focal.evaluation.model import evaluate_model, evaluate_model_on_coco
from yolo_focal.evaluation.report import Report, evaluation_document, per_class_csv
from yolo_focal.evaluation.results_file import read_results
from yolo_focal.evaluation.training_counts import TrainingCounts, training_counts_from_coco
from yolo_focal.files import new_folder, write_json, write_text

__all__ = ["check_evaluation", "evaluated", "evaluated_into"]

_OF_A_MODEL = ("split", "imgsz", "conf", "iou", "max_det", "batch", "device", "nms", "trust")


def evaluated(arguments: dict[str, Any]) -> Report:
    """What `arguments`, by the names of `yolo-focal evaluate` and checked by `check_evaluation`, ask for.

    Raises:
        YoloFocalError: a file cannot be used.
    """
    return _of_results(arguments) if arguments["predictions"] else _of_model(arguments)


def evaluated_into(arguments: dict[str, Any], out: Path, exist_ok: bool) -> Report:
    """The report of `evaluated`, written into the folder `out` as evaluation.json, per_class.csv and pictures."""
    # First of all: an output folder that cannot be used must not cost an evaluation.
    with new_folder(out, exist_ok) as folder:
        report = evaluated(arguments)
        _write(report, folder, arguments["conf"])
    return report


def check_evaluation(arguments: Mapping[str, Any]) -> None:
    """Check that `arguments`, the values of `yolo-focal evaluate`, go together and that each can act.

    Raises:
        ConfigError: everything wrong with them at once.
    """
    given = {name for name in ("model", "data", "predictions", "annotations", "images") if arguments[name]}
    from_file = bool(arguments["data"]) and Path(arguments["data"]).suffix.lower() == ".json"
    problems = []
    if "predictions" in given:
        if "annotations" not in given:
            problems.append("predictions= needs annotations=, the COCO annotation file to measure against")
        if superfluous := sorted(given & {"model", "data", "images"}) + chosen("evaluate", arguments, _OF_A_MODEL):
            problems.append(f"predictions= is evaluated without a model: leave out {', '.join(superfluous)}")
    elif not {"model", "data"} <= given:
        problems.append("evaluate needs model= and data=, or predictions= and annotations=")
    elif from_file and "images" not in given:
        problems.append(
            f"data={arguments['data']} is a COCO annotation file: give the folder of its images with images="
        )
    elif from_file and "annotations" in given:
        problems.append("data= is already a COCO annotation file: leave out annotations=")
    elif "images" in given and not from_file:
        problems.append("images= belongs to a COCO annotation file given as data=; a data YAML names its own images")
    if "predictions" not in given and arguments["classes"] == "known":
        problems.append(
            "classes=known is about the category ids of predictions=; a model's classes go by name: leave it out"
        )
    if from_file and (unused := chosen("evaluate", arguments, ["split"])):
        problems.append(f"{unused[0]} is of a data YAML; a COCO annotation file is one split: leave it out")
    if ("predictions" in given or from_file) and not arguments["train_annotations"]:
        problems += [
            f"{rule} divides the classes by their frequency in training: give train_annotations=, or leave it out"
            for rule in chosen("evaluate", arguments, ["buckets"])
        ]
    if problems:
        raise ConfigError(problems)


def _of_results(arguments: dict[str, Any]) -> Report:
    annotations = read_coco(Path(arguments["annotations"]))
    ground_truth = ground_truth_from_coco(annotations)
    results = read_results(Path(arguments["predictions"]), ground_truth, arguments["classes"])
    training = _training_counts(arguments)
    evaluation = evaluate_detections(
        ground_truth, results.detections, training=training, bucket_rule=arguments["buckets"]
    )
    title = f"{arguments['predictions']} against {arguments['annotations']}"
    used = ("predictions", "annotations", "train_annotations", "buckets", "classes", "engine")
    notes = [*results.notes, *_problem_notes(annotations.problems)]
    report = Report(title, {name: arguments[name] for name in used}, evaluation, None, notes)
    return _by_engine(arguments["engine"], report, ground_truth, results.detections)


def _of_model(arguments: dict[str, Any]) -> Report:
    common = {
        "training": _training_counts(arguments),
        "class_rule": arguments["classes"],
        "bucket_rule": arguments["buckets"],
        **{name: arguments[name] for name in ("imgsz", "conf", "iou", "max_det", "batch", "device", "nms")},
    }
    file = arguments["annotations"] or (arguments["data"] if arguments["images"] else None)
    annotations = read_coco(Path(file)) if file else None
    if arguments["images"] and annotations is not None:
        model = evaluate_model_on_coco(arguments["model"], annotations, Path(arguments["images"]), **common)
    else:
        model = evaluate_model(
            arguments["model"], arguments["data"], split=arguments["split"], annotations=annotations, **common
        )
    notes = [*model.notes, *(_problem_notes(annotations.problems) if annotations else [])]
    trained, size = model.predictions.trained_imgsz, arguments["imgsz"]
    if trained not in (None, size):
        notes.append(
            f"evaluated at imgsz={size}, but trained at {trained}; imgsz={trained} is the size of its training"
        )
    for names, what in (
        (model.classes.not_predicted, "the model cannot predict these classes, all their objects count as missed"),
        (model.classes.not_in_dataset, "detections of these classes, which the dataset does not have, are left out"),
    ):
        if names:
            notes.append(f"{what}: {', '.join(names)}")
    if more := len(model.predictions.image_files) - len(model.ground_truth.image_ids):
        notes.append(
            f"{more} images of the split are not in the annotations: their detections are left out, but Ultralytics' "
            "own numbers, the candidates before NMS and the speed are of all images"
        )
    split = "" if arguments["images"] else f" ({arguments['split']})"
    title = f"{arguments['model']} on {arguments['data']}{split}"
    used = {name: value for name, value in arguments.items() if name not in ("predictions", "out")}
    report = Report(title, used, model.evaluation, model, notes)
    return _by_engine(arguments["engine"], report, model.ground_truth, model.detections)


def _by_engine(engine: str, report: Report, ground_truth: GroundTruth, detections: Detections) -> Report:
    """The report with COCO's numbers from the engine that was asked for."""
    if engine == "own":
        return report
    from yolo_focal.evaluation.pycocotools_engine import stats_by_pycocotools

    own, stats = report.evaluation.stats, stats_by_pycocotools(ground_truth, detections)
    apart = max(abs(own[name] - stats[name]) for name in own)
    note = f"COCO's twelve numbers are those of pycocotools; the own ones differ by {apart:.1g} at most"
    evaluation = dataclasses.replace(report.evaluation, stats=stats)
    return dataclasses.replace(report, evaluation=evaluation, notes=[*report.notes, note])


def _training_counts(arguments: dict[str, Any]) -> TrainingCounts | None:
    file = arguments["train_annotations"]
    if not file:
        return None
    return dataclasses.replace(training_counts_from_coco(read_coco(Path(file))), source=f"train_annotations={file}")


def _problem_notes(problems: list[Any]) -> list[str]:
    kinds: dict[str, list[Any]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    return [
        f"{len(found)} annotations with a problem: {kind}; the first is {found[0]}" for kind, found in kinds.items()
    ]


def _write(report: Report, folder: Path, conf: float) -> None:
    write_json(folder / "evaluation.json", evaluation_document(report))
    write_text(folder / "per_class.csv", per_class_csv(report.evaluation))
    plots.plot_per_class(report.evaluation, folder / "per_class.png")
    plots.plot_thresholds(report.evaluation, folder / "thresholds.png")
    plots.plot_reliability(report.evaluation.calibration, folder / "reliability.png")
    if report.model is not None and report.model.predictions.candidates_per_image is not None:
        plots.plot_candidates(report.model.predictions.candidates_per_image, conf, folder / "candidates.png")
