"""yolo-focal evaluate: COCO's numbers for a model or a results file, by class and by class frequency."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo_focal.commands.arguments import Argument, choice, number, switch, text
from yolo_focal.errors import ConfigError
from yolo_focal.files import new_folder, write_json, write_text

if TYPE_CHECKING:  # the layers below load torch and Matplotlib, which `yolo-focal help` does without
    from yolo_focal.evaluation.report import Report
    from yolo_focal.evaluation.training_counts import TrainingCounts

__all__ = ["ARGUMENTS", "SUMMARY", "run"]

SUMMARY = "COCO's AP by class and class frequency, thresholds, calibration: of a model or a results file"
ARGUMENTS = (
    Argument("model", None, "model to evaluate: a checkpoint or an exported model", text),
    Argument("data", None, "its dataset: a data YAML, shapes, or a COCO annotation file (with images=)", text),
    Argument("split", "val", "split of the data YAML", choice("train", "val", "test")),
    Argument("predictions", None, "in place of a model: a COCO results file (with annotations=)", text),
    Argument("annotations", None, "COCO annotation file to measure against, in place of YOLO labels", text),
    Argument("images", None, "folder of the images of a COCO annotation file given as data=", text),
    Argument("train_annotations", None, "COCO annotation file to count class frequencies in", text),
    Argument(
        "buckets", "thirds", "rare/common/frequent: thirds of the classes, or lvis thresholds", choice("thirds", "lvis")
    ),
    Argument(
        "classes",
        "match",
        "match: model by class name, predictions by category_id; known: leave out ids not annotated; index: by number",
        choice("match", "known", "index"),
    ),
    Argument("imgsz", 640, "side of the network's input in pixels", number(int, 32)),
    Argument("conf", 0.001, "least score of a detection", number(float, 0, 1)),
    Argument("iou", 0.7, "overlap above which NMS drops the weaker box", number(float, 0, 1)),
    Argument("max_det", 300, "most detections an image", number(int, 1)),
    Argument("batch", 16, "images at a time", number(int, 1)),
    Argument("device", None, "device, as Ultralytics writes it: cpu, 0, mps", text),
    Argument("nms", None, "False: evaluate the NMS-free head of an end-to-end model, not the one for NMS", switch),
    Argument("out", "evaluation", "new folder for evaluation.json, per_class.csv and the plots", text),
)


def run(arguments: dict[str, Any]) -> int:
    """Evaluate, write the output folder, print the table."""
    _check(arguments)
    out = Path(arguments["out"])
    with new_folder(out) as folder:  # first of all: an output folder that cannot be used must not cost an evaluation
        report = _of_results(arguments) if arguments["predictions"] else _of_model(arguments)
        _write(report, folder, arguments["conf"])
    from yolo_focal.evaluation.report import summary_lines

    print("\n".join(["", *summary_lines(report), f"Written to {out}"]))
    return 0


def _check(arguments: dict[str, Any]) -> None:
    given = {name for name in ("model", "data", "predictions", "annotations", "images") if arguments[name]}
    from_file = bool(arguments["data"]) and Path(arguments["data"]).suffix.lower() == ".json"
    problems = []
    if "predictions" in given:
        if "annotations" not in given:
            problems.append("predictions= needs annotations=, the COCO annotation file to measure against")
        if superfluous := sorted(given & {"model", "data", "images"}):
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
    if problems:
        raise ConfigError(problems)


def _of_results(arguments: dict[str, Any]) -> "Report":
    from yolo_focal.data.coco import read_coco
    from yolo_focal.evaluation.coco_source import ground_truth_from_coco
    from yolo_focal.evaluation.evaluation import evaluate_detections
    from yolo_focal.evaluation.report import Report
    from yolo_focal.evaluation.results import read_results

    annotations = read_coco(Path(arguments["annotations"]))
    ground_truth = ground_truth_from_coco(annotations)
    results = read_results(Path(arguments["predictions"]), ground_truth, arguments["classes"])
    training = _training_counts(arguments)
    evaluation = evaluate_detections(
        ground_truth, results.detections, training=training, bucket_rule=arguments["buckets"]
    )
    title = f"{arguments['predictions']} against {arguments['annotations']}"
    used = ("predictions", "annotations", "train_annotations", "buckets", "classes")
    notes = [*results.notes, *_problem_notes(annotations.problems)]
    return Report(title, {name: arguments[name] for name in used}, evaluation, None, notes)


def _of_model(arguments: dict[str, Any]) -> "Report":
    from yolo_focal.data.coco import read_coco
    from yolo_focal.evaluation.model import evaluate_model, evaluate_model_on_coco
    from yolo_focal.evaluation.report import Report

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
    notes = _problem_notes(annotations.problems) if annotations else []
    for names, what in (
        (model.classes.not_predicted, "the model cannot predict these classes, all their objects count as missed"),
        (model.classes.not_in_dataset, "detections of these classes, which the dataset does not have, are left out"),
    ):
        if names:
            notes.append(f"{what}: {', '.join(names)}")
    split = "" if arguments["images"] else f" ({arguments['split']})"
    title = f"{arguments['model']} on {arguments['data']}{split}"
    used = {name: value for name, value in arguments.items() if name not in ("predictions", "out")}
    return Report(title, used, model.evaluation, model, notes)


def _training_counts(arguments: dict[str, Any]) -> "TrainingCounts | None":
    from yolo_focal.data.coco import read_coco
    from yolo_focal.evaluation.training_counts import training_counts_from_coco

    file = arguments["train_annotations"]
    return training_counts_from_coco(read_coco(Path(file))) if file else None


def _problem_notes(problems: list[Any]) -> list[str]:
    kinds: dict[str, list[Any]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    return [
        f"{len(found)} annotations with a problem: {kind}; the first is {found[0]}" for kind, found in kinds.items()
    ]


def _write(report: "Report", folder: Path, conf: float) -> None:
    from yolo_focal.evaluation import plots
    from yolo_focal.evaluation.report import document, per_class_csv

    write_json(folder / "evaluation.json", document(report))
    write_text(folder / "per_class.csv", per_class_csv(report.evaluation))
    plots.plot_per_class(report.evaluation, folder / "per_class.png")
    plots.plot_thresholds(report.evaluation, folder / "thresholds.png")
    plots.plot_reliability(report.evaluation.calibration, folder / "reliability.png")
    if report.model is not None and report.model.predictions.candidates_per_image is not None:
        plots.plot_candidates(report.model.predictions.candidates_per_image, conf, folder / "candidates.png")
