"""What is read here is what Ultralytics reads: hyperparameter files and COCO's boxes, for whatever values."""

import json
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import repeated
from yolo_focal.arguments.hyp import read_hyp
from yolo_focal.data.coco import clipped_box, read_coco
from yolo_focal.data.layout import write_labels
from yolo_focal.errors import ConfigError

VALUES = (
    st.integers()
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.none()
    | st.text(max_size=12)
    | st.sampled_from(["1e-3", "1_000", "off", "1:30", "0o14", "+.5", "~", ".inf", "0x1F", "2026-01-01", "yes", "'1'"])
    | st.lists(st.floats(0, 1), max_size=3)
)
WRITTEN = st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), VALUES, min_size=1, max_size=5)


def examine_hyp(path, examples, *, anew):
    """Dumped by a library, or typed by hand."""
    from ultralytics.utils import YAML

    @repeated(examples, anew)
    @given(WRITTEN, st.booleans())
    def examined(content, by_hand):
        lines = "".join(f"{name}: {value}\n" for name, value in content.items())
        path.write_text(lines if by_hand else yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        try:
            ours = read_hyp(path)
        except ConfigError as error:
            assert "\n" not in str(error)
            return
        assert repr(ours) == repr(YAML.load(path))

    examined()


@st.composite
def coco(draw):
    """One image and some boxes inside of it, with thin and crowded ones."""
    width, height = draw(st.integers(1, 2000)), draw(st.integers(1, 2000))

    def box():
        x, y = draw(st.floats(0, width)), draw(st.floats(0, height))
        return [x, y, draw(st.floats(0, width - x)), draw(st.floats(0, height - y))]

    annotations = [
        {
            "id": number,
            "image_id": 7,
            "category_id": draw(st.integers(1, 3)),
            "bbox": box(),
            "iscrowd": draw(st.integers(0, 1)),
        }
        for number in range(draw(st.integers(1, 5)))
    ]
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": width, "height": height}],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}],
        "annotations": annotations,
    }


def numbers(path):
    """The labels of a file, to the six digits that both write."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    return sorted([int(float(row[0])), *map(float, row[1:])] for row in rows)


def examine_coco(tmp_path, examples, *, anew):
    """Our labels against those of Ultralytics' converter."""
    from ultralytics.data.converter import convert_coco

    @repeated(examples, anew)
    @given(coco())
    def examined(content):
        with tempfile.TemporaryDirectory(dir=tmp_path) as name:
            folder = Path(name)
            source = folder / "json/instances_a.json"
            source.parent.mkdir()
            source.write_text(json.dumps(content), encoding="utf-8")
            convert_coco(str(source.parent), str(folder / "theirs"), use_segments=False, cls91to80=False)
            dataset = read_coco(source)
            image = dataset.images[7]
            objects = [
                (each["category_id"] - 1, box)
                for each in dataset.objects(7)
                if (box := clipped_box(each["bbox"], image)) is not None
            ]
            write_labels(folder / "ours.txt", objects, image["width"], image["height"])
            expected, found = numbers(folder / "theirs/labels/a/a.txt"), numbers(folder / "ours.txt")
        # Ultralytics writes equal rows once, as its scan reads them; a box thinner than a rounding may be left out.
        distinct = [row for index, row in enumerate(found) if row not in found[:index]]
        expected = [row for row in expected if min(row[3:]) > 1e-5]
        distinct = [row for row in distinct if min(row[3:]) > 1e-5]
        assert len(distinct) == len(expected)
        for ours, other in zip(distinct, expected, strict=True):
            assert ours == pytest.approx(other, abs=2e-6, rel=1e-5)

    examined()


def test_a_hyperparameter_file_is_read_as_ultralytics_reads_it(tmp_path):
    """Every scalar of YAML, also those that surprise."""
    examine_hyp(tmp_path / "hyp.yaml", 150, anew=False)


def test_boxes_of_coco_are_those_of_ultralytics_converter(tmp_path):
    """Crowds and boxes without area are left out by both."""
    examine_coco(tmp_path, 60, anew=False)


@pytest.mark.slow
def test_the_same_reading_in_many_examples(tmp_path):
    """2,000 of each."""
    examine_hyp(tmp_path / "hyp.yaml", 2000, anew=True)
    examine_coco(tmp_path, 2000, anew=True)
