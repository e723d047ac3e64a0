"""yolo-focal doctor from words to files."""

import inspect
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image
from ultralytics import YOLO
from ultralytics.engine import trainer

from yolo_focal import cli
from yolo_focal.losses import LOSSES
from yolo_focal.ultra.training import check_training

SMALL = ("imgsz=96", "batch=4")


@pytest.fixture
def doctor(tmp_path, capfd):
    """Run `yolo-focal doctor` into tmp_path/out; returns the exit code, stdout and stderr."""

    def call(*words):
        code = cli.main(["doctor", f"out={tmp_path / 'out'}", *map(str, words)])
        return (code, *capfd.readouterr())

    return call


@pytest.fixture(scope="module")
def cells(shared, tmp_path_factory) -> Path:
    """The data YAML of a copy of BCCD: a training writes caches beside the labels."""
    folder = tmp_path_factory.mktemp("cells")
    for kind in ("images", "labels"):
        for name in ("train", "val"):
            shutil.copytree(shared / "data/bccd" / kind / name, folder / kind / name)
    names = yaml.safe_load((shared / "data/bccd/bccd.yaml").read_text())["names"]
    (folder / "bccd.yaml").write_text(yaml.safe_dump({"train": "images/train", "val": "images/val", "names": names}))
    return folder / "bccd.yaml"


def readme_counts(shared) -> dict[str, list[int]]:
    """Split -> images, boxes and boxes per class, from the table in the README of BCCD."""
    lines = (shared / "data/bccd/README.md").read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith(("| train", "| val"))
    ]
    return {row[0]: [int(cell) for cell in row[1:]] for row in rows}


def test_its_class_table_is_the_one_of_the_dataset(doctor, shared, cells, tmp_path):
    """BCCD: images, boxes and boxes per class of both splits, in the JSON and on the page."""
    code, out, _ = doctor("model=yolo11n.yaml", f"data={cells}", *SMALL)
    assert code == 0
    content = json.loads((tmp_path / "out/doctor.json").read_text())
    for name, (images, boxes, *classes) in readme_counts(shared).items():
        found = content["dataset"][name]
        assert (found["images"], found["instances"]) == (images, boxes)
        assert [each["instances"] for each in found["classes"]] == classes
    table = out.partition("Classes\n")[2].partition("Data\n")[0]
    cells_of = {line.split()[0]: line.split()[1:] for line in table.splitlines() if "%" in line}
    assert [cells_of[name][0] for name in ("RBC", "WBC", "Platelets")] == ["2,381", "214", "209"]


def test_the_page_says_what_runs_and_what_dfl_is(doctor, cells, tmp_path):
    """DFL is no focal loss; the minimum for soft targets is the table's; text and page are the same."""
    code, out, _ = doctor("model=yolo11n.yaml", f"data={cells}", *SMALL, "fl_loss=qfl", "fl_gamma=2")
    assert code == 0
    words = " ".join(out.split())
    assert "class qfl(gamma=2, alpha=0.25, gain=auto) boxes IoU and DFL over 16 bins" in words
    assert "DFL, Distribution Focal Loss, is a box regression loss: it is not focal loss" in words
    assert LOSSES["qfl"].soft_minimiser in words
    text = (tmp_path / "out/doctor.txt").read_text()
    assert text.rstrip() in out and max(map(len, text.splitlines())) <= 120
    assert (tmp_path / "out/doctor.png").read_bytes().startswith(b"\x89PNG")


def save_loud(path: Path, classes: int) -> Path:
    """A checkpoint that sees every class everywhere."""
    import torch
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel

    yolo = YOLO("yolo11n.yaml")
    yolo.model = DetectionModel("yolo11n.yaml", nc=classes, verbose=False)
    with torch.no_grad():
        for level in yolo.model.model[-1].cv3:
            level[-1].bias.fill_(2.0)
    yolo.save(path)
    return path


