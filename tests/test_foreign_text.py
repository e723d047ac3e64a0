"""Names of a stranger's classes do not reach a terminal, a spreadsheet or a picture as commands."""

import csv
import io
import warnings
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.coco_files import write_coco
from tests.evaluation.test_report import report_of
from yolo_focal.cli import main
from yolo_focal.console import conclude, say
from yolo_focal.data.problem_lines import problem_lines
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.errors import reason_of
from yolo_focal.evaluation.plots import plot_per_class
from yolo_focal.evaluation.report import per_class_csv, summary_lines
from yolo_focal.evaluation.side_by_side import plot_classes
from yolo_focal.foreign_text import first_names, for_plot, for_spreadsheet, printable
from yolo_focal.text_table import aligned

HOSTILE = "\x1b[31mred\x1b[0m\n=SUM(A1)\u202e"


@given(st.text())
def test_printable_text_commands_nothing_and_is_unambiguous(text):
    """One line without control characters; what is printable stays as it is."""
    shown = printable(text)
    assert shown.isprintable() and "\n" not in shown
    if text.isprintable():
        assert shown == text


@given(st.text(min_size=1))
def test_no_cell_is_a_formula(text):
    """As a spreadsheet judges: by the first character."""
    assert for_spreadsheet(text)[0] not in "=+-@\t\r"


def test_pictures_take_dollars_for_dollars():
    """An unpaired one would be an error of Matplotlib's."""
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().set_title(for_plot("5$ and $x_{"))
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("name", ["猫", "x" * 300])
def test_pictures_of_classes_come_without_warnings(tmp_path, name):
    """Also where the font has no such signs, or the name would fill the page."""
    evaluation = report_of(classes=2).evaluation
    renamed = [replace(each, category=replace(each.category, name=name)) for each in evaluation.classes]
    evaluation = replace(evaluation, classes=tuple(renamed))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_per_class(evaluation, tmp_path / "a.png")
        plot_classes(tmp_path / "b.png", {"BCE": evaluation, "focal": evaluation}, "title")


def test_tables_are_lines():
    """A cell cannot break its row, or colour the rest of the screen."""
    lines = aligned([["class", "AP"], [HOSTILE, "0.5"]])
    assert len(lines) == 2 and all(line.isprintable() for line in lines)


@pytest.mark.parametrize("name", [HOSTILE, "=HYPERLINK(1)", "-1+1", "@x"])
def test_an_evaluation_shows_names_harmlessly(name):
    """In its table and its CSV."""
    report = report_of(classes=2)
    evaluation = report.evaluation
    first = evaluation.classes[0]
    renamed = replace(first, category=replace(first.category, name=name))
    report = replace(
        report,
        evaluation=replace(evaluation, classes=(renamed, *evaluation.classes[1:])),
        notes=[f"detections of these classes are left out: {name}"],
    )
    assert all(line.isprintable() for line in summary_lines(report))
    rows = list(csv.DictReader(io.StringIO(per_class_csv(report.evaluation))))
    assert rows[0]["name"] == for_spreadsheet(name)


def test_what_is_said_stays_lines_and_commands_nothing(capsys):
    """Whatever is printed on the way or at the end, and the lists of problems and names in it."""
    say(f"train: {HOSTILE}")
    conclude(f"a\nb {HOSTILE}", "")
    lines = [*problem_lines([HOSTILE]), first_names([HOSTILE])]
    assert len(lines) == 2 and all(line.isprintable() for line in lines)
    printed = capsys.readouterr().out.splitlines()
    assert "a" in printed and all(line.isprintable() for line in printed)


def test_a_subset_of_a_hostile_category_is_read_back(tmp_path, capsys):
    """It is named in notes, which stand in the data YAML as comments: no control character may be there."""
    source = write_coco(
        tmp_path / "source", {1: (32, 32)}, [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}], {1: HOSTILE}
    )
    words = [f"annotations={source.annotations}", f"images={source.images}", f"out={tmp_path / 'set'}"]
    assert main(["subset", *words, "min_per_class=5"]) == 0
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())
    assert read_data_yaml(tmp_path / "set" / "data.yaml").names == (HOSTILE,)


def test_the_words_of_another_package_lose_its_colours():
    """Ultralytics colours the prefix of some of its errors, which one line on standard error shows as they are."""
    assert (
        reason_of(ValueError("❌ \x1b[34m\x1b[1mtrain: \x1b[0m/data\ndoes not exist")) == "train: /data does not exist"
    )
    assert reason_of(ValueError()) == "ValueError"
