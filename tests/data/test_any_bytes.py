"""Whatever bytes a file has, a reader gives its content or one of this package's errors: never another exception."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import repeated
from yolo_focal.arguments.classic_hyp import is_classic, translate
from yolo_focal.arguments.hyp import read_hyp
from yolo_focal.comparison.journal import Journal
from yolo_focal.data.coco import read_coco
from yolo_focal.data.labels import read_labels
from yolo_focal.data.voc import read_voc
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.errors import ConfigError, YoloFocalError
from yolo_focal.evaluation.coco_source import ground_truth_from_coco
from yolo_focal.evaluation.results_file import read_results

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 20}],
    "categories": [{"id": 3, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}],
}
VOC = """<annotation><filename>a.jpg</filename><size><width>10</width><height>20</height></size><object><name>cat</name>
<difficult>0</difficult><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>"""
HYP = "lr0: 0.01\nbox: 0.05\ncls: 0.5\ncls_pw: 1.0\nobj: 1.0\nobj_pw: 1.0\nanchor_t: 4.0\nfl_gamma: 0.0\n"
ROW = {"configuration": "bce", "seed": 0, "status": "finished", "stats": {"AP": 0.5}}


def read_against_truth(path):
    """Detections, against the objects of COCO above."""
    (path.parent / "truth.json").write_text(json.dumps(COCO), encoding="utf-8")
    read_results(path, ground_truth_from_coco(read_coco(path.parent / "truth.json")))


def read_any_hyp(path):
    """As a training reads it."""
    content = read_hyp(path)
    if is_classic(content):
        translate(content, str(path))


def read_journal(path):
    """As compare reads it, which passes over what is damaged."""
    Journal(path).finished()


READERS = {
    "labels": (lambda path: read_labels(path, 3), "txt", b"0 0.5 0.5 0.2 0.2\n1 0.1 0.2 0.3 0.4 0.5 0.6\n"),
    "keypoints": (lambda path: read_labels(path, 3, (2, 2)), "txt", b"0 0.3 0.4 0.3 0.5 0.28 0.4 0.32 0.4\n"),
    "coco": (read_coco, "json", json.dumps(COCO).encode()),
    "results": (
        read_against_truth,
        "json",
        json.dumps([{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]).encode(),
    ),
    "voc": (read_voc, "xml", VOC.encode()),
    "hyp": (read_any_hyp, "yaml", HYP.encode()),
    "data": (read_data_yaml, "yaml", yaml.safe_dump({"train": "a", "val": "b", "names": ["cat", "dog"]}).encode()),
    "journal": (read_journal, "jsonl", (json.dumps(ROW) + "\n").encode()),
}
PIECES = st.sampled_from(
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"-",
        b"1e999",
        b"nan",
        b"null",
        b"{}",
        b"[]",
        b"[" * 2000,
        b'"',
        b"9" * 400,
        b"\n",
        b": ",
        b"&a",
    ]
) | st.binary(max_size=6)


@st.composite
def damaged(draw, content):
    """`content` with some of its parts replaced, or other bytes altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(start + 12, len(content))))
        content = content[:start] + draw(PIECES) + content[end:]
    return content


def check(reader, path, content):
    """The reader's own errors alone."""
    path.write_bytes(content)
    try:
        reader(path)
    except YoloFocalError as error:
        assert "\n" not in str(error)


def examine(name, tmp_path, examples, *, anew):
    """So many examples, the same every time or others."""
    reader, suffix, content = READERS[name]

    @repeated(examples, anew)
    @given(damaged(content))
    def examined(example):
        check(reader, tmp_path / f"file.{suffix}", example)

    examined()


@pytest.mark.parametrize("name", READERS)
def test_no_reader_raises_another_error(name, tmp_path):
    """Bytes, nesting, huge numbers, wrong types in every place."""
    examine(name, tmp_path, 80, anew=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_no_reader_raises_another_error_in_many_examples(name, tmp_path):
    """The same, 2,000 times."""
    examine(name, tmp_path, 2000, anew=True)


def test_deep_nesting_in_a_hyperparameter_file(tmp_path):
    """Deeper than Python's stack."""
    (tmp_path / "deep.yaml").write_text("lr0: " + "[" * 2000, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"deep\.yaml is not YAML \("):
        read_hyp(tmp_path / "deep.yaml")


@pytest.mark.parametrize("name", READERS)
def test_the_undamaged_file_is_read(name, tmp_path):
    """Else the properties above would hold of readers that refuse everything."""
    reader, suffix, content = READERS[name]
    (tmp_path / f"file.{suffix}").write_bytes(content)
    reader(tmp_path / f"file.{suffix}")
