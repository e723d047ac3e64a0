"""Datasets that a command cannot use: one line with file, line, value and remedy, exit code 2, nothing written."""

import inspect
import shutil

import pytest
from PIL import Image
from ultralytics.data.utils import check_cls_dataset, check_det_dataset, find_dataset_yaml
from ultralytics.engine import trainer

from tests.helpers import write_squares
from yolo_focal import cli
from yolo_focal.errors import DataError
from yolo_focal.ultra.datasets import explained_dataset_errors, find_data_yaml, refuse_unusable_data

SMALL = "imgsz=64 device=cpu"
COMMANDS = {
    "train": f"train model=yolo11n.yaml epochs=1 {SMALL}",
    "val": f"val model=yolo11n.yaml {SMALL}",
    "evaluate": f"evaluate model=yolo11n.yaml classes=index {SMALL}",
    "doctor": f"doctor model=yolo11n.yaml batch=2 {SMALL}",
    "compare": f"compare model=yolo11n.yaml losses=bce,focal seeds=1 epochs=1 {SMALL}",
    "tune": f"tune model=yolo11n.yaml iterations=1 epochs=1 {SMALL}",
    "calibrate": f"calibrate model=MODEL {SMALL}",
}
READ_VAL_ONLY = ("val", "evaluate", "calibrate")


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys, request):
    """Run a command on a data YAML in an empty folder; the last line of stderr of one that refused it properly."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)

    def call(command, data):
        words = COMMANDS[command]
        if "MODEL" in words:
            weights = request.getfixturevalue("trained").run / "weights" / "last.pt"
            words = words.replace("MODEL", str(weights))
            words += f" out={place / 'calibrated.pt'}"
        before = sorted(str(each) for each in tmp_path.rglob("*") if each.suffix != ".cache")
        code = cli.main([*words.split(), f"data={data}"])
        lines = capsys.readouterr().err.strip().split("\n")
        assert code == 2, lines
        assert not any("Traceback" in line for line in lines)
        assert sorted(str(each) for each in tmp_path.rglob("*") if each.suffix != ".cache") == before
        return lines[-1]

    return call


def label_all(folder, split, line):
    """Every label file of a split has this one line."""
    for file in (folder / "labels" / split).iterdir():
        file.write_text(f"{line}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_validation_split_in_pixels(tmp_path, refused, command):
    """The training split is fine, so only what reads further finds it."""
    data = write_squares(tmp_path / "data")
    label_all(tmp_path / "data", "val", "0 32 32 10 10")
    line = refused(command, data)
    assert "none of the 8 images of 'val' can be used; the first problem: " in line
    assert "labels/val/0.txt:1: coordinates not in 0 to 1 (32 32 10 10); coordinates are shares" in line


@pytest.mark.parametrize("command", ["train", "evaluate", "doctor", "tune", "compare"])
def test_images_that_are_truncated(tmp_path, refused, command):
    """Their headers can be read, which is not enough for the trainer."""
    data = write_squares(tmp_path / "data")
    for split in ("train", "val"):
        for image in (tmp_path / "data/images" / split).iterdir():
            image.write_bytes(image.read_bytes()[:500])
    assert "0.png: unreadable image; replace the file" in refused(command, data) or command == "doctor"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_list_of_wrong_paths(tmp_path, refused, command):
    """The first of them is named."""
    data = write_squares(tmp_path / "data")
    (tmp_path / "data/list.txt").write_text("images/none/a.png\nimages/none/b.png\n")
    data.write_text(data.read_text().replace("images/train", "list.txt").replace("images/val", "list.txt"))
    assert "images/none/a.png: image missing" in refused(command, data)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_yaml_without_train(tmp_path, refused, command):
    """Ultralytics demands it of every YAML, also for validation."""
    data = write_squares(tmp_path / "data")
    data.write_text(data.read_text().replace("train: images/train\n", ""))
    assert "squares.yaml has no " in refused(command, data)


@pytest.mark.parametrize("command", COMMANDS)
def test_names_of_three_hundred_characters(tmp_path, refused, command):
    """No file system has them: of the YAML, of a split and of an image."""
    data = write_squares(tmp_path / "data")
    assert " not exist; " in refused(command, "y" * 300) or command == "compare"
    whole = data.read_text()
    data.write_text(whole.replace("images/train", "x" * 300).replace("images/val", "x" * 300))
    assert "which does not exist; correct the path" in refused(command, data)
    (tmp_path / "data/list.txt").write_text(f"{'z' * 300}.png\n")
    data.write_text(whole.replace("images/train", "list.txt").replace("images/val", "list.txt"))
    assert "zzz.png: image missing" in refused(command, data)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_list_that_is_no_text(tmp_path, refused, command):
    """Of image paths."""
    data = write_squares(tmp_path / "data")
    (tmp_path / "data/list.txt").write_bytes(b"\xff\xfe\x00a")
    data.write_text(data.read_text().replace("images/train", "list.txt").replace("images/val", "list.txt"))
    assert "cannot read the image list" in refused(command, data)


@pytest.mark.parametrize("suffix", ["bmp", "tif"])
@pytest.mark.parametrize("command", ["val", "evaluate", "doctor", "calibrate"])
def test_images_that_only_their_header_makes_images(tmp_path, refused, command, suffix):
    """Pillow finds no fault with them, so Ultralytics drops none; its decoder does."""
    data = write_squares(tmp_path / "data")
    for image in sorted((tmp_path / "data/images").rglob("*.png")):
        cut = image.with_suffix(f".{suffix}")
        Image.open(image).save(cut)
        cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
        image.unlink()
    line = refused(command, data)
    assert f".{suffix} cannot be decoded, though its header can be read; replace the file or take it out of" in line
    assert command == "val" or not list(tmp_path.rglob("*.cache"))


@pytest.mark.parametrize("command", ["evaluate", "doctor", "calibrate"])
def test_a_number_of_channels_that_is_none(tmp_path, refused, command):
    """Quoted, it would become a layer's size."""
    data = write_squares(tmp_path / "data")
    data.write_text(data.read_text() + "channels: '3'\n")
    assert "channels must be a whole number of at least 1, without quotes, got '3'" in refused(command, data)


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_other_channels_than_the_model_s(tmp_path, refused, command):
    """Before the first image is read."""
    data = write_squares(tmp_path / "data")
    data.write_text(data.read_text() + "channels: 1\n")
    assert "has images of 1 channels (channels:), but the model takes 3; correct it, or give a" in refused(
        command, data
    )
    assert not list(tmp_path.rglob("*.cache"))


