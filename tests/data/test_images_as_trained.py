"""Images are looked at as Ultralytics does before a training: the same ones are dropped."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from ultralytics.data.utils import verify_image_label

from tests.helpers import write_squares
from yolo_focal import cli
from yolo_focal.data.label_statistics import split_statistics
from yolo_focal.data.usable import checked_image
from yolo_focal.data.yolo import read_data_yaml

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF", "gif": "GIF", "ppm": "PPM"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of an image in every format, and of one JPEG with a thumbnail's end marker inside."""
    folder = tmp_path_factory.mktemp("formats")
    pixels = np.random.default_rng(0).integers(0, 255, (12, 30, 3), dtype=np.uint8)
    for suffix, form in FORMATS.items():
        Image.fromarray(pixels).save(folder / f"a.{suffix}", form)
    return {suffix: (folder / f"a.{suffix}").read_bytes() for suffix in FORMATS}, folder


def dropped_by_ultralytics(path):
    """By its own check of one image, which may write the file anew."""
    return verify_image_label((str(path), str(path.with_suffix(".txt")), "", False, 1, 0, 0, False))[0] is None


def assert_alike(path):
    """Ours first: it changes nothing."""
    before = path.read_bytes()
    size, problems = checked_image(path)
    assert path.read_bytes() == before
    assert (size is None) == any(problem.drops_image for problem in problems) == dropped_by_ultralytics(path)
    assert (path.read_bytes() != before) == any(problem.kind == "JPEG without an end marker" for problem in problems)


damage = st.tuples(
    st.sampled_from(sorted(FORMATS)),
    st.sampled_from(["jpg", "png"]),  # what the name says
    st.floats(0, 1),  # how much of the file is there
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=2),  # bytes changed
    st.binary(max_size=3),  # bytes after the end
)


def check(whole, case):
    """One damaged image."""
    contents, folder = whole
    form, suffix, share, changes, more = case
    content = bytearray(contents[form])
    for place, value in changes:
        content[int(place * len(content))] = value
    content = content[: round(share * len(content))] + more
    path = folder / f"damaged.{suffix}"
    path.write_bytes(content)
    assert_alike(path)


@given(damage)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_damaged_images_are_dropped(whole, case):
    """Cut, changed, lengthened, and of another format than the name says."""
    check(whole, case)


@pytest.mark.slow
@given(damage)
@settings(deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_damaged_images_are_dropped_of_many(whole, case):
    """The same, often."""
    check(whole, case)


@pytest.mark.parametrize("side", [9, 10])
def test_the_smallest_image(tmp_path, side):
    """Ten pixels, as in Ultralytics."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((side, 40, 3), np.uint8))
    assert_alike(tmp_path / "a.png")


@pytest.fixture
def damaged_set(tmp_path):
    """Eight images of each split; in training, one is truncated, one a GIF by another name, one not UTF-8 labelled."""
    data = write_squares(tmp_path / "data", train=8, val=8)
    images, labels = tmp_path / "data/images/train", tmp_path / "data/labels/train"
    image = cv2.imread(str(images / "0.png"))
    cv2.imwrite(str(images / "0.jpg"), image)
    (images / "0.jpg").write_bytes((images / "0.jpg").read_bytes()[:900])
    (images / "0.png").unlink()
    Image.fromarray(image).save(images / "1.png", "GIF")
    (labels / "2.txt").write_bytes(b"\xff\xfe0")
    return data


def test_doctor_says_what_the_trainer_drops(damaged_set, tmp_path, capsys):
    """On its page and in its JSON, with the reasons; the counts are those of what is left."""
    words = ["doctor", "model=yolo11n.yaml", f"data={damaged_set}", "imgsz=64", "batch=2", f"out={tmp_path / 'out'}"]
    assert cli.main(words) == 0
    found = json.loads((tmp_path / "out/doctor.json").read_text())["dataset"]["train"]
    assert (found["images"], found["images_dropped"], found["instances"]) == (5, 3, 10)
    kinds = {"truncated image": 1, "image of a format that Ultralytics does not read": 1, "not UTF-8 text": 1}
    assert found["problem_counts"] == kinds
    assert "3 dropped" in capsys.readouterr().out


def test_what_a_trainer_drops_for_reasons_of_its_own_counts_as_dropped(tmp_path):
    """Whatever the next version looks at."""
    dataset = read_data_yaml(write_squares(tmp_path / "data"))
    images = [str(image) for image in dataset.image_files("train")]
    found = split_statistics(dataset, "train", kept=frozenset(images[1:]))
    assert (found.images, found.images_dropped, found.problem_counts()) == (7, 1, {"dropped by Ultralytics": 1})
