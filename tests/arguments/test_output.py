"""Where commands write: one rule for all, that of yolo."""

import json
from pathlib import Path

import pytest

import yolo_focal
from yolo_focal.arguments.checkpoint_path import checkpoint_path
from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.arguments.output import Output, take_output
from yolo_focal.cli import main
from yolo_focal.errors import ConfigError, DataError

TRUTH = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 20}],
    "categories": [{"id": 3, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}],
}


def given(**changes):
    """The keys of an output, as a command line without any of them gives them."""
    return {"project": "runs", "name": None, "out": None, "exist_ok": False, **changes}


def evaluation(folder):
    """Words that evaluate a results file of one detection, in `folder`."""
    (folder / "truth.json").write_text(json.dumps(TRUTH))
    found = [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]
    (folder / "found.json").write_text(json.dumps(found))
    return ["evaluate", f"predictions={folder / 'found.json'}", f"annotations={folder / 'truth.json'}"]


def test_every_command_takes_the_words_of_yolo():
    """Tune has them among Ultralytics' own arguments; what would overwrite nothing has no exist_ok."""
    for name, command in COMMANDS.items():
        keys = {key.name for key in command.keys}
        assert {"project", "name", "out"} <= keys or name in ("tune", "completion")
        assert ("exist_ok" in keys) == (name not in ("compare", "subset", "voc2yolo", "tune", "completion"))


def test_folders_are_numbered_as_those_of_yolo(tmp_path, monkeypatch):
    """runs/doctor, runs/doctor2, runs/doctor3; with exist_ok the first; out= itself."""
    monkeypatch.chdir(tmp_path)
    for expected in ("doctor", "doctor2", "doctor3"):
        arguments = given() | {"model": "m"}
        folder = take_output("doctor", arguments).path
        assert folder == tmp_path / "runs" / expected and arguments == {"model": "m"}
        folder.mkdir(parents=True)
    assert take_output("doctor", given(exist_ok=True)).path.resolve() == tmp_path / "runs/doctor"
    assert take_output("doctor", given(project="p", name="n")).path == tmp_path / "p/n"
    assert take_output("compare", given(), numbered=False).path.resolve() == tmp_path / "runs/compare"


@pytest.mark.parametrize("both", [{"name": "n"}, {"project": "p"}])
def test_two_places_are_refused(both):
    """out= is the folder itself."""
    with pytest.raises(ConfigError, match="out=o is the output itself; leave project= and name= out"):
        take_output("doctor", given(out="o", **both))


def test_nothing_is_overwritten_without_exist_ok(tmp_path, monkeypatch, capsys):
    """A second run has a folder of its own; into one that is named it writes only if told to."""
    monkeypatch.chdir(tmp_path)
    words = evaluation(tmp_path)
    for folder in ("evaluate", "evaluate2"):
        assert main(words) == 0
        assert (tmp_path / "runs" / folder / "evaluation.json").is_file()
    (tmp_path / "runs/evaluate/mine.txt").write_text("stays")
    (tmp_path / "runs/evaluate/evaluation.json").write_text("old")
    assert main([*words, "out=runs/evaluate"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "runs/evaluate/evaluation.json").read_text() == "old"
    assert main([*words, "out=runs/evaluate", "exist_ok=True"]) == 0
    assert json.loads((tmp_path / "runs/evaluate/evaluation.json").read_text())["coco"]["AP"] == 1
    assert (tmp_path / "runs/evaluate/mine.txt").read_text() == "stays"


def test_python_writes_where_it_is_told_to(tmp_path, monkeypatch):
    """And nowhere else."""
    monkeypatch.chdir(tmp_path)
    files = dict(word.split("=") for word in evaluation(tmp_path)[1:])
    yolo_focal.evaluate(**files)
    assert {path.name for path in tmp_path.iterdir()} == {"truth.json", "found.json"}
    yolo_focal.evaluate(**files, name="mine")
    assert (tmp_path / "runs/mine/evaluation.json").is_file()
    yolo_focal.evaluate(**files, project="mine")
    assert (tmp_path / "mine/evaluate/evaluation.json").is_file()
    with pytest.raises(DataError, match="is not empty"):
        yolo_focal.evaluate(**files, out="runs/mine")


def test_a_failed_run_leaves_no_folder(tmp_path, monkeypatch):
    """Neither its own nor those above it."""
    monkeypatch.chdir(tmp_path)
    words = evaluation(tmp_path)
    (tmp_path / "found.json").write_text("[1]")
    assert main(words) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"truth.json", "found.json"}


def test_a_checkpoint_that_exists_stays(shared, tmp_path, monkeypatch, capsys):
    """convert, into a folder, as a file, and over a file."""
    monkeypatch.chdir(tmp_path)
    words = ["convert", f"weights={shared / 'weights/yolov5n.pt'}"]
    assert main([*words, "out=mine"]) == 0 and (tmp_path / "mine/yolov5n-anchor.pt").is_file()
    (tmp_path / "old.pt").write_text("old")
    assert main([*words, "out=old.pt"]) == 2
    assert "old.pt exists; name another file, or give exist_ok=True" in capsys.readouterr().err
    assert main([*words, "out=old.pt", "exist_ok=True"]) == 0 and (tmp_path / "old.pt").stat().st_size > 10**6
    yolo_focal.disable()


def test_a_name_with_a_point_is_a_folder_as_any_other(tmp_path):
    """Only out= may be the checkpoint itself."""
    taken = take_output("calibrate", given(project=str(tmp_path), name="v1.2"))
    assert checkpoint_path(Path("best.pt"), taken, "calibrated") == tmp_path / "v1.2/best-calibrated.pt"
    with pytest.raises(ConfigError, match=r"out=v1\.2 must end in \.pt"):
        checkpoint_path(Path("best.pt"), take_output("calibrate", given(out="v1.2")), "calibrated")


@pytest.mark.parametrize("place", [{"out": "a\0b"}, {"name": "a\0b"}, {"project": "a\0b"}])
def test_a_null_character_is_in_no_name(tmp_path, monkeypatch, place):
    """Refused as any other bad value, before the work."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="without null characters"):
        yolo_focal.doctor(model="yolo11n.yaml", data="shapes", **place)


def test_doctor_asks_for_its_folder_before_the_work(tmp_path):
    """So the model, which does not exist, is not looked for."""
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not empty; name a new one"):
        yolo_focal.doctor(model="absent.pt", data="shapes", out=tmp_path)


def test_the_original_is_never_written_over_by_whatever_path(tmp_path, monkeypatch):
    """Nor through a link."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").touch()
    (tmp_path / "link.pt").symlink_to("model.pt")
    for out in (tmp_path / "model.pt", tmp_path / "link.pt"):
        with pytest.raises(ConfigError, match="is the original file; name another one"):
            checkpoint_path(Path("model.pt"), Output(out, False, False), "calibrated")
