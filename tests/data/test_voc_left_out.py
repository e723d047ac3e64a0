"""Pascal VOC datasets as they are found: nothing is dropped or added without a word, and the result trains."""

import cv2
import numpy as np
import pytest

from yolo_focal.data.voc import read_voc
from yolo_focal.data.voc_to_yolo import VocOptions, voc_to_yolo
from yolo_focal.errors import ConfigError, DataError

XML = """<annotation><filename>{stem}.jpg</filename>{objects}</annotation>"""
OBJECT = "<object><name>cat</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>25</ymax></bndbox></object>"


@pytest.fixture
def voc(tmp_path):
    """Four images, the last of them without objects."""
    folder = tmp_path / "voc"
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for stem in ("a", "b", "c c", "empty"):
        cv2.imwrite(str(folder / "JPEGImages" / f"{stem}.jpg"), np.zeros((40, 40, 3), np.uint8))
        objects = "" if stem == "empty" else OBJECT
        (folder / "Annotations" / f"{stem}.xml").write_text(XML.format(stem=stem, objects=objects))
    return folder


def convert(voc, out="out", **options):
    """The report, and the names of the images of each split."""
    out = voc.parent / out
    report = voc_to_yolo(voc, out, VocOptions(**options))
    return report, {split.name: sorted(p.stem for p in split.iterdir()) for split in (out / "images").iterdir()}


def list_of(voc, split, content):
    """Write a list file."""
    (voc / "ImageSets/Main" / f"{split}.txt").write_bytes(content)


def test_suffixes_in_capitals_and_negatives_are_kept(voc):
    """An annotation without objects says that there are none."""
    (voc / "Annotations/b.xml").rename(voc / "Annotations/b.XML")
    report, splits = convert(voc)
    assert splits == {"train": ["a", "b", "c c", "empty"]} and report["left_out"] == []


def test_images_without_annotation_and_unlisted_ones_are_named(voc):
    """It cannot be told whether the first are empty."""
    (voc / "Annotations/a.xml").unlink()
    list_of(voc, "train", b"b\nempty\n")
    report, splits = convert(voc)
    assert splits == {"train": ["b", "empty"]}
    assert [line.rpartition(": ")[2] for line in report["left_out"]] == [
        "no annotation file, so it cannot be told whether it is empty; left out",
        "in no list of ImageSets/Main; left out",
    ]


def test_trainval_is_split(voc):
    """Where it is the only list."""
    list_of(voc, "trainval", b"a\nb\nempty\n")
    report, splits = convert(voc, val_share=0.34)
    assert sorted(splits["train"] + splits["val"]) == ["a", "b", "empty"]
    assert any("trainval.txt is the training split" in note for note in report["notes"])


@pytest.mark.parametrize("lists", [("train",), ("trainval", "val")])
def test_a_share_beside_lists_that_divide_the_images_is_refused(voc, lists):
    """It could not act."""
    for split in lists:
        list_of(voc, split, b"a\nb\n" if split != "val" else b"b\n")
    with pytest.raises(ConfigError, match=rf"val_share=0.5 cannot act: .*{lists[-1]}\.txt already divides"):
        convert(voc, val_share=0.5)


def test_a_share_that_leaves_nothing_to_train_on_is_refused(voc):
    """Of few images a large share is all of them."""
    with pytest.raises(DataError, match=r"^val_share=0\.9 leaves none of the 4 images to train on; lower it"):
        convert(voc, val_share=0.9)
    list_of(voc, "trainval", b"a\n")
    list_of(voc, "val", b"a\n")
    with pytest.raises(DataError, match=r"all images of .*trainval\.txt are in val too: nothing to train on"):
        convert(voc, out="other")


def test_hidden_files_are_no_annotations(voc):
    """A Mac leaves one beside every file that it packs."""
    (voc / "Annotations/._a.xml").write_bytes(b"\0\5\x16\7")
    assert convert(voc)[1] == {"train": ["a", "b", "c c", "empty"]}