@pytest.mark.skipif('data.get("test")' in inspect.getsource(trainer), reason="this Ultralytics takes the test split")
@pytest.mark.parametrize("command", ["train", "doctor"])
def test_a_test_split_in_place_of_val(tmp_path, refused, command):
    """Ultralytics' own words."""
    data = write_squares(tmp_path / "data", train=8, test=8)
    data.write_text(data.read_text() + "val:\n")
    assert "'val:' images not found" in refused(command, data)


@pytest.mark.parametrize("command", ["evaluate", "compare", "calibrate"])
def test_an_image_that_is_listed_twice_cannot_be_measured(tmp_path, refused, command):
    """Its objects would count twice."""
    data = write_squares(tmp_path / "data")
    images = sorted((tmp_path / "data/images/val").iterdir())
    (tmp_path / "data/list.txt").write_text("\n".join(map(str, [*images, images[3]])))
    data.write_text(data.read_text().replace("images/val", "list.txt"))
    assert f"'val' lists {images[3]} more than once, so its objects would be counted" in refused(command, data)


def test_split_train_of_a_yaml_without_val(tmp_path, monkeypatch, capsys):
    """Ultralytics demands val: even then."""
    data = write_squares(tmp_path / "data")
    data.write_text(data.read_text().replace("val: images/val\n", ""))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["evaluate", "model=yolo11n.yaml", "split=train", "imgsz=64", f"data={data}"]) == 2
    assert "has no 'val:', which Ultralytics always demands; add it" in capsys.readouterr().err


def test_a_training_without_any_label_file(tmp_path, refused):
    """Empty ones would say that all images are background, which Ultralytics trains on; none is a wrong folder."""
    data = write_squares(tmp_path / "data")
    shutil.rmtree(tmp_path / "data/labels/train")
    assert "the 8 images of 'train' have no labels; expected text files, the first " in refused("train", data)
    (tmp_path / "data/labels/train").mkdir()
    (tmp_path / "data/labels/train/3.txt").touch()
    refuse_unusable_data(data, labelled=())


