"""yolo-focal evaluate from words to files."""

import csv
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from tests.helpers import write_squares
from tests.ultra.helpers import chatty
from yolo_focal.arguments.command_line import parse_arguments
from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.commands import evaluate
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.data.yolo_to_coco import write_coco_files
from yolo_focal.errors import CheckpointError, ConfigError, DataError

PICTURES = {"per_class.png", "thresholds.png", "reliability.png"}


def run(**words) -> int:
    """The command as the command line runs it."""
    given = [f"{name}={value}" for name, value in words.items()]
    return evaluate.run(parse_arguments("evaluate", COMMANDS["evaluate"].keys, given))


@pytest.fixture
def fake_results(shared) -> dict[str, Path]:
    """COCO's fake results and a ground truth for some of their images."""
    folder = shared / "data/fake_results"
    return {
        "predictions": folder / "instances_val2014_fakebbox100_results.json",
        "annotations": folder / "instances_coco128_overlap.json",
        "reference": folder / "pycocotools_reference.json",
    }


@pytest.fixture
def cells(shared, tmp_path) -> Path:
    """Four images of BCCD as a YOLO dataset, and as a COCO annotation file with ids of its own."""
    folder = tmp_path / "cells"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
        for file in sorted((shared / "data/bccd" / kind / "val").iterdir())[:4]:
            shutil.copyfile(file, folder / kind / file.name)
    names = {"names": ["RBC", "WBC", "Platelets"]}
    (folder / "data.yaml").write_text(yaml.safe_dump({"train": "images", "val": "images", **names}))
    content = json.loads((shared / "data/bccd/annotations/instances_val.json").read_text())
    kept = {image["id"] for image in content["images"] if (folder / "images" / image["file_name"]).exists()}
    content["images"] = [image for image in content["images"] if image["id"] in kept]
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] in kept]
    for record in content["categories"]:
        record["id"] = 100 - record["id"]
    for record in content["annotations"]:
        record["category_id"] = 100 - record["category_id"]
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """An untrained model of the three cell classes that finds something everywhere."""
    return save_chatty(tmp_path_factory.mktemp("cells") / "model.pt", "rbc", "wbc", "platelets")


@pytest.fixture(scope="module")
def checkpoint_of_squares(tmp_path_factory) -> Path:
    """The same of light and dark squares."""
    return save_chatty(tmp_path_factory.mktemp("squares") / "model.pt", "light", "dark", "other")


def save_chatty(path: Path, *names: str) -> Path:
    model = chatty("yolo11n.yaml")
    model.model.names = dict(enumerate(names))
    model.save(path)
    return path


