"""The outputs of an evaluation say the same thing, and the documentation describes them."""

import csv
import dataclasses
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.coco_reference import random_case
from yolo_focal.evaluation import plots
from yolo_focal.evaluation.agreement import Agreement, Step
from yolo_focal.evaluation.boxes import Detections
from yolo_focal.evaluation.evaluation import evaluate_detections
from yolo_focal.evaluation.report import Report, _agreement_lines, evaluation_document, per_class_csv, summary_lines
from yolo_focal.evaluation.thresholds import operating_point
from yolo_focal.evaluation.training_counts import TrainingCounts
from yolo_focal.results import EvaluateResult


def report_of(seed=0, classes=5, training=True, **case) -> Report:
    truth, found = random_case(seed, classes=classes, **case)
    counts = TrainingCounts(truth.names, list(range(classes)), list(range(classes))) if training else None
    return Report(
        "model on data", {"conf": 0.001}, evaluate_detections(truth, found, training=counts), None, ["a note"]
    )


@pytest.mark.parametrize("objects", [60, 3])  # with three, some classes have none
def test_bucket_means_are_means_of_their_classes(objects):
    """A bucket's AP, AP50 and AR are means over its classes with objects."""
    evaluation = report_of(objects=objects).evaluation
    for bucket in evaluation.buckets:
        members = [result for result in evaluation.classes if result.bucket == bucket.name and result.objects]
        assert bucket.evaluated == len(members)
        for column in ("ap", "ap50", "ar"):
            values = [getattr(result, column) for result in members]
            assert getattr(bucket, column) == pytest.approx(np.mean(values) if values else math.nan, nan_ok=True)


def test_the_mean_over_classes_is_the_stat():
    """AP, AP50, AP75 and AR100 of the table's last line are means of its columns."""
    evaluation = report_of().evaluation
    for name, column in (("AP", "ap"), ("AP50", "ap50"), ("AP75", "ap75"), ("AR100", "ar")):
        values = [getattr(result, column) for result in evaluation.classes if result.objects]
        assert evaluation.stats[name] == pytest.approx(np.mean(values))


@pytest.mark.parametrize("objects", [60, 1, 0])
def test_the_document_is_strict_json(objects):
    """Undefined numbers are null, so that every JSON reader takes the file."""
    content = evaluation_document(report_of(objects=objects))
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    undefined = [each for each in content["classes"] if each["objects"] == 0]
    assert all(each["AP"] is None and each["best_f1"] is None for each in undefined)


def test_the_csv_has_the_documents_numbers():
    """One row per class, with the same values at full precision."""
    report = report_of(objects=4)
    rows = list(csv.DictReader(io.StringIO(per_class_csv(report.evaluation))))
    for row, record in zip(rows, evaluation_document(report)["classes"], strict=True):
        assert (int(row["id"]), row["name"]) == (record["id"], record["name"])
        assert row["AP"] == ("" if record["AP"] is None else str(record["AP"]))
        assert row["best_f1_threshold"] == str(record["best_f1"]["threshold"] if record["best_f1"] else "")


@pytest.mark.parametrize("training", [True, False])
def test_the_table_shows_every_class_with_objects(training):
    """Columns line up, absent classes are listed, notes come last."""
    report = report_of(classes=8, objects=6, training=training)
    lines = summary_lines(report)
    for result in report.evaluation.classes:
        shown = [line for line in lines if line.startswith(result.category.name)]
        assert len(shown) == (result.objects > 0)
    table = lines[3 : next(i for i, line in enumerate(lines) if line.startswith("all")) + 1]
    assert len({len(line) for line in table}) == 1
    assert any(line.startswith("without objects here:") for line in lines)
    assert ("rare" in " ".join(table)) == training
    assert lines[-1] == "Note: a note"


def test_every_key_is_documented():
    """docs/evaluation.md names each key of evaluation.json and each column of per_class.csv."""
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    content = evaluation_document(report_of())

    def keys(value):
        if isinstance(value, dict):
            yield from value
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from keys(each)

    named = set(keys(content)) | set(per_class_csv(report_of().evaluation).splitlines()[0].split(","))
    assert [key for key in sorted(named) if f"`{key}`" not in text] == []


@pytest.mark.parametrize(("objects", "detections"), [(60, 400), (0, 20), (1, 1), (60, 0)])
def test_plots_are_pictures(tmp_path, objects, detections):
    """Every plot is drawn for ordinary, object-free and nearly empty evaluations."""
    evaluation = report_of(objects=objects, detections=detections).evaluation
    plots.plot_per_class(evaluation, tmp_path / "per_class.png")
    plots.plot_thresholds(evaluation, tmp_path / "thresholds.png")
    plots.plot_reliability(evaluation.calibration, tmp_path / "reliability.png")
    plots.plot_candidates([5, 9, 9], 0.001, tmp_path / "candidates.png")
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            assert min(image.size) > 200
            assert len(image.convert("RGB").getcolors(1 << 24)) > 2


