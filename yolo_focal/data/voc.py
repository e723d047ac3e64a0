"""Pascal VOC annotation files, one XML per image. They are not trusted: no entities, no unbounded size."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from yolo_focal.errors import DataError

__all__ = ["VocObject", "VocRecord", "read_voc"]

_TRUTH = {"": False, "0": False, "false": False, "1": True, "true": True}
MOST_XML_BYTES = 16 * 2**20  # some hundred thousand objects in one image


@dataclass(frozen=True)
class VocObject:
    """An object of a VOC file: class name, corners as written, and whether it is marked difficult."""

    name: str
    corners: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True)
class VocRecord:
    """One VOC file: the name of its image, its objects, and the image's (width, height) if it states them."""

    file_name: str
    objects: tuple[VocObject, ...]
    size: tuple[int, int] | None


def read_voc(path: Path) -> VocRecord:
    """Read one VOC annotation file.

    Raises:
        DataError: no XML, a document type (entities could expand without end), a size that is none, or a box that
            is no box.
    """
    try:
        if path.stat().st_size > MOST_XML_BYTES:
            raise DataError(f"{path} is larger than {MOST_XML_BYTES // 2**20} MiB; a VOC file describes one image")
        content = path.read_bytes()
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(f"{path} declares a document type; a VOC file needs none, so it is not read") from error
    except (OSError, ParseError, ValueError, LookupError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read the VOC file {path} ({error}); export it again") from error
    if root.tag != "annotation":
        raise DataError(f"{path} is not a VOC file: its root is <{root.tag[:40]}>, expected <annotation>")
    objects = tuple(_object(path, position, node) for position, node in enumerate(root.iter("object"), 1))
    return VocRecord((root.findtext("filename") or "").strip(), objects, _size(path, root))


def _size(path: Path, root: Element) -> tuple[int, int] | None:
    words = [(root.findtext(f"size/{key}") or "0").strip() for key in ("width", "height")]
    try:
        width, height = (float(word) for word in words)
        if width == height == 0:  # what annotation tools write that do not look at the image
            return None
        if min(width, height) > 0 and width.is_integer() and height.is_integer():
            return int(width), int(height)
    except ValueError:
        pass
    raise DataError(f"{path}: size must have width and height in whole pixels, got {words}; correct or remove it")


def _object(path: Path, position: int, node: Element) -> VocObject:
    name = (node.findtext("name") or "").strip()
    if not name:
        raise DataError(f"{path}: object {position} has no <name>")
    words = [node.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, top, right, bottom = (float(word or "") for word in words)
    except ValueError:
        raise DataError(f"{path}: object {position} ({name}): bndbox must have four numbers, got {words}") from None
    if not (-1e9 < left <= right < 1e9 and -1e9 < top <= bottom < 1e9):
        raise DataError(
            f"{path}: object {position} ({name}): bndbox must be finite with xmin <= xmax and ymin <= ymax, got {words}"
        )
    difficult = (node.findtext("difficult") or "").strip().lower()
    if difficult not in _TRUTH:
        raise DataError(f"{path}: object {position} ({name}): difficult must be 0 or 1, got {difficult[:40]!r}")
    return VocObject(name, (left, top, right, bottom), _TRUTH[difficult])
