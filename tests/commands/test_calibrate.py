"""The command calibrate: scores become probabilities, AP stays, wrong input is refused before anything is written."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import yolo_focal
from tests.helpers import write_squares
from tests.ultra.helpers import build
from yolo_focal.cli import main
from yolo_focal.evaluation.model import evaluate_model
from yolo_focal.evaluation.recalibration.recalibrate import harm, other_split, recalibrate
from yolo_focal.evaluation.recalibration.report import recalibration_lines
from yolo_focal.ultra.drivers.predictions import collect_predictions
from yolo_focal.ultra.drivers.score_folding import fold_scores, load_branch, score_branches

SIZE, IMAGES = 96, 12
SCALE, SHIFT = 3.0, 3.0  # a detection with logit z is right with probability sigmoid(SCALE * z + SHIFT)


def write_images(folder, seed):
    """Smooth noise in three splits, with empty label files."""
    rng = np.random.default_rng(seed)
    for split in ("train", "val", "test"):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(IMAGES):
            noise = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (SIZE, SIZE))
            cv2.imwrite(str(folder / "images" / split / f"{number}.png"), noise)
            (folder / "labels" / split / f"{number}.txt").write_text("")
    data = folder / "data.yaml"
    data.write_text("train: images/train\nval: images/val\ntest: images/test\nnames: {0: a, 1: b}\n")
    return data


def write_model(path, yaml, images):
    """An untrained model with small boxes, and logits spread as a trained one's: mean -2.5, at most 2."""
    model = build(yaml, nc=2)
    model.names = {0: "a", 1: "b"}
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # take the statistics of this one batch: untrained layers let signals fade away
    with torch.no_grad():
        model.train()(images)
    head = model.model[-1]
    for level in head.cv2 if head.reg_max > 1 else ():
        level[-1].bias.data.view(4, -1).sub_(0.7 * torch.arange(head.reg_max))
    for branch in score_branches(model):
        with torch.no_grad():
            output = model.eval()(images)[-1]
        logits = output.get(branch, output)["scores"].double()
        scale = 4.5 / (logits.max() - logits.mean()).item()
        fold_scores(model, branch, [scale], [-2.5 - scale * logits.mean().item()])
    model.args = {"task": "detect", "imgsz": SIZE}
    torch.save({"model": model, "train_args": {"task": "detect", "imgsz": SIZE}}, path)


def label_by_model(data, checkpoint, seed):
    """Make detections objects, each with the probability that belongs to its score: the truth is then known."""
    rng = np.random.default_rng(seed)
    for split in ("val", "test"):
        found = collect_predictions(load_branch(checkpoint, "one2many"), data, split=split, imgsz=SIZE, iou=0.3)
        logit = np.log(found.scores / (1 - found.scores))
        right = rng.random(len(logit)) < 1 / (1 + np.exp(-(SCALE * logit + SHIFT)))
        boxes = np.clip(found.boxes_xyxy, 0, SIZE) / SIZE
        for index, file in enumerate(found.image_files):
            rows = [
                f"{found.category[row]} {(left + right_) / 2} {(top + bottom) / 2} {right_ - left} {bottom - top}"
                for row in np.flatnonzero(right & (found.image == index))
                for left, top, right_, bottom in [boxes[row]]
            ]
            (data.parent / "labels" / split / f"{file.stem}.txt").write_text("\n".join(rows))


@pytest.fixture(scope="module", params=["yolo11n.yaml", pytest.param("yolo26n.yaml", marks=pytest.mark.slow)])
def calibrated(request, tmp_path_factory):
    """A folder with data.yaml, model.pt and what the command wrote."""
    folder = tmp_path_factory.mktemp(request.param.removesuffix(".yaml"))
    data = write_images(folder, seed=0)
    images = [cv2.imread(str(file)) for file in (folder / "images").rglob("*.png")]
    images = torch.from_numpy(np.stack(images)[..., ::-1].copy()).permute(0, 3, 1, 2) / 255
    images = torch.nn.functional.pad(images, (16, 16, 16, 16), value=114 / 255)  # as the validator will
    write_model(folder / "model.pt", request.param, images)
    label_by_model(data, folder / "model.pt", seed=1)
    words = [f"model={folder / 'model.pt'}", f"data={data}", "iou=0.3", "device=cpu", f"out={folder / 'new.pt'}"]
    assert main(["calibrate", *words]) == 0
    return folder


def document(folder):
    return json.loads((folder / "new.json").read_text())


def test_the_error_is_at_least_halved(calibrated):
    """On a split it was not fitted on, scores of all detections are less than half as far from probabilities."""
    branch = document(calibrated)["branches"][0]
    before, after = (branch[when]["calibration_of_all"]["error"] for when in ("before", "after"))
    assert branch["scale"][0] > 1.5
    assert after < before / 2