def test_classes_that_are_called_like_numbers_stay_texts():
    """In rows, as in the document."""
    report = report_of()
    names = ("0", "nan", "1e3", "inf", "-7")
    classes = tuple(
        dataclasses.replace(each, category=dataclasses.replace(each.category, name=name))
        for each, name in zip(report.evaluation.classes, names, strict=True)
    )
    result = EvaluateResult(
        dataclasses.replace(report, evaluation=dataclasses.replace(report.evaluation, classes=classes))
    )
    assert [row["name"].lstrip("'") for row in result.rows()] == list(names)
    assert all(isinstance(row["AP"], float) for row in result.rows())


def test_f1_is_told_at_the_conf_of_the_run_where_that_is_higher():
    """Below it nothing was seen; up to 0.25 it is Ultralytics' default that counts."""
    truth, found = random_case(0)
    kept = found.scores >= 0.5
    columns = (found.image, found.category, found.boxes_xywh, found.scores)
    seen = Detections(*(column[kept] for column in columns))
    cut = evaluate_detections(truth, seen, conf=0.5)
    assert cut.at_default_conf == operating_point(evaluate_detections(truth, found).matches, 0.5)
    report = Report("model on data", {}, cut, None, [])
    assert "; at conf=0.5, the least of this run, it is" in "\n".join(summary_lines(report))
    report = dataclasses.replace(report, evaluation=evaluate_detections(truth, found, conf=0.1))
    assert "; at Ultralytics' default conf=0.25 it is" in "\n".join(summary_lines(report))


@pytest.mark.parametrize(("classes", "told"), [(100, False), (101, True)])
def test_the_picture_says_when_it_leaves_classes_out(tmp_path, monkeypatch, classes, told):
    """Not when it just has room for all."""
    evaluation = report_of(classes=2).evaluation
    result = evaluation.classes[0]
    assert result.objects
    titles = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: titles.append(figure.axes[0].get_title()))
    plots.plot_per_class(dataclasses.replace(evaluation, classes=(result,) * classes), tmp_path / "a.png")
    assert ("the 100 least frequent classes" in titles[0]) == told


def test_no_objects_prints_dashes():
    """Without objects nothing is claimed."""
    report = report_of(objects=0)
    last = next(line for line in summary_lines(report) if line.startswith("all"))
    assert set(last.split()[2:]) == {"-"}
    assert math.isnan(report.evaluation.buckets[0].ap)
    assert EvaluateResult(report).headline().endswith(", AP -")


def test_a_model_that_found_nothing_has_no_threshold():
    """Best F1 is 0 at any, and the text says what that means."""
    lines = summary_lines(report_of(objects=60, detections=0))
    assert next(line for line in lines if line.startswith("all")).split()[-2:] == ["0.000", "-"]
    assert "No detection is right at IoU 0.5: nothing was learnt, or the labels belong to other images" in lines


def test_equal_numbers_are_not_explained():
    """Steps that come to nothing are left out; others stand with their reason."""
    step = Step("boxes are clipped", ap=0.00001, ap50=0.0)
    assert _agreement_lines(Agreement((0.5, 0.6), (0.5, 0.6), (step,))) == [
        "Ultralytics' own numbers are the same: mAP50-95 0.5000, mAP50 0.6000"
    ]
    apart = Agreement((0.5, 0.6), (0.51, 0.6), (dataclasses.replace(step, ap=0.01),))
    assert _agreement_lines(apart)[1:] == ["  +0.0100 and +0.0000: boxes are clipped"]


def test_every_image_with_as_many_candidates_is_a_bar_that_is_seen(tmp_path):
    """Not a line behind that of the mean."""
    plots.plot_candidates([450] * 87, 0.001, tmp_path / "candidates.png")
    with Image.open(tmp_path / "candidates.png") as image:
        colours = {colour: count for count, colour in image.convert("RGB").getcolors(1 << 24)}
    assert colours[(0, 0x72, 0xB2)] > 2000


def test_calibration_is_told_with_and_without_hopeless_detections():
    """`calibration` begins at a score of 0.05, `calibration_of_all` has every detection that counts."""
    evaluation = evaluate_detections(*random_case(0))
    scores = evaluation.matches.scores[~evaluation.matches.ignored[0]]
    assert evaluation.calibration.detections == (scores >= 0.05).sum() < len(scores)
    assert evaluation.calibration_of_all.detections == len(scores)