def test_results_without_a_model(fake_results, tmp_path, capsys):
    """COCO's fake results give the published reference's numbers; every output is there."""
    out = tmp_path / "out"
    assert run(predictions=fake_results["predictions"], annotations=fake_results["annotations"], out=out) == 0
    content = json.loads((out / "evaluation.json").read_text())
    assert content["coco"] == pytest.approx(json.loads(fake_results["reference"].read_text()), abs=1e-6)
    assert (content["images"], content["objects"], content["detections"]) == (54, 461, 408)
    assert content["ultralytics"] is None
    assert {file.name for file in out.iterdir()} == PICTURES | {"evaluation.json", "per_class.csv"}
    with (out / "per_class.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 80
    printed = capsys.readouterr().out
    assert "AP 0.528728  AP50 0.713857  AP75 0.599258" in printed
    assert "326 of 734 detections left out: their 45 images are not in the annotations" in printed


def test_class_frequencies_from_another_file(fake_results, shared, tmp_path):
    """train_annotations= brings buckets to a results file, by class name."""
    out = tmp_path / "out"
    train = shared / "data/coco_tiny/annotations/instances_train2017.json"
    run(
        predictions=fake_results["predictions"],
        annotations=fake_results["annotations"],
        train_annotations=train,
        buckets="lvis",
        out=out,
    )
    content = json.loads((out / "evaluation.json").read_text())
    assert [bucket["name"] for bucket in content["buckets"]] == ["rare", "common", "frequent"]
    assert sum(bucket["classes"] for bucket in content["buckets"]) == 80
    assert content["bucket_rule"] == "lvis"


def test_a_model_on_the_same_images_in_three_formats(cells, checkpoint, tmp_path, capsys):
    """Label files, annotations beside a data YAML, and an annotation file alone give one result, whatever the ids."""
    data, annotations = cells / "data.yaml", cells / "annotations.json"
    runs = {
        "labels": {"data": data},
        "both": {"data": data, "annotations": annotations},
        "coco": {"data": annotations, "images": cells / "images", "train_annotations": annotations},
    }
    contents = {}
    for name, words in runs.items():
        run(model=checkpoint, imgsz=64, out=tmp_path / name, **words)
        contents[name] = json.loads((tmp_path / name / "evaluation.json").read_text())
        assert (tmp_path / name / "candidates.png").exists()
    by_name = {name: {each["name"]: each for each in content["classes"]} for name, content in contents.items()}
    for name, content in contents.items():
        assert content["coco"] == pytest.approx(contents["labels"]["coco"], abs=1e-6)
        assert content["ultralytics"]["mAP50"] == pytest.approx(contents["labels"]["ultralytics"]["mAP50"], abs=1e-6)
        for class_name, record in by_name[name].items():
            expected = by_name["labels"][class_name]
            assert record["AP50"] == pytest.approx(expected["AP50"], abs=1e-6)
            assert (record["objects"], record["training_instances"], record["bucket"]) == (
                expected["objects"],
                expected["training_instances"],
                expected["bucket"],
            )
        assert content["nms"]["images_lost"] == []
        assert content["nms"]["candidates_per_image"]["mean"] > 50
        difference = content["ultralytics"]["difference"]
        assert sum(step["AP50"] for step in difference) == pytest.approx(
            content["ultralytics"]["mAP50"] - content["coco"]["AP50"]
        )
    assert "images lost to an NMS time limit: none" in capsys.readouterr().out
    assert not list(cells.rglob("*.cache"))


def test_annotations_of_a_part_of_the_images_are_told(cells, checkpoint, tmp_path, capsys):
    """AP is of that part, and other numbers are not; without any object there is none to explain."""
    content = json.loads((cells / "annotations.json").read_text())
    content["images"] = content["images"][:3]
    content["annotations"] = []
    (cells / "part.json").write_text(json.dumps(content))
    run(model=checkpoint, data=cells / "data.yaml", imgsz=64, annotations=cells / "part.json", out=tmp_path / "out")
    printed = capsys.readouterr().out
    assert "Note: 1 images of the split are not in the annotations: their detections are left out" in printed
    assert "COCO has none without objects" in printed and "nan" not in printed


def test_classes_by_number_where_the_annotations_have_other_names(cells, checkpoint, tmp_path):
    """The class frequencies of the data YAML, too, which has the names of the model."""
    content = json.loads((cells / "annotations.json").read_text())
    for record in content["categories"]:
        record.update(id=100 - record["id"], name=f"Zelle {record['id']}")
    for record in content["annotations"]:
        record["category_id"] = 100 - record["category_id"]
    (cells / "renamed.json").write_text(json.dumps(content))
    results = {}
    for name, words in {"labels": {}, "renamed": {"annotations": cells / "renamed.json", "classes": "index"}}.items():
        run(model=checkpoint, data=cells / "data.yaml", imgsz=64, out=tmp_path / name, **words)
        content = json.loads((tmp_path / name / "evaluation.json").read_text())
        keys = ("training_instances", "bucket", "objects", "AP50")
        results[name] = [[each[key] for key in keys] for each in content["classes"]]
    for one, other in zip(results["labels"], results["renamed"], strict=True):
        assert one[:3] == other[:3] and one[3] == pytest.approx(other[3], abs=1e-6)


def test_the_models_numbers_are_those_of_pycocotools(cells, checkpoint):
    """The detections of a model, handed to pycocotools directly, give the same twelve numbers."""
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    from yolo_focal.data.coco import read_coco
    from yolo_focal.evaluation.model import evaluate_model
    from yolo_focal.evaluation.results_file import results_of

    annotations = read_coco(cells / "annotations.json")
    result = evaluate_model(str(checkpoint), cells / "data.yaml", annotations=annotations, imgsz=64)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(cells / "annotations.json"))
        reference = COCOeval(truth, truth.loadRes(results_of(result.detections, result.ground_truth)), "bbox")
        reference.evaluate()
        reference.accumulate()
        reference.summarize()
    np.testing.assert_allclose(list(result.evaluation.stats.values()), reference.stats, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("words", "phrases"),
    [
        ({}, ["evaluate needs model= and data=, or predictions= and annotations="]),
        ({"model": "m.pt"}, ["needs model= and data="]),
        ({"predictions": "p.json"}, ["predictions= needs annotations="]),
        (
            {"predictions": "p.json", "model": "m.pt", "data": "d.yaml"},
            ["predictions= needs annotations=", "leave out data, model"],
        ),
        ({"model": "m.pt", "data": "a.json"}, ["data=a.json is a COCO annotation file", "images="]),
        ({"model": "m.pt", "data": "a.json", "images": "i", "annotations": "b.json"}, ["leave out annotations="]),
        ({"model": "m.pt", "data": "d.yaml", "images": "i"}, ["images= belongs to a COCO annotation file"]),
        (
            {
                "predictions": "p.json",
                "annotations": "a.json",
                "conf": "0.9",
                "max_det": "1",
                "nms": "False",
                "trust": 1,
            },
            ["without a model: leave out conf=0.9, max_det=1, nms=False, trust=True"],
        ),
        ({"predictions": "p.json", "annotations": "a.json", "buckets": "lvis"}, ["buckets=lvis", "train_annotations="]),
        ({"model": "m.pt", "data": "a.json", "images": "i", "buckets": "lvis"}, ["buckets=lvis", "train_annotations="]),
        ({"model": "m.pt", "data": "a.json", "images": "i", "split": "test"}, ["split=test is of a data YAML"]),
        ({"model": "m.pt", "data": "d.yaml", "classes": "known"}, ["classes=known", "predictions="]),
        ({"predictions": "p.json", "annotations": "a.json", "buckets": "halves"}, ["buckets must be one of thirds"]),
        ({"model": "m.pt", "data": "d.yaml", "imgsz": "0"}, ["imgsz must be an integer >= 32, got '0'"]),
    ],
)
def test_arguments_that_do_not_fit_are_refused(words, phrases, tmp_path, monkeypatch):
    """All problems are named, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        run(**words)
    assert all(phrase in str(error.value) for phrase in phrases)
    assert list(tmp_path.iterdir()) == []


def test_bad_input_leaves_nothing_behind(fake_results, cells, checkpoint, tmp_path):
    """Files that cannot be evaluated are named; the output folder does not appear."""
    broken = tmp_path / "broken.json"
    broken.write_text("[{")
    out = tmp_path / "out"
    cases = [
        ({"predictions": broken, "annotations": fake_results["annotations"]}, DataError, "is not JSON"),
        ({"predictions": fake_results["predictions"], "annotations": broken}, DataError, "is not JSON"),
        ({"model": checkpoint, "data": tmp_path / "no.yaml"}, DataError, "does not exist"),
        ({"model": checkpoint, "data": cells / "data.yaml", "split": "test"}, DataError, "has no split 'test'"),
        ({"model": tmp_path / "no.pt", "data": cells / "data.yaml"}, CheckpointError, "does not exist"),
    ]
    before = set(tmp_path.iterdir())
    for words, error, phrase in cases:
        with pytest.raises(error, match=phrase):
            run(out=out, **words)
        assert set(tmp_path.iterdir()) == before


def test_a_download_entry_is_never_run(cells, checkpoint, tmp_path):
    """A data YAML of unknown origin whose images are missing is refused before Ultralytics would run its script."""
    trap = tmp_path / "ran"
    content = yaml.safe_load((cells / "data.yaml").read_text())
    content |= {"val": "elsewhere", "download": f"open({str(trap)!r}, 'w')"}
    (cells / "data.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(DataError, match="elsewhere, which does not exist"):
        run(model=checkpoint, data=cells / "data.yaml", out=tmp_path / "out")
    assert not trap.exists()


def test_an_output_folder_in_use_is_refused_first(tmp_path):
    """Before anything is read: an evaluation must not be lost at its end."""
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="is not empty"):
        run(predictions="nowhere.json", annotations="nowhere.json", out=tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_an_unreadable_image_is_named(cells, checkpoint, tmp_path):
    """An image that cannot be decoded is an error, not an image without detections."""
    damaged = sorted((cells / "images").iterdir())[1]
    damaged.write_bytes(b"no image")
    with pytest.raises(DataError, match=rf"1 of 4 images of .* could not be read, the first is .*{damaged.name}"):
        run(model=checkpoint, data=cells / "data.yaml", imgsz=64, out=tmp_path / "out")


@pytest.fixture
def squares(checkpoint_of_squares, tmp_path) -> dict[str, Path]:
    """The model and the data YAML of the light and dark squares, for `run`."""
    return {"model": checkpoint_of_squares, "data": write_squares(tmp_path / "squares"), "imgsz": 64}


def test_images_that_were_made_smaller_after_the_export_are_refused(squares, tmp_path):
    """Beside a data YAML too: the boxes of the annotations are in pixels of the size that they state."""
    dataset = read_data_yaml(squares["data"])
    write_coco_files(dataset, tmp_path / "coco")
    annotations = tmp_path / "coco/instances_val.json"
    run(**squares, annotations=annotations, out=tmp_path / "fits")
    for file in dataset.image_files("val")[1:]:
        cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), (32, 32)))
    with pytest.raises(
        DataError, match=r"1\.png is 32x32, but images id \d+ of .*_val\.json says 64x64; its boxes would"
    ):
        run(**squares, annotations=annotations, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["images", "folder"])
def test_a_training_split_that_was_left_elsewhere_is_noted(squares, tmp_path, capsys, kind):
    """Validation does not need it; the frequencies of classes do."""
    shutil.rmtree(tmp_path / "squares/images/train")
    if kind == "images":
        (tmp_path / "squares/images/train").mkdir()
    run(**squares, out=tmp_path / "out")
    content = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert content["buckets"] == [] and content["classes"][0]["training_instances"] is None
    fault = "train names .*train, which does not exist" if kind == "folder" else "no images for train in .*train"
    assert re.search(f"Note: no class frequencies: .*squares.yaml: {fault}; ", capsys.readouterr().out)


def test_another_size_than_that_of_the_training_is_noted(squares, tmp_path):
    """A checkpoint says at which size it was trained; `evaluate` uses 640 pixels unless it is told."""
    content = torch.load(squares["model"], weights_only=False)
    torch.save({**content, "train_args": {"imgsz": 32}}, tmp_path / "small.pt")
    notes = {}
    for size in (32, 64):
        run(**{**squares, "model": tmp_path / "small.pt", "imgsz": size}, out=tmp_path / f"out{size}")
        notes[size] = json.loads((tmp_path / f"out{size}/evaluation.json").read_text())["notes"]
    assert [note for note in notes[64] if note not in notes[32]] == [
        "evaluated at imgsz=64, but trained at 32; imgsz=32 is the size of its training"
    ]


def test_a_jpeg_that_ultralytics_writes_anew_is_noted(squares, tmp_path):
    """It does where bytes follow the end; nothing is said of one that is whole, nor where the file is only read."""
    folder = tmp_path / "squares/images/val"
    for number in (0, 1):
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.imread(str(folder / f"{number}.png")))
        (folder / f"{number}.png").unlink()
    appended = (folder / "1.jpg").read_bytes() + b"more"
    (folder / "1.jpg").write_bytes(appended)
    write_coco_files(read_data_yaml(squares["data"]), tmp_path / "coco")
    run(model=squares["model"], data=tmp_path / "coco/instances_val.json", images=folder, imgsz=64, out=tmp_path / "o")
    assert (folder / "1.jpg").read_bytes() == appended
    run(**squares, out=tmp_path / "first")
    assert (folder / "1.jpg").read_bytes() != appended
    run(**squares, out=tmp_path / "second")
    first, second = (
        json.loads((tmp_path / name / "evaluation.json").read_text())["notes"] for name in ("first", "second")
    )
    assert [note for note in first if note not in second] == [
        f"Ultralytics wrote 1 JPEG files of val without an end marker anew: {folder / '1.jpg'}"
    ]


@pytest.mark.parametrize("door", ["model", "results"])
def test_the_reference_engine_is_one_word(door, cells, checkpoint, fake_results):
    """engine=pycocotools gives that package's numbers, with a note of how far the own ones are from them."""
    import yolo_focal

    given = {name: fake_results[name] for name in ("predictions", "annotations")}
    if door == "model":
        given = {"model": checkpoint, "data": cells / "data.yaml", "imgsz": 64}
    own, theirs = yolo_focal.evaluate(**given), yolo_focal.evaluate(**given, engine="pycocotools")
    assert theirs.stats == pytest.approx(own.stats, abs=1e-12)
    (note,) = [note for note in theirs.report.notes if "those of pycocotools" in note]
    assert "differ by" in note and not any("pycocotools" in each for each in own.report.notes)