@pytest.mark.parametrize(("classes", "untrained"), [(3, False), (5, True)])
def test_a_checkpoint_is_examined_with_the_weights_that_training_takes(doctor, cells, tmp_path, classes, untrained):
    """A loud class layer makes the background the matter; one for other classes is left behind, and that is said."""
    checkpoint = save_loud(tmp_path / "loud.pt", classes)
    code, out, _ = doctor(f"model={checkpoint}", f"data={cells}", *SMALL, "focal=True")
    content = json.loads((tmp_path / "out/doctor.json").read_text())
    assert code == 0 and content["model"]["untrained"] is untrained
    assert ("with untrained class layers" in " ".join(out.split())) is untrained
    assert (content["losses"][0]["gradient_on_negatives"] > 0.8) is not untrained
    assert {each["topic"]: each["recommendation"] for each in content["advice"]}["background"] == (
        "note" if untrained else "a loss can help"
    )


def test_the_schema_is_complete(doctor, cells, tmp_path):
    """Every documented key is there, and every key that is there is documented."""
    doctor("model=yolo26n.yaml", f"data={cells}", *SMALL)
    content = json.loads((tmp_path / "out/doctor.json").read_text())
    documented = (Path(__file__).parents[2] / "docs/doctor.md").read_text().partition("## doctor.json")[2]

    def keys(value):
        if isinstance(value, list):
            return set().union(*map(keys, value)) if value else set()
        return set(value) | set().union(*map(keys, value.values())) if isinstance(value, dict) else set()

    parts = ("model", "batch", "advice")
    named = set(content) | set().union(*(keys(content[part]) for part in parts))
    named |= set().union(*(set(loss) for loss in content["losses"]))
    term = content["losses"][0]["terms"]["one2one"]
    named |= set(term) | set(term["classes"][0]) | set(content["dataset"]["train"])
    assert {name for name in named if f"`{name}`" not in documented} == set()
    assert content["schema"] == 1 and set(content["running"]) == {"one2many", "one2one"}


