"""Images are put in place without ever writing over or through what is there."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ultralytics.utils.patches import imread

from yolo_focal.arguments.commands import LINK_MODES
from yolo_focal.data.images import image_size, place_image, refuse_wrong_size
from yolo_focal.errors import DataError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.jpg"
    path.write_bytes(b"pixels")
    return path


@pytest.mark.parametrize("mode", LINK_MODES)
def test_an_image_is_placed_with_its_bytes(source: Path, mode: str) -> None:
    """Folders on the way are made."""
    target = source.parent / "a" / "b" / "1.jpg"
    place_image(source, target, mode)
    assert target.read_bytes() == b"pixels"
    assert target.is_symlink() == (mode == "symlink")


@pytest.mark.parametrize("mode", LINK_MODES)
@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_what_is_there_stays(source: Path, mode: str, kind: str) -> None:
    """Neither a file, nor the file that a link leads to, nor the place a dangling link leads to, is written."""
    target, other = source.parent / "1.jpg", source.parent / "other.jpg"
    if kind != "dangling link":
        (target if kind == "file" else other).write_bytes(b"precious")
    if kind != "file":
        target.symlink_to(other)
    with pytest.raises(DataError, match=rf"cannot {mode} .*source\.jpg to .*1\.jpg \(File exists\); rename one"):
        place_image(source, target, mode)
    assert other.exists() == (kind == "link")
    if kind != "dangling link":
        assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("mode", LINK_MODES)
def test_only_images_are_placed(source: Path, mode: str) -> None:
    """A label file or a script is no image, whatever its bytes."""
    target = source.parent / "labels" / "1.txt"
    with pytest.raises(DataError, match=r"1\.txt is no image by its name; expected \.avif, .*\.webp"):
        place_image(source, target, mode)
    assert not target.parent.exists()


def draw(path: Path, orientation: int, mode: str = "RGB") -> Path:
    """Noise of 40 x 30 stored pixels with an EXIF orientation; 5 to 8 turn it upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("suffix", ["jpg", "mpo", "png", "tif", "webp", "jp2", "bmp"])
def test_the_size_is_that_of_the_pixels_training_sees(tmp_path: Path, suffix: str, mode: str, orientation: int) -> None:
    """Whether a rotation is applied depends on the format; the reference is Ultralytics' decoder."""
    path = draw(tmp_path / f"1.{suffix}", orientation, mode)
    height, width = imread(path).shape[:2]
    assert image_size(path) == (width, height)


@pytest.mark.parametrize("suffix", ["jpg", "mpo", "png", "webp"])
@pytest.mark.parametrize("exif", [b"", Image.Exif().tobytes()])
def test_an_orientation_in_xmp_is_that_of_no_decoder(tmp_path: Path, suffix: str, exif: bytes) -> None:
    """Editors write it there as well; Pillow goes by it, OpenCV and so a training does not."""
    path = tmp_path / f"1.{suffix}"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.new("RGB", (40, 30)).save(path, exif=exif, xmp=xmp)
    height, width = imread(path).shape[:2]
    assert image_size(path) == (width, height) == (40, 30)


def test_a_turned_image_needs_its_turned_size(tmp_path: Path) -> None:
    """Boxes are relative to the image as training sees it."""
    path = draw(tmp_path / "1.jpg", 6)
    refuse_wrong_size(path, (30, 40), "the record")
    with pytest.raises(
        DataError, match=r"1\.jpg is 30x40, but the record says 40x30; its boxes would be wrong, so corr"
    ):
        refuse_wrong_size(path, (40, 30), "the record")


def test_a_pipe_is_no_image(tmp_path):
    """To open it would be to wait for ever."""
    os.mkfifo(tmp_path / "1.jpg")
    with pytest.raises(DataError, match=r"1\.jpg is no file"):
        image_size(tmp_path / "1.jpg")
