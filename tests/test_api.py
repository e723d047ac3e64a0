"""The Python functions: the same arguments, checks and results as the commands, and nothing heavy at import."""

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import yolo_focal
from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.cli import main
from yolo_focal.errors import ConfigError, DataError, MissingExtraError
from yolo_focal.results import ConvertResult, Result

FUNCTIONS = sorted(set(COMMANDS) & set(yolo_focal.__all__))


@pytest.fixture(scope="module")
def evaluated(chatty_checkpoint, small_set, tmp_path_factory):
    """What `evaluate` returns; unless asked it writes nothing where it is called."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder := tmp_path_factory.mktemp("evaluated"))
        result = yolo_focal.evaluate(chatty_checkpoint, small_set, imgsz=64, batch=4)
    yolo_focal.disable()
    assert not list(folder.iterdir())
    return result


def test_there_are_seven():
    """One for every command that has something to return."""
    assert FUNCTIONS == ["calibrate", "compare", "convert", "doctor", "evaluate", "subset", "tune"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_what_its_command_takes(name):
    """The same names and defaults; `out` alone is None, for nothing is written unasked where the result is returned."""
    parameters = inspect.signature(getattr(yolo_focal, name)).parameters
    keys = {key.name: key for key in COMMANDS[name].keys}
    taken = {n: p for n, p in parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}
    assert taken.keys() == keys.keys()
    assert (len(parameters) > len(taken)) == COMMANDS[name].training
    for each, parameter in taken.items():
        if keys[each].required:
            assert parameter.default is inspect.Parameter.empty
        elif each != "out":
            same = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert same == keys[each].default


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_is_explained(name):
    """In the docstring, one after the other."""
    function = getattr(yolo_focal, name)
    documentation = inspect.getdoc(function)
    assert all(f"    {parameter}: " in documentation for parameter in inspect.signature(function).parameters)


def test_importing_loads_nothing_heavy():
    """The functions are found when they are asked for."""
    program = (
        "import sys, yolo_focal\n"
        "assert not {'torch', 'ultralytics', 'numpy'} & set(sys.modules)\n"
        "yolo_focal.evaluate, yolo_focal.compare\n"
        "assert not {'torch', 'ultralytics', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_not_there_is_an_attribute_error():
    """As in any module."""
    with pytest.raises(AttributeError, match="module 'yolo_focal' has no attribute 'evalaute'"):
        _ = yolo_focal.evalaute


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: yolo_focal.evaluate("m.pt", "d.yaml", imgsz=7), "imgsz must be an integer >= 32, got '7'"),
        (lambda: yolo_focal.evaluate("m.pt"), "evaluate needs model= and data="),
        (lambda: yolo_focal.doctor("m.pt", "d.yaml", epoch=3), "'epoch' is not an argument of doctor; did you mean"),
        (lambda: yolo_focal.compare("d.yaml", "m.pt", seeds=0), "seeds must be how many seeds (1 to 10000)"),
        (lambda: yolo_focal.convert("m.pt", out="m.onnx"), "out=m.onnx must end in .pt"),
        (lambda: yolo_focal.convert(5), "weights must be a path, got '5'"),
        (lambda: yolo_focal.evaluate("m.pt", "d.yaml", out=True), "out must be a path, got 'True'"),
        (lambda: yolo_focal.subset("a.json", "out", link="move"), "link must be one of copy, hardlink, symlink"),
        (lambda: yolo_focal.tune("m.pt", "d.yaml", space="no-such"), "space=no-such does not exist"),
        (lambda: yolo_focal.calibrate("m.pt", "d.yaml", split="tset"), "did you mean 'test'?"),
    ],
)
def test_bad_values_are_refused_in_the_words_of_the_command(call, message):
    """One sentence, before anything is loaded."""
    with pytest.raises(ConfigError) as caught:
        call()
    assert message in str(caught.value)


def test_a_path_among_the_training_arguments_is_text(enabled):
    """As everything that is compared and written has it."""
    from yolo_focal.api import _values

    values = _values("tune", {"model": "m.pt", "data": "d.yaml", "training": {"pretrained": Path("x.pt")}})
    assert values["pretrained"] == "x.pt"


def test_numbers_of_numpy_are_numbers(enabled):
    """Those of the command and those of a training, one or several."""
    with pytest.raises(DataError, match=r"no/such\.yaml"):
        yolo_focal.doctor("yolo11n.yaml", "no/such.yaml", imgsz=np.int64(64), fl_alpha=np.array([0.2, 0.3]))


def test_evaluate_returns_what_the_command_writes(evaluated, chatty_checkpoint, small_set, tmp_path, capsys):
    """The same numbers."""
    code = main(
        ["evaluate", f"model={chatty_checkpoint}", f"data={small_set}", "imgsz=64", "batch=4", f"out={tmp_path}/out"]
    )
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert code == 0 and evaluated.to_dict()["coco"] == written["coco"]
    printed = capsys.readouterr().out
    assert all(line in printed for line in evaluated.summary().splitlines()[:6])
    assert [row["name"] for row in evaluated.rows()] == [each["name"] for each in written["classes"]]
    assert evaluated.rows()[0]["AP"] == pytest.approx(written["classes"][0]["AP"], abs=1e-9)


def test_a_result_is_short_in_a_notebook_and_frozen(evaluated):
    """One line as text, the summary as HTML."""
    assert len(repr(evaluated)) < 300 and repr(evaluated).startswith("<EvaluateResult: ") and "AP 0." in repr(evaluated)
    assert len(repr(evaluated.report)) < 2000  # without boxes, matches and curves
    assert evaluated._repr_html_().startswith("<pre>") and "AP" in evaluated._repr_html_()
    with pytest.raises(dataclasses.FrozenInstanceError):
        evaluated.report = None


def test_doctor_returns_its_page(small_set, tmp_path):
    """And writes it where `out` says."""
    result = yolo_focal.doctor("yolo11n.yaml", small_set, imgsz=64, batch=4, out=tmp_path / "out", fl_gamma=2.0)
    assert result.summary() + "\n" == (tmp_path / "out" / "doctor.txt").read_text(encoding="utf-8")
    assert result.to_dict() == json.loads((tmp_path / "out" / "doctor.json").read_text(encoding="utf-8"))
    assert {row["topic"] for row in result.rows()} == {each.topic for each in result.advice}


def test_pandas_is_optional(evaluated, monkeypatch):
    """Without it, the message has the install command."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="to_pandas needs pandas; install it: pip install pandas"):
        evaluated.to_pandas()


def test_rows_become_a_data_frame(evaluated):
    """One column a key."""
    pandas = pytest.importorskip("pandas")
    frame = evaluated.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and list(frame["name"]) == [row["name"] for row in evaluated.rows()]


def test_every_result_can_do_all_of_it():
    """Each class has its own summary and dictionary."""
    for kind in Result.__subclasses__():
        assert {"summary", "to_dict"} <= vars(kind).keys() and dataclasses.is_dataclass(kind)


@pytest.mark.parametrize(("classes", "data"), [(80, "coco128.yaml"), (3, "DATA.yaml")])
def test_a_converted_checkpoint_is_tried_on_a_dataset_of_its_classes(classes, data):
    """COCO's where it has as many; else the reader's own, which nobody named."""
    names = tuple(f"class {number}" for number in range(classes))
    result = ConvertResult(Path("yolov5n-anchor.pt"), 1, names, (8.0, 16.0, 32.0), False)
    assert result.summary().endswith(f"Use it: yolo-focal val model=yolov5n-anchor.pt data={data} iou=0.6")