def test_average_precision_stays(calibrated):
    """With the cut-off moved along, AP is the same to 1e-4 in every branch: the map changes no order."""
    for branch in document(calibrated)["branches"]:
        assert branch["moved_cut_off"]["AP"] == pytest.approx(branch["before"]["coco"]["AP"], abs=1e-4)
        assert branch["before"]["best_f1"]["f1"] == pytest.approx(branch["after"]["best_f1"]["f1"], abs=1e-9)


def test_each_branch_is_reported(calibrated):
    """An end-to-end head has two maps; the splits are those the command chose."""
    content = document(calibrated)
    expected = ["one2many", "one2one"] if "yolo26n" in calibrated.name else ["one2many"]
    assert [branch["branch"] for branch in content["branches"]] == expected
    assert (content["source"]["split"], content["source"]["evaluate_split"]) == ("val", "test")
    assert content["source"]["imgsz"] == SIZE
    assert cv2.imread(str(calibrated / "new.png")).shape[1] > 1000


def test_the_numbers_are_those_of_the_written_file(calibrated):
    """Evaluating the new checkpoint anew gives the reported numbers."""
    branch = document(calibrated)["branches"][0]
    again = evaluate_model(
        load_branch(calibrated / "new.pt", "one2many"), calibrated / "data.yaml", split="test", imgsz=SIZE, iou=0.3
    ).evaluation
    assert again.stats["AP"] == pytest.approx(branch["after"]["coco"]["AP"], abs=1e-9)
    assert again.calibration.error == pytest.approx(branch["after"]["calibration"]["error"], abs=1e-9)