def test_lists_with_marks_spaces_and_a_byte_order_mark(voc):
    """As they are written by hand and for single classes."""
    list_of(voc, "train", b"\xef\xbb\xbfa  1\nc c\nb -1\nb -1\n")
    assert convert(voc)[1] == {"train": ["a", "b", "c c"]}


def test_empty_lists(voc):
    """Of validation: no such split; of training: refused."""
    list_of(voc, "train", b"a\n")
    list_of(voc, "val", b"\n")
    report, splits = convert(voc)
    assert splits == {"train": ["a"]} and "val: images/train" in (voc.parent / "out/data.yaml").read_text()
    assert any("val.txt is empty: no such split is written" in note for note in report["notes"])
    list_of(voc, "train", b"")
    with pytest.raises(DataError, match=r"train\.txt is empty: nothing to train on"):
        convert(voc, out="other")


def test_a_list_that_is_no_text(voc):
    """One line."""
    list_of(voc, "train", b"\xff\xfea\x00")
    with pytest.raises(DataError, match=r"cannot read the list .*train\.txt"):
        convert(voc)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "ascii"])
def test_entities_are_refused_in_every_encoding(tmp_path, encoding):
    """Ten of them, each ten of the next, would fill the memory."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x"}">' for n in range(10))
    content = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [{entities}]><annotation>&e9;</annotation>'
    (tmp_path / "bomb.xml").write_bytes(content.encode(encoding))
    with pytest.raises(DataError, match=r"declares a document type|cannot read the VOC file"):
        read_voc(tmp_path / "bomb.xml")


def test_an_unknown_encoding_is_one_line(tmp_path):
    """Of XML, which names its own."""
    (tmp_path / "a.xml").write_bytes(b'<?xml version="1.0" encoding="nonsense"?><annotation/>')
    with pytest.raises(DataError, match="cannot read the VOC file"):
        read_voc(tmp_path / "a.xml")


def test_utf_16_without_a_document_type_is_read(tmp_path):
    """Nothing is wrong with it."""
    content = '<?xml version="1.0" encoding="utf-16"?>' + XML.format(stem="é", objects=OBJECT)
    (tmp_path / "a.xml").write_bytes(content.encode("utf-16"))
    assert read_voc(tmp_path / "a.xml").file_name == "é.jpg"


def test_a_class_named_twice_is_refused(voc):
    """Its objects could have either number."""
    with pytest.raises(DataError, match="names= has 'cat' more than once; give every class one number"):
        convert(voc, names=("cat", "dog", "cat"))


@pytest.mark.parametrize(
    ("word", "difficult"), [("0", False), ("1", True), ("true", True), (" False ", False), ("", False)]
)
def test_difficult_is_0_or_1(voc, word, difficult):
    """In the words that tools write; any other is no answer."""
    file = voc / "Annotations/a.xml"
    marked = OBJECT.replace("<bndbox>", f"<difficult>{word}</difficult><bndbox>")
    file.write_text(XML.format(stem="a", objects=marked))
    assert read_voc(file).objects[0].difficult is difficult
    file.write_text(file.read_text().replace(f"<difficult>{word}<", "<difficult>maybe<"))
    with pytest.raises(DataError, match=r"a\.xml: object 1 \(cat\): difficult must be 0 or 1, got 'maybe'"):
        read_voc(file)


def test_where_no_object_is_left_the_reason_is_told(voc):
    """All boxes without area, or all difficult; nothing is written."""
    marked = OBJECT.replace("<bndbox>", "<difficult>1</difficult><bndbox>")
    for objects, reason in ((OBJECT.replace(">20<", ">5<"), "box without area left out"), (marked, "difficult=False")):
        for stem in ("a", "b", "c c"):
            (voc / "Annotations" / f"{stem}.xml").write_text(XML.format(stem=stem, objects=objects))
        with pytest.raises(DataError, match=f"none of the objects in its 4 training images is left .*{reason}"):
            convert(voc, difficult=False)
        assert not (voc.parent / "out").exists()
