"""Image files: their size without decoding them, and putting them in place by copy or link."""

import os
import shutil
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from yolo_focal.errors import DataError, reason_of
from yolo_focal.paths import exists, is_file

__all__ = [
    "DATA_OF_IMAGE_ERRORS",
    "IMAGE_SUFFIXES",
    "NO_IMAGE",
    "READ_FORMATS",
    "image_size",
    "place_image",
    "refuse_unreadable_names",
    "refuse_wrong_size",
]

# the formats Ultralytics reads
IMAGE_SUFFIXES = frozenset(
    [".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"]
)
READ_FORMATS = frozenset(suffix[1:].upper() for suffix in IMAGE_SUFFIXES) | {"JPEG2000"}  # as Pillow names them
NO_IMAGE = f"is no image by its name; expected {', '.join(sorted(IMAGE_SUFFIXES))}"
EXIF_ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)
TURNED_BY_EXIF = ("JPEG", "MPO", "AVIF", "HEIF")  # the others depend on the versions of OpenCV and Pillow
# What Pillow raises over a file that is no image or a damaged one. ImportError: Ultralytics' replacement of Image.open
# looks for a HEIF plugin when it knows no better.
DATA_OF_IMAGE_ERRORS = (
    *(OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError),
    *(struct.error, zlib.error, ImportError, Image.DecompressionBombError),
)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as Ultralytics reads the image (EXIF rotation applied), if possible from the header.

    Raises:
        DataError: the file is missing or no image that Pillow knows.
    """
    if exists(path) and not is_file(path):  # to open a named pipe is to wait for ever
        raise DataError(f"the image {path} is no file")
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = _exif(image).get(EXIF_ORIENTATION) in QUARTER_TURNS
            by_header = image.format in TURNED_BY_EXIF
    except FileNotFoundError:
        raise DataError(f"the image {path} does not exist") from None
    except ImportError:
        reason = "unknown image format"
    except DATA_OF_IMAGE_ERRORS as error:
        reason = reason_of(error)
    else:
        if (
            turned
            and not by_header
            and (decoded := cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)) is not None
        ):
            return decoded.shape[1], decoded.shape[0]
        return (height, width) if turned else (width, height)
    raise DataError(f"cannot read the image {path} ({reason}); replace it or take it out of the set")


def _exif(image: Image.Image) -> Image.Exif:
    """The EXIF data of an image as its decoder takes them; Pillow would look for an orientation in XMP as well."""
    if image.format not in ("JPEG", "MPO"):
        return image.getexif()
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    return exif


def refuse_wrong_size(path: Path, stated: tuple[int, int], record: str, size: tuple[int, int] | None = None) -> None:
    """Raise if an image has not the (width, height) that `record` states, which its boxes are relative to.

    Args:
        path: the image.
        stated: what the record says.
        record: its name.
        size: of the image, where it is known already.

    Raises:
        DataError: they differ, or the image cannot be read.
    """
    width, height = size or image_size(path)
    if (width, height) != stated:
        raise DataError(
            f"{path} is {width}x{height}, but {record} says {stated[0]}x{stated[1]}; its boxes would be wrong, so "
            "correct one of them"
        )


def refuse_unreadable_names(names: Mapping[int, str], source: Path) -> None:
    """Raise where Ultralytics would pass over an image because of its name: no suffix it reads, or hidden.

    Raises:
        DataError: with the first such name and how many there are.
    """
    faults = [
        f"images id {number}: {name} {fault}"
        for number, name in names.items()
        if (fault := _name_fault(name)) is not None
    ]
    if faults:
        more = f" ({len(faults)} images are like this)" if len(faults) > 1 else ""
        raise DataError(f"{source}: {faults[0]}{more}")


def _name_fault(name: str) -> str | None:
    path = Path(name)
    if any(part.startswith(".") for part in path.parts):
        return "is hidden by its name, and Ultralytics passes over such files; rename it"
    return None if path.suffix.lower() in IMAGE_SUFFIXES else f"{NO_IMAGE}; convert it"


def place_image(source: Path, target: Path, mode: str) -> None:
    """Put `source` at `target`: `copy` its bytes, or make a `hardlink` or a `symlink` to it.

    What is at `target` is never replaced, nor is anything written through a link that is there.

    Raises:
        DataError: `target` is there or has not the suffix of an image, or the file system refuses, for instance a hard
            link to another disk.
    """
    if target.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"{target} {NO_IMAGE}")
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
