"""The data commands as a user calls them."""

from pathlib import Path
from types import ModuleType

import pytest
from pycocotools.coco import COCO

from tests.data.coco_files import one_image
from yolo_focal.arguments.command_line import help_table, parse_arguments
from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.commands import subset, voc2yolo, yolo2coco
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.errors import ConfigError, DataError


def call(command: ModuleType, *words: str) -> int:
    """Run a command on `key=value` words."""
    name = command.__name__.rpartition(".")[2]
    return command.run(parse_arguments(name, COMMANDS[name].keys, words))


def test_subset_prints_what_was_asked_and_reached(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has a line per class, and the last line how to train on the result."""
    folder = shared / "data" / "coco_tiny"
    code = call(
        subset,
        f"annotations={folder}/annotations/instances_train2017.json",
        f"images={folder}/images/train2017",
        f"val_annotations={folder}/annotations/instances_val2017.json",
        f"val_images={folder}/images/val2017",
        f"out={tmp_path}/set",
        "categories=[person, car]",
        "profile=exponential",
        "imbalance=5",
        "link=hardlink" if folder.stat().st_dev == tmp_path.stat().st_dev else "link=symlink",
    )
    printed = capsys.readouterr().out
    assert code == 0
    reached = COCO(tmp_path / "set" / "annotations" / "instances_train.json")
    for name in ("person", "car"):
        count = len(reached.getAnnIds(catIds=reached.getCatIds([name]), iscrowd=False))
        row = next(line.split() for line in printed.splitlines() if line.split()[:1] == [name])
        assert row[3] == str(count)
    assert f"data={tmp_path}/set/data.yaml" in printed.splitlines()[-1]
    assert read_data_yaml(tmp_path / "set" / "data.yaml").names == ("person", "car")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "annotations= is required"),
        (("annotations=a.json", "out=o"), "images= is required with a.json: the folder of its images"),
        (("annotations=a.json", "images=i", "out=o"), "the file a.json does not exist"),
        (("annotatons=a.json", "out=o"), "'annotatons' is not an argument of subset; did you mean 'annotations'"),
        (("annotations=a", "out=o", "profile=flat"), "profile must be one of exponential, zipf, got 'flat'"),
        (("annotations=a", "out=o", "imbalance=0.5"), r"imbalance must be a number >= 1, got '0.5'"),
        (("annotations=a", "out=o", "max_images=0"), "max_images must be an integer >= 1, got '0'"),
        (("annotations=a", "out=o", "val_share=0.1", "val_annotations=b"), "give one of them"),
        (("annotations=a", "images=i", "out=o", "val_images=v"), "val_images=v needs val_annotations="),
        (("annotations=train2017", "images=i", "out=o"), "images=i cannot act with annotations=train2017"),
        (
            ("annotations=a", "images=i", "val_annotations=val2017", "val_images=v", "out=o"),
            "val_images=v cannot act with val_annotations=val2017",
        ),
        (("annotations=a", "out=o", "imbalance=10"), "imbalance=10 belongs to a long-tail profile"),
        (("annotations=a", "out=o", "largest=5"), "largest=5 belongs to a long-tail profile"),
    ],
)
def test_bad_arguments_of_subset_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    """Each has a message with the value and the expectation, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, DataError), match=message):
        call(subset, *words)
    assert not list(tmp_path.iterdir())


def test_yolo2coco_and_back_on_a_small_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A subset converted by the command has the box it was made from."""
    source = one_image(tmp_path / "source", [[10, 20, 30, 40]])
    call(subset, f"annotations={source.annotations}", f"images={source.images}", f"out={tmp_path}/set")
    assert call(yolo2coco, f"data={tmp_path}/set", f"out={tmp_path}/coco") == 0
    assert "instances_train.json: 1 images, 1 annotations" in capsys.readouterr().out
    (annotation,) = COCO(tmp_path / "coco" / "instances_train.json").anns.values()
    assert annotation["bbox"] == pytest.approx([10, 20, 30, 40], abs=0.01)


def test_voc2yolo_needs_a_voc_folder(tmp_path: Path) -> None:
    """A folder without annotations is refused by name."""
    with pytest.raises(DataError, match=r"no \*.xml in .*give the folder of a Pascal VOC dataset"):
        call(voc2yolo, f"voc={tmp_path}", f"out={tmp_path}/out")


@pytest.mark.parametrize("command", [subset, voc2yolo, yolo2coco])
def test_help_names_every_argument(command: ModuleType) -> None:
    """The help table has one line per argument, with its default or that it is required."""
    table = COMMANDS[command.__name__.rpartition(".")[2]]
    text = help_table("command", table.summary, table.keys)
    for argument in table.keys:
        line = next(line for line in text.splitlines() if line.split()[:1] == [argument.name])
        assert ("required" if argument.required else f"default {argument.default}") in line
