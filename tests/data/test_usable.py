"""A split that nothing can be learnt from: the first fault with file, line, value and remedy, from every command."""

import cv2
import numpy as np
import pytest

import yolo_focal
from yolo_focal import cli
from yolo_focal.data.usable import refuse_unusable
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.errors import DataError

GOOD = "0 0.5 0.5 0.2 0.2"
FAULTS = {
    "1-based": ("2 0.5 0.5 0.2 0.2", "class out of range (2, expected 0 to 1); classes count from 0"),
    "pixels": ("0 32 32 10 10", "coordinates not in 0 to 1 (32 32 10 10); coordinates are shares"),
    "columns": ("0 0.5 0.5 0.2", "wrong number of columns (4, expected"),
    "words": ("cat 0.5 0.5 0.2 0.2", "not numbers (cat 0.5 0.5 0.2 0.2); a line is: class x_centre"),
}


def dataset(folder, line, images=4):
    """Train and val, every label file with this line."""
    for split in ("train", "val"):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for number in range(images):
            cv2.imwrite(str(folder / "images" / split / f"{number}.png"), np.full((64, 64, 3), 40 * number, np.uint8))
            (folder / "labels" / split / f"{number}.txt").write_text(f"{line}\n" if line else "")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat, dog]\n")
    return folder / "data.yaml"


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_fault_is_named(tmp_path, fault):
    """With what to do about it."""
    line, message = FAULTS[fault]
    data = read_data_yaml(dataset(tmp_path, line))
    with pytest.raises(DataError) as caught:
        refuse_unusable(data, "train")
    assert "none of the 4 images of 'train' can be used" in str(caught.value)
    assert f"0.txt:1: {message}" in str(caught.value)


def test_one_usable_image_is_enough(tmp_path):
    """What the trainer drops is for doctor to tell."""
    file = dataset(tmp_path, "7 0.5 0.5 0.2 0.2")
    (tmp_path / "labels/train/3.txt").write_text(GOOD)
    refuse_unusable(read_data_yaml(file), "train")


def test_images_without_any_label(tmp_path):
    """Background alone teaches nothing; for validation it may be wanted."""
    data = read_data_yaml(dataset(tmp_path, ""))
    with pytest.raises(
        DataError, match=r"the 4 images of 'train' have no labels; expected text files, the first .*0\.txt"
    ):
        refuse_unusable(data, "train")
    refuse_unusable(data, "train", labelled=False)


def test_unreadable_images_and_wrong_paths(tmp_path):
    """The commonest faults that are not in the labels."""
    file = dataset(tmp_path, GOOD)
    for image in (tmp_path / "images/train").iterdir():
        image.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png: unreadable image; replace the file"):
        refuse_unusable(read_data_yaml(file), "train")
    (tmp_path / "list.txt").write_text("elsewhere/a.png\nelsewhere/b.png\n")
    file.write_text("train: list.txt\nval: images/val\nnames: [cat, dog]\n")
    with pytest.raises(DataError, match=r"a\.png: image missing; correct the path in the list"):
        refuse_unusable(read_data_yaml(file), "train")


COMMANDS = {
    "train": "train model=yolo11n.yaml epochs=1 imgsz=64 device=cpu",
    "val": "val model=yolo11n.yaml imgsz=64 device=cpu",
    "evaluate": "evaluate model=yolo11n.yaml imgsz=64 device=cpu",
    "doctor": "doctor model=yolo11n.yaml imgsz=64 batch=2",
    "compare": "compare model=yolo11n.yaml losses=bce,focal seeds=1 epochs=1 imgsz=64 device=cpu",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_it_in_one_line(tmp_path, command, monkeypatch, capsys):
    """Exit code 2, and no trial, no results."""
    file = dataset(tmp_path / "data", "2 0.5 0.5 0.2 0.2")
    monkeypatch.chdir(tmp_path)
    assert cli.main([*COMMANDS[command].split(), f"data={file}"]) == 2
    error = capsys.readouterr().err.strip().split("\n")[-1]
    assert "0.txt:1: class out of range (2, expected 0 to 1)" in error and "Traceback" not in error
    yolo_focal.disable()


def test_a_data_yaml_without_val(tmp_path, monkeypatch, capsys):
    """As some annotation tools export it."""
    file = dataset(tmp_path / "data", GOOD)
    file.write_text("train: images/train\nnames: [cat, dog]\n")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "model=yolo11n.yaml", f"data={file}", "epochs=1", "imgsz=64", "device=cpu"]) == 2
    assert "has no 'val:', without which Ultralytics does not train; add it" in capsys.readouterr().err
    yolo_focal.disable()


def test_a_split_that_is_named_and_absent_does_not_hinder_the_others(tmp_path, capsys):
    """Exports name test: without having one."""
    file = dataset(tmp_path, GOOD)
    file.write_text(file.read_text() + "test: images/test\n")
    assert cli.main(["yolo2coco", f"data={file}", f"out={tmp_path / 'coco'}"]) == 0
    printed = capsys.readouterr().out
    assert "left out: " in printed and "test" in printed
    assert sorted(each.name for each in (tmp_path / "coco").iterdir()) == ["instances_train.json", "instances_val.json"]


def test_conversion_without_labels_is_noted(tmp_path, capsys):
    """It is valid, and hardly what was meant; of the split that has none."""
    assert cli.main(["yolo2coco", f"data={dataset(tmp_path, '')}", f"out={tmp_path / 'coco'}"]) == 0
    printed = capsys.readouterr().out
    assert "note: no image of train has a label" in printed and "note: no image of val has a label" in printed
    for file in (tmp_path / "labels/train").iterdir():
        file.write_text(GOOD)
    assert cli.main(["yolo2coco", f"data={tmp_path}", f"out={tmp_path / 'other'}"]) == 0
    printed = capsys.readouterr().out
    assert "note: no image of val has a label" in printed and "of train has" not in printed


UNLABELLED = {
    "evaluate": "evaluate model=yolo11n.yaml imgsz=64 device=cpu classes=index",
    "tune": "tune model=yolo11n.yaml iterations=1 epochs=1 imgsz=64",
    "compare": "compare model=yolo11n.yaml losses=bce,focal seeds=1 epochs=1 imgsz=64 device=cpu",
}


@pytest.mark.parametrize("command", UNLABELLED)
def test_nothing_is_measured_on_a_split_without_labels(tmp_path, command, monkeypatch, capsys):
    """An AP of nan, and a best one among fitnesses of 0, would look like results."""
    file = dataset(tmp_path / "data", GOOD)
    for label in (tmp_path / "data/labels/val").iterdir():
        label.write_text("")
    monkeypatch.chdir(tmp_path)
    assert cli.main([*UNLABELLED[command].split(), f"data={file}"]) == 2
    assert "the 4 images of 'val' have no labels" in capsys.readouterr().err.strip().split("\n")[-1]
    assert not list(tmp_path.glob("*.yaml")) and not (tmp_path / "evaluation").exists()
    yolo_focal.disable()


def test_auto_alpha_without_labels(tmp_path, monkeypatch, capsys):
    """There is nothing to count."""
    file = dataset(tmp_path / "data", "")
    monkeypatch.chdir(tmp_path)
    words = ["train", "model=yolo11n.yaml", f"data={file}", "fl_alpha=auto", "epochs=1", "imgsz=64", "device=cpu"]
    assert cli.main(words) == 2
    assert "the 4 images of 'train' have no labels" in capsys.readouterr().err
    yolo_focal.disable()
