"""Image files: their size without decoding them, and putting them in place by copy or link."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from yolo_focal.errors import DataError

__all__ = ["IMAGE_SUFFIXES", "NO_IMAGE", "image_size", "place_image", "refuse_wrong_size"]

# the formats Ultralytics reads
IMAGE_SUFFIXES = frozenset(
    [".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"]
)
NO_IMAGE = f"is no image by its name; expected {', '.join(sorted(IMAGE_SUFFIXES))}"
EXIF_ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)
TURNED_BY_EXIF = ("JPEG", "MPO", "AVIF", "HEIF")  # the others depend on the versions of OpenCV and Pillow


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as Ultralytics reads the image (EXIF rotation applied), if possible from the header.

    Raises:
        DataError: the file is missing or no image that Pillow knows.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(EXIF_ORIENTATION) in QUARTER_TURNS
            by_header = image.format in TURNED_BY_EXIF
    except FileNotFoundError:
        raise DataError(f"the image {path} does not exist") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
    except ImportError:  # Ultralytics' replacement of Image.open looks for a HEIF plugin when it knows no better
        reason = "unknown image format"
    else:
        if (
            turned
            and not by_header
            and (decoded := cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)) is not None
        ):
            return decoded.shape[1], decoded.shape[0]
        return (height, width) if turned else (width, height)
    raise DataError(f"cannot read the image {path} ({reason}); replace it or take it out of the set")


def refuse_wrong_size(path: Path, stated: tuple[int, int], record: str) -> None:
    """Raise if an image has not the (width, height) that `record` states, which its boxes are relative to.

    Raises:
        DataError: they differ, or the image cannot be read.
    """
    width, height = image_size(path)
    if (width, height) != stated:
        raise DataError(
            f"{path} is {width}x{height}, but {record} says {stated[0]}x{stated[1]}; its boxes would be wrong, so "
            "correct one of them"
        )


def place_image(source: Path, target: Path, mode: str) -> None:
    """Put `source` at `target`: `copy` its bytes, or make a `hardlink` or a `symlink` to it.

    What is at `target` is never replaced, nor is anything written through a link that is there.

    Raises:
        DataError: `target` is there or has not the suffix of an image, or the file system refuses, for instance a hard
            link to another disk.
    """
    if target.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"{target} {NO_IMAGE}")
    if target.name.startswith("."):
        raise DataError(f"{source} is hidden by its name, and Ultralytics passes over such files; rename it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode == "hardlink":
            os.link(source.resolve(), target)
        elif mode == "symlink":
            target.symlink_to(source.resolve())
        else:
            with source.open("rb") as original, target.open("xb") as copy:
                shutil.copyfileobj(original, copy, 2**20)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"cannot {mode} {source} to {target} ({error.strerror}); rename one of the images") from error
    except OSError as error:
        raise DataError(f"cannot {mode} {source} to {target} ({error.strerror}); link=copy always works") from error
