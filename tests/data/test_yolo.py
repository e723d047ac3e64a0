"""Data YAMLs and image lists, read by Ultralytics' rules and without its side effects."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset, img2label_paths

from yolo_focal.data.yolo import label_file, read_data_yaml
from yolo_focal.errors import DataError
from yolo_focal.ultra.datasets import class_count, find_data_yaml, resolve_data


def write_yaml(folder: Path, **content: Any) -> Path:
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def ultralytics_images(data_yaml: Path, split: str) -> list[str]:
    """The images Ultralytics would read for a split."""
    dataset = object.__new__(YOLODataset)  # only its file listing; a whole one would read the images
    dataset.prefix, dataset.fraction = "", 1.0
    return dataset.get_img_files(check_det_dataset(str(data_yaml), autodownload=False)[split])


@pytest.mark.parametrize("layout", ["folder", "folders", "list", "lists", "path key", "parent prefix"])
def test_splits_are_those_of_ultralytics(tmp_path: Path, layout: str) -> None:
    """Folders, lists of folders, text lists and a `path:` key give exactly the images Ultralytics reads."""
    touch(*(tmp_path / "images" / name for name in ("a/1.jpg", "a/2.PNG", "b/3.jpeg", "b/deep/4.bmp", "a/notes.txt")))
    touch(tmp_path / "images" / "a" / ".hidden.jpg", tmp_path / "images" / ".cache" / "5.jpg")
    (tmp_path / "one.txt").write_text("./images/a/1.jpg\n./images/b/3.jpeg\n")
    (tmp_path / "two.txt").write_text(f"{tmp_path}/images/a/2.PNG\nnot an image\n")
    content: dict[str, Any] = {
        "folder": {"train": "images", "val": "images/b"},
        "folders": {"train": ["images/a", "images/b"], "val": "images/a"},
        "list": {"train": "one.txt", "val": "two.txt"},
        "lists": {"train": ["one.txt", "images/b"], "val": "two.txt"},
        "path key": {"path": str(tmp_path / "images"), "train": "a", "val": "b"},
        "parent prefix": {"train": "../images/a", "val": "../images/b"},
    }[layout]
    data_yaml = write_yaml(tmp_path, names=["x"], **content)
    dataset = read_data_yaml(data_yaml)
    for split in ("train", "val"):
        assert [str(path) for path in dataset.image_files(split)] == ultralytics_images(data_yaml, split)


@pytest.mark.parametrize(
    "image",
    [
        "/d/images/train/1.jpg",
        "/d/images/images/1.jpg",
        "/images/x/images.jpg",
        "/d/pictures/1.tar.jpg",
        "images/1.jpg",
    ],
)
def test_label_files_are_those_of_ultralytics(image: str) -> None:
    """The last folder called images becomes labels; a bare name without a folder before it stays."""
    assert str(label_file(Path(image))) == img2label_paths([image])[0]


def test_a_download_entry_is_never_run(tmp_path: Path) -> None:
    """Reading a YAML whose images are missing neither downloads nor executes."""
    marker = tmp_path / "ran"
    data_yaml = write_yaml(tmp_path, train="images", names=["x"], download=f"open({str(marker)!r}, 'w').write('x')")
    with pytest.raises(DataError, match="which does not exist; correct the path"):
        read_data_yaml(data_yaml).image_files("train")
    assert not marker.exists()


def test_python_tags_are_refused(tmp_path: Path) -> None:
    """A YAML that asks for code is an error, and the code does not run."""
    marker = tmp_path / "ran"
    data_yaml = tmp_path / "data.yaml"
    data_yaml.write_text(f"train: !!python/object/apply:os.system ['touch {marker}']\nnames: [a]\n")
    with pytest.raises(DataError, match=r"is not a plain YAML file: could not determine a constructor"):
        read_data_yaml(data_yaml)
    assert not marker.exists()


def test_aliases_that_multiply_cost_nothing(tmp_path: Path) -> None:
    """Nested YAML aliases are refused by type instead of being expanded."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    (tmp_path / "data.yaml").write_text("\n".join([*lines, "train: *a59", "names: [x]"]))
    with pytest.raises(DataError, match="train must be a folder, a list file or a list of them"):
        read_data_yaml(tmp_path / "data.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [a]", "names no images; it needs train: and val:"),
        ("train: images", r"needs names: .* or an nc: from 1 to 100000, got nc None"),
        ("train: images\nnc: -1", "got nc -1"),
        ("train: images\nnc: 2\nnames: [a]", "nc is 2, but names has 1 classes"),
        ("train: images\nnames: {0: a, 2: b}", "names must have the indices 0 to 1"),
        ("train: images\nnames: {.inf: a}", "the keys of names must be class indices"),
        ("train: images\nnames: {a: b}", "the keys of names must be class indices"),
        ("train: images\nnames: cat", "names must be a list or a mapping"),
        ("train: 5\nnames: [a]", "train must be a folder, a list file or a list of them, got 5"),
        (
            "train: images\nnames: [a]\nkpt_shape: [17, 4]",
            r"kpt_shape must be \[number of keypoints, 2 or 3 .* got \[17, 4\]",
        ),
        ("train: images\nnames: [a]\nkpt_shape: 17", "kpt_shape must be .*, such as .*, got 17"),
        ("train: images\nnames: [a]\nkpt_shape: [-1, 2]", r"got \[-1, 2\]"),
        (
            "train: images\nnames: [a]\nchannels: '3'",
            "channels must be a whole number of at least 1, without quotes, .*'3'",
        ),
        ("train: images\nnames: [a]\nchannels: 0", "channels must be .*, got 0"),
        ("train: images\nnames: [a]\nchannels: true", "channels must be .*, got True"),
        ("path: [1]\ntrain: images\nnames: [a]", "path must be a folder name"),
        ('path: "a\\0b"\ntrain: images\nnames: [a]', "path must be a folder name"),
        ("- a\n- b", "must map train:, val: and names:, got list"),
        ("a: [", "is not a plain YAML file"),
        ("[" * 3000, "is not a plain YAML file"),
        ("\x00", "is not a plain YAML file"),
    ],
)
def test_unusable_yamls_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, the entry and what was expected."""
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_data_yaml(tmp_path / "data.yaml")
    assert "data.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_splits_and_images_are_told_apart(tmp_path: Path) -> None:
    """Each of the three has its own message."""
    with pytest.raises(DataError, match=r"data file .*none.yaml does not exist"):
        read_data_yaml(tmp_path / "none.yaml")
    (tmp_path / "images").mkdir()
    dataset = read_data_yaml(write_yaml(tmp_path, train="images", names=["x"]))
    with pytest.raises(DataError, match="has no split 'val'; it has train"):
        dataset.image_files("val")
    with pytest.raises(DataError, match="no images for train in"):
        dataset.image_files("train")


@pytest.mark.parametrize("number", ["3", 3.0, "3.0", 3])
@pytest.mark.parametrize("names", [{}, {"names": ["a", "b", "c"]}])
def test_a_number_of_classes_is_read_as_ultralytics_reads_it(tmp_path: Path, number: object, names: dict) -> None:
    """As text and as a decimal number, too."""
    data_yaml = write_yaml(tmp_path, path=str(tmp_path), train="images", val="images", nc=number, **names)
    (tmp_path / "images").mkdir(exist_ok=True)
    assert (
        check_det_dataset(str(data_yaml))["nc"] == len(read_data_yaml(data_yaml).names) == class_count(data_yaml) == 3
    )


@pytest.mark.parametrize("content", [{"nc": 2.5}, {"nc": "many"}, {"nc": [3]}, {"names": 3}, {"names": "abc"}, {}])
def test_what_declares_no_classes_is_one_line(tmp_path: Path, content: dict) -> None:
    """For the commands that read the whole file, and for the check of a training."""
    data_yaml = write_yaml(tmp_path, train="images", val="images", **content)
    for read in (read_data_yaml, class_count):
        with pytest.raises(DataError) as caught:
            read(data_yaml)
        assert "\n" not in str(caught.value)


def test_names_come_from_nc_where_there_are_none(tmp_path: Path) -> None:
    """As in Ultralytics, `nc` alone names the classes class_0 and so on."""
    touch(tmp_path / "images" / "1.jpg")
    data_yaml = write_yaml(tmp_path, train="images", val="images", nc=3)
    assert read_data_yaml(data_yaml).names == tuple(check_det_dataset(str(data_yaml))["names"].values())


def test_a_relative_root_is_looked_up_below_the_datasets_folder(tmp_path: Path) -> None:
    """`path: set` that is not here is taken from `datasets_dir`."""
    touch(tmp_path / "datasets" / "set" / "images" / "1.jpg")
    data_yaml = write_yaml(tmp_path, path="set", train="images", names=["x"])
    found = read_data_yaml(data_yaml, tmp_path / "datasets").image_files("train")
    assert [os.path.relpath(image, tmp_path) for image in found] == ["datasets/set/images/1.jpg"]


def test_data_is_found_by_path_folder_and_bare_name(tmp_path: Path) -> None:
    """A file, the folder that holds it, and the names of Ultralytics' own datasets."""
    data_yaml = write_yaml(tmp_path, train="images", names=["x"])
    assert find_data_yaml(str(data_yaml)) == find_data_yaml(tmp_path) == data_yaml
    assert find_data_yaml("coco8").name == find_data_yaml("coco8.yaml").name == "coco8.yaml"


def test_the_built_in_name_goes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    """As a training takes it: `data=shapes` means one thing wherever it is typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes").mkdir()
    assert find_data_yaml("shapes") == Path(resolve_data("shapes"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("shapse", "did you mean 'shapes'"), ("coco12.yaml", "did you mean 'coco"), ("/nowhere/x.yaml", "does not exist")],
)
def test_an_unknown_dataset_gets_the_closest_name(name: str, message: str) -> None:
    """The message proposes what was probably meant."""
    with pytest.raises(DataError, match=message):
        find_data_yaml(name)


def test_a_folder_with_several_yamls_is_ambiguous(tmp_path: Path) -> None:
    """The message lists them."""
    touch(tmp_path / "a.yaml", tmp_path / "b.yaml")
    with pytest.raises(DataError, match=r"must have exactly one data YAML, it has a.yaml, b.yaml"):
        find_data_yaml(tmp_path)
