"""Image files: their size without decoding them, and putting them in place by copy or link."""

import os
import shutil
from pathlib import Path

from PIL import Image

from yolo_focal.errors import DataError

__all__ = ["LINK_MODES", "image_size", "place_image"]

LINK_MODES = ("copy", "hardlink", "symlink")
EXIF_ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as a viewer shows them (EXIF rotation applied), from the header alone.

    Raises:
        DataError: the file is missing or no image that Pillow knows.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(EXIF_ORIENTATION) in QUARTER_TURNS
    except FileNotFoundError:
        raise DataError(f"the image {path} does not exist") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
    except ImportError:  # Ultralytics' replacement of Image.open looks for a HEIF plugin when it knows no better
        reason = "unknown image format"
    else:
        return (height, width) if turned else (width, height)
    raise DataError(f"cannot read the image {path} ({reason}); replace it or take it out of the set")


def place_image(source: Path, target: Path, mode: str) -> None:
    """Put `source` at `target`: `copy` its bytes, or make a `hardlink` or a `symlink` to it.

    Raises:
        DataError: the file system refuses, for instance a hard link to another disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if mode == "hardlink":
            os.link(source.resolve(), target)
        elif mode == "symlink":
            target.symlink_to(source.resolve())
        else:
            shutil.copyfile(source, target)
    except OSError as error:
        raise DataError(f"cannot {mode} {source} to {target} ({error.strerror}); link=copy always works") from error
