"""Images are put in place without ever writing over or through what is there."""

from pathlib import Path

import pytest

from yolo_focal.arguments.commands import LINK_MODES
from yolo_focal.data.images import place_image
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