def test_a_folder_is_the_yaml_in_it(tmp_path):
    """By Ultralytics' rule: at the top or below, of several the one that is called as the folder."""
    data = write_squares(tmp_path / "data")
    assert find_data_yaml(tmp_path / "data") == data
    shutil.copy(data, tmp_path / "data" / "data.yaml")
    assert find_data_yaml(tmp_path / "data") == tmp_path / "data" / "data.yaml"
    assert find_data_yaml(tmp_path / "data") == find_dataset_yaml(tmp_path / "data")
    (tmp_path / "data" / "data.yaml").rename(tmp_path / "data" / "other.yaml")
    with pytest.raises(DataError, match=r"must have exactly one data YAML, it has other\.yaml, squares\.yaml"):
        find_data_yaml(tmp_path / "data")
    (tmp_path / "above").mkdir()
    (tmp_path / "data" / "other.yaml").unlink()
    (tmp_path / "data").rename(tmp_path / "above" / "data")
    assert find_data_yaml(tmp_path / "above") == tmp_path / "above" / "data" / "squares.yaml"


def test_a_folder_with_a_fault_in_it_is_refused_before_a_training(tmp_path, refused):
    """As its YAML would be, with fl_alpha=auto as well."""
    write_squares(tmp_path / "data")
    label_all(tmp_path / "data", "train", "5 0.5 0.5 0.1 0.1")
    for command in ("train", "tune", "compare"):
        assert "0.txt:1: class out of range (5, expected 0 to 1)" in refused(command, tmp_path / "data")


def test_classes_taken_for_one_are_never_out_of_range(tmp_path):
    """With single_cls Ultralytics does not look at the numbers."""
    data = write_squares(tmp_path / "data")
    for split in ("train", "val"):
        label_all(tmp_path / "data", split, "5 0.5 0.5 0.1 0.1")
    refuse_unusable_data(data, single_class=True)
    with pytest.raises(DataError, match="class out of range"):
        refuse_unusable_data(data)


def test_a_dataset_that_has_to_be_downloaded_is_left_to_ultralytics(tmp_path):
    """Its splits are not there yet."""
    data = write_squares(tmp_path / "data")
    shutil.rmtree(tmp_path / "data/images")
    with pytest.raises(DataError, match="which does not exist"):
        refuse_unusable_data(data)
    data.write_text(data.read_text() + "download: https://example.org/squares.zip\n")
    refuse_unusable_data(data)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("train: 5\n", "'train' must be"),
        ("nc: many\n", "'nc: many' must be an integer"),
        ("names: [a]\nnc: 3\n", "must match"),
    ],
)
def test_other_errors_of_reading_a_dataset_are_one_line(tmp_path, entry, reason):
    """Told by where they come from, not by their words."""
    data = write_squares(tmp_path / "data")
    names = "" if "names" in entry else "names: [light, dark]\n"
    data.write_text(names + "val: images/val\n" + ("" if "train" in entry else "train: images/train\n") + entry)
    said = pytest.raises(DataError, match=rf"data=x\.yaml cannot be used by Ultralytics: .*{reason}")
    with said, explained_dataset_errors("x.yaml"):
        check_det_dataset(str(data), autodownload=False)


def test_a_folder_without_images_is_one_line_for_a_classifier_too(tmp_path):
    """With what Ultralytics says of it."""
    said = pytest.raises(DataError, match=r"data=x cannot be used by Ultralytics: No images found in")
    with said, explained_dataset_errors("x", task="classify"):
        check_cls_dataset(str(tmp_path))


def test_an_error_from_elsewhere_stays_what_it_is(tmp_path):
    """Whatever it says."""
    data = write_squares(tmp_path / "data")
    with pytest.raises(RuntimeError, match="No valid images found"), explained_dataset_errors(data):
        raise RuntimeError("No valid images found")


def test_what_ultralytics_forgives_is_no_reason_to_refuse_a_training(tmp_path):
    """A byte that is no UTF-8, a number of classes as text; other readers may be stricter."""
    data = write_squares(tmp_path / "data")
    whole = data.read_bytes()
    for forgiven in (b"# caf\xe9\n" + whole, whole + b"nc: '2'\n"):
        data.write_bytes(forgiven)
        refuse_unusable_data(data)
    data.write_bytes(whole + b"nc: '3'\n")
    with pytest.raises(DataError, match="nc is '3', but names has 2 classes"):
        refuse_unusable_data(data)