def test_per_class_shifts_are_said_not_to_be_monotone(calibrated, capsys):
    """`per_class=True` names its shifts by class and says what it costs."""
    words = [f"model={calibrated / 'model.pt'}", f"data={calibrated / 'data.yaml'}", "split=test", "device=cpu"]
    out = calibrated / "per_class.pt"
    assert main(["calibrate", *words, "evaluate_split=test", "per_class=True", "iou=0.3", f"out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "keep the order within a class, not across classes" in printed
    assert "measured on the split it was fitted on, which flatters" in printed
    branch = json.loads(out.with_suffix(".json").read_text())["branches"][0]
    assert set(branch["class_shifts"]) == {"a", "b"}
    assert branch["moved_cut_off"] == {"conf": None, "AP": None}


def test_a_split_that_can_judge_is_chosen(tmp_path):
    """Test where it has labels; exports often name a test split of which there are no labels, or no folder."""
    data = write_squares(tmp_path, train=2, val=2, test=2)
    assert [other_split(str(data), split) for split in ("train", "val", "test")] == ["test", "test", "val"]
    shutil.rmtree(tmp_path / "labels" / "test")
    assert [other_split(str(data), split) for split in ("train", "val", "test")] == ["val", "val", "val"]
    shutil.rmtree(tmp_path / "images" / "test")
    assert [other_split(str(data), split) for split in ("train", "val")] == ["val", "val"]


BAD = [
    (["model={model}"], "data= is required"),
    (["model={model}", "data=nowhere.yaml"], "nowhere.yaml does not exist"),
    (
        ["model={model}", "data={data}", "split=tset"],
        "split must be one of train, val, test (did you mean 'test'?), got 'tset'",
    ),
    (["model={model}", "data={data}", "out=x.onnx"], "out=x.onnx must end in .pt"),
    (["model={model}", "data={data}", "out={model}"], "is the original file; name another one"),
    (["model={model}", "data={data}", "out=yolov5n.pt"], "Ultralytics replaces by its own 'yolov5nu.pt'"),
    (["model=nowhere.pt", "data={data}"], "model=nowhere.pt cannot be loaded"),
    (["model={data}", "data={data}"], "cannot be loaded"),
    (["model={model}", "data={two_splits}", "evaluate_split=test"], "has no split 'test'; it has train, val"),
    (["model={model}", "data={data}", "split=train"], "images of 'train' have no labels"),
    (["model={model}", "data={data}", "perclass=1"], "did you mean 'per_class'?"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_line_and_nothing_is_written(calibrated, tmp_path, monkeypatch, capsys, words, message):
    """Exit code 2, the value and what was expected on stderr, and not a file more than before."""
    monkeypatch.chdir(tmp_path)
    two_splits = tmp_path / "two.yaml"
    two_splits.write_text((calibrated / "data.yaml").read_text().replace("test:", "path: " + str(calibrated) + "\n#"))
    places = {"model": calibrated / "model.pt", "data": calibrated / "data.yaml", "two_splits": two_splits}
    files = sorted(calibrated.rglob("*")), sorted(tmp_path.rglob("*"))
    out = [] if any(word.startswith("out=") for word in words) else [f"out={tmp_path / 'new.pt'}"]
    assert main(["calibrate", *(word.format(**places) for word in words), *out]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("yolo-focal:") == 1
    assert (sorted(calibrated.rglob("*")), sorted(tmp_path.rglob("*"))) == files


def test_what_a_map_makes_worse_is_found(calibrated, tmp_path):
    """The way back from calibrated scores does harm; the way there does not."""
    settings = {"split": "val", "evaluate_split": "test", "imgsz": SIZE, "iou": 0.3, "device": "cpu"}
    found = recalibrate(calibrated / "model.pt", str(calibrated / "data.yaml"), tmp_path / "new.pt", **settings)
    for result in found:
        assert harm(result) == []
        noted = dataclasses.replace(result, notes=("no class frequencies",))
        assert recalibration_lines([noted, noted], "val", "test")[-2:] == ["", "Note: no class frequencies"]
        back = dataclasses.replace(result, before=result.after, after=result.before)
        assert any(each.startswith("calibration error over all detections 0.") for each in harm(back))


@pytest.mark.slow
def test_a_map_that_does_harm_is_refused(shared, tmp_path, capsys):
    """An anchor detector that has hardly begun to learn: exit code 2 with the numbers, and no file."""
    shutil.copytree(shared / "data" / "bccd", tmp_path / "bccd", copy_function=shutil.copyfile)
    data = f"data={tmp_path / 'bccd' / 'bccd.yaml'}"
    training = ["epochs=5", "imgsz=160", "batch=16", "workers=0", "device=cpu", "val=False", "plots=False", "name=a"]
    assert main(["train", "model=yolov5n-anchor.yaml", data, f"project={tmp_path}", *training]) == 0
    last = tmp_path / "a" / "weights" / "last.pt"
    assert main(["calibrate", f"model={last}", data, f"out={tmp_path / 'new.pt'}", "device=cpu"]) == 2
    error = capsys.readouterr().err
    assert "recalibrated scores are worse than the original's on test (" in error and "nothing was written" in error
    assert not list(tmp_path.glob("new*")) and not list(tmp_path.glob(".new*"))


def test_the_anchor_detector(shared, tmp_path):
    """Real weights on real images: objectness and class are refitted together and the error falls."""
    from yolo_focal.commands import convert

    for split in ("val2017", "train2017"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
            for file in sorted((shared / "data" / "coco128" / kind / split).iterdir())[:16]:
                shutil.copy(file, tmp_path / kind / split)
    data = tmp_path / "data.yaml"
    data.write_text((shared / "data" / "coco128" / "coco128.yaml").read_text())
    convert.run({"weights": Path(shared / "weights" / "yolov5n.pt"), "out": tmp_path / "anchor.pt", "data": None})
    words = [f"model={tmp_path / 'anchor.pt'}", f"data={data}", "evaluate_split=val", "imgsz=256", "device=cpu"]
    assert main(["calibrate", *words, f"out={tmp_path / 'new.pt'}"]) == 0
    branch = json.loads((tmp_path / "new.json").read_text())["branches"][0]
    assert len(branch["scale"]) == 2
    assert branch["after"]["calibration"]["error"] < branch["before"]["calibration"]["error"]
    assert branch["after"]["coco"]["AP"] == pytest.approx(branch["before"]["coco"]["AP"], abs=0.02)


@pytest.mark.slow
def test_a_focal_trained_model_on_blood_cells(shared, tmp_path):
    """Focal training shifts the scores; refitted on val, the error on test is less than half, and AP is the same."""
    from ultralytics import YOLO

    shutil.copytree(shared / "data" / "bccd", tmp_path / "bccd", copy_function=shutil.copyfile)
    data = tmp_path / "bccd" / "bccd.yaml"
    yolo_focal.enable()
    training = {"imgsz": 160, "epochs": 40, "optimizer": "AdamW", "lr0": 0.001, "focal": True, "device": "cpu"}
    YOLO("yolo11n.yaml").train(data=data, project=tmp_path / "runs", name="focal", val=False, plots=False, **training)
    last = tmp_path / "runs" / "focal" / "weights" / "last.pt"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "yolo_focal",
            "calibrate",
            f"model={last}",
            f"data={data}",
            f"out={tmp_path / 'new.pt'}",
        ],
        check=True,
        env=dict(os.environ),
    )
    branch = json.loads((tmp_path / "new.json").read_text())["branches"][0]
    before, after = branch["before"], branch["after"]
    assert after["calibration"]["error"] < before["calibration"]["error"] / 2
    assert after["best_f1"]["threshold"] == pytest.approx(after["best_f1"]["f1"] / 2, abs=0.1)
    assert branch["moved_cut_off"]["AP"] == pytest.approx(before["coco"]["AP"], abs=1e-4)
    assert after["nms"]["candidates_per_image"]["mean"] < before["nms"]["candidates_per_image"]["mean"]