def test_a_second_run_gets_a_folder_of_its_own(cells, tmp_path):
    """Numbered, as the runs of Ultralytics."""
    for _ in range(2):
        words = ["model=yolo11n.yaml", f"data={cells}", *SMALL, f"project={tmp_path}", "name=mine"]
        assert cli.main(["doctor", *words]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine2"]


REFUSED = [
    (["data={cells}"], "model= is required"),
    (["model=yolo11n.yaml"], "data= is required"),
    (["model=absent.pt", "data={cells}"], "model=absent.pt cannot be loaded"),
    (["model=yolo11n-cls.yaml", "data={cells}"], "doctor cannot examine model=yolo11n-cls.yaml: it is a Classif"),
    (["model=yolo11n-pose.yaml", "data={cells}"], "it is a PoseModel for 'pose'; expected a model that detects"),
    (["model=yolo11n.yaml", "data=/no/such.yaml"], "the data file /no/such.yaml does not exist"),
    (["model=yolo11n.yaml", "data={unlabelled}"], "training images have no usable label"),
    (["model=yolo11n.yaml", "data={no_val}"], "has no split 'val', without which Ultralytics does not train"),
    (["model=yolo11n.yaml", "data={no_images}"], "train names"),
    (["model=yolo11n.yaml", "data={cells}", "imgsz=100"], "imgsz must be a multiple of 32"),
    (["model=yolo11n.yaml", "data={cells}", "batch=0"], "batch must be an integer >= 1, got '0'"),
    (["model=yolo11n.yaml", "data={cells}", "fl_gamma=-1"], "fl_gamma must be a number >= 0"),
    (["model=yolo11n.yaml", "data={cells}", "fl_gama=1"], "'fl_gama' is not an argument of doctor; did you mean"),
    (["model=yolo11n.yaml", "data={cells}", "fl_alpha=[0.1,0.2]"], "fl_alpha has 2 numbers, but the dataset has 3"),
    (["model=yolo11n.yaml", "data={cells}", "fl_branch=one2one"], "fl_branch=one2one needs an end-to-end head"),
    (
        ["model=yolo11n.yaml", "data={cells}", "single_cls=True"],
        "'single_cls' is a training argument that doctor does not",
    ),
    (["model=yolo11n.yaml", "data={cells}", "cfg=fokal"], "cfg=fokal does not exist"),
]


@pytest.mark.parametrize(("words", "phrase"), REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_bad_input_is_one_line_and_nothing_is_written(doctor, cells, tmp_path, tmp_path_factory, words, phrase):
    """Exit code 2; the line has the value."""
    place = tmp_path_factory.mktemp("bad")
    (place / "no_val.yaml").write_text(f"path: {cells.parent}\ntrain: images/train\nnames: [a, b, c]\n")
    (place / "no_images.yaml").write_text("train: nowhere\nval: nowhere\nnames: [a]\n")
    plain = place / "plain/images"
    plain.mkdir(parents=True)
    for image in sorted((cells.parent / "images/val").iterdir())[:2]:
        shutil.copyfile(image, plain / image.name)
    (place / "plain/data.yaml").write_text("train: images\nval: images\nnames: [a]\n")
    known = {
        "cells": cells,
        "no_val": place / "no_val.yaml",
        "no_images": place / "no_images.yaml",
        "unlabelled": place / "plain/data.yaml",
    }
    code, _, err = doctor(*(word.format(**known) for word in words))
    lines = [line for line in err.splitlines() if line.startswith("yolo-focal: ")]
    assert code == 2 and len(lines) == 1 and phrase in lines[0]
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif("single value" not in inspect.getsource(trainer), reason="this Ultralytics lets it begin")
def test_a_training_that_ultralytics_refuses_is_refused_in_its_words(doctor, cells, tmp_path):
    """Of one image of 32 pixels a batch: settings that do not go together, each of which is good."""
    code, _, err = doctor("model=yolo11n.yaml", f"data={cells}", "imgsz=32", "batch=1")
    assert code == 2 and "Ultralytics refuses this training: final batch=1 training at imgsz=32" in err
    assert not any(tmp_path.iterdir())


def test_weights_that_are_no_numbers_are_refused(doctor, cells, tmp_path, tmp_path_factory):
    """As those of a training that diverged; no page could be made of them."""
    from ultralytics import YOLO

    model = YOLO("yolo11n.yaml")
    next(model.model.parameters()).data.fill_(float("nan"))
    diverged = tmp_path_factory.mktemp("diverged") / "last.pt"
    model.save(diverged)
    code, _, err = doctor(f"model={diverged}", f"data={cells}", *SMALL)
    assert code == 2 and re.search(r"through \S+last\.pt gives \w+_loss=nan, .*; give another checkpoint", err)
    assert not any(tmp_path.iterdir())


def test_a_long_list_of_alphas_is_shortened_on_the_page_alone(doctor, tmp_path):
    """The ten numbers of the built-in dataset stand in the table and in the JSON."""
    code, out, _ = doctor("model=yolo11n.yaml", "data=shapes", *SMALL, "fl_alpha=auto")
    (words,) = json.loads((tmp_path / "out/doctor.json").read_text())["running"].values()
    shown = out.partition("What runs")[2].splitlines()[2]
    assert code == 0 and words.count(",") == 11 and shown.count(",") == 5 and ", ...]" in shown


def test_the_training_it_suggests_for_rotated_boxes_is_one_that_starts(enabled, doctor, tmp_path):
    """Nothing can be pasted there: rare_sampling alone, on the page, in the advice and in the command."""
    folder = tmp_path / "rotated"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for index in range(16):  # of each four images one has the rare class, and nothing else
        Image.new("RGB", (96, 96)).save(folder / "images" / f"{index}.png")
        line = f"{int(index % 4 == 0)} 0.2 0.2 0.8 0.2 0.8 0.8 0.2 0.8\n"
        (folder / "labels" / f"{index}.txt").write_text(line * (1 if index % 4 == 0 else 4))
    content = {"train": "images", "val": "images", "names": ["common", "rare"]}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    code, out, _ = doctor("model=yolo11n-obb.yaml", f"data={folder / 'data.yaml'}", *SMALL)
    assert code == 0 and "paste=" not in out and "\nrare_sampling=auto: what an epoch is expected to show" in out
    command = shlex.split(out.rpartition("Next: ")[2])
    assert command[:2] == ["yolo-focal", "train"] and "rare_sampling=auto" in command
    check_training(YOLO("yolo11n-obb.yaml").model, dict(word.split("=") for word in command[2:]))


def test_no_levers_are_suggested_beside_a_setting_that_they_do_not_go_with(doctor):
    """A training with rect=True refuses them; the page says so in their place."""
    code, out, _ = doctor("model=yolo11n.yaml", "data=shapes", *SMALL, "rect=True")
    assert code == 0 and "rare_sampling=auto rare_paste=0.5 cannot act with rect=True" in " ".join(out.split())
    assert "cfg=rare" not in out
