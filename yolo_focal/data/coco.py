"""COCO-format annotation files: read whole, checked record by record, never trusted.

Two kinds of faults are told apart. What makes the file ambiguous or unusable (no JSON, ids twice, an annotation of an
unlisted image, boxes that are no numbers or have negative sizes) raises and names the record. What real files contain
and a reader can live with (an unknown category, a box that leaves its image or has no area) is kept in `problems`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from yolo_focal.errors import DataError
from yolo_focal.numbers import is_id, is_pixels, short

__all__ = ["CocoDataset", "CocoProblem", "class_boxes", "clipped_box", "read_coco", "read_json"]

MOST_JSON_BYTES = 4 * 2**30  # above the largest published sets; parsing takes about ten times this in memory
Corners = tuple[float, float, float, float]  # left, top, right, bottom in pixels
PIXEL_TOLERANCE = 0.5  # how far a box may leave its image before that is reported; annotation tools round


class CocoProblem(NamedTuple):
    """An annotation or image that cannot be used as it is: what is wrong, and the record it is in."""

    kind: str
    record: str
    detail: str

    def __str__(self) -> str:
        """`record: kind (detail)`."""
        return f"{self.record}: {self.kind} ({self.detail})" if self.detail else f"{self.record}: {self.kind}"


@dataclass(frozen=True)
class CocoDataset:
    """A checked COCO annotation file.

    Attributes:
        source: the file.
        images: image id -> record, as in the file.
        categories: category id -> name, by ascending id.
        annotations: image id -> records of known categories, in the order of the file; crowds included.
        problems: annotations left out (unknown category) or to be handled with care.
        content: the parsed file, for what this class does not name (`info`, `licenses`, category records, ...).
    """

    source: Path
    images: dict[int, dict[str, Any]]
    categories: dict[int, str]
    annotations: dict[int, list[dict[str, Any]]]
    problems: list[CocoProblem] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)

    def objects(self, image_id: int) -> list[dict[str, Any]]:
        """Annotations of an image that count as instances: no crowd, some area inside the image."""
        image = self.images[image_id]
        return [
            annotation
            for annotation in self.annotations.get(image_id, [])
            if not annotation.get("iscrowd") and clipped_box(annotation["bbox"], image) is not None
        ]


def class_boxes(dataset: CocoDataset, image_id: int, place: Mapping[int, int]) -> list[tuple[int, Corners]]:
    """The objects of an image as a label file has them: class number and corners inside the image.

    Args:
        dataset: the annotations.
        image_id: of the image.
        place: category id -> class number; objects of other categories are left out.
    """
    image = dataset.images[image_id]
    return [
        (place[each["category_id"]], box)
        for each in dataset.objects(image_id)
        if each["category_id"] in place and (box := clipped_box(each["bbox"], image))
    ]


def clipped_box(box: list[float], image: dict[str, Any]) -> Corners | None:
    """The part of an xywh box inside its image, as left, top, right, bottom in pixels; None where nothing is left."""
    x, y, width, height = box
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, float(image["width"])), min(y + height, float(image["height"]))
    return (left, top, right, bottom) if right > left and bottom > top else None


def read_json(path: Path) -> Any:
    """Parse a JSON file of bounded size.

    Raises:
        DataError: the file is missing, unreadable, too large, or no JSON; with the line and column.
    """
    try:
        size = path.stat().st_size
        if size > MOST_JSON_BYTES:
            raise DataError(f"{path} has {size / 2**30:.1f} GiB; at most {MOST_JSON_BYTES // 2**30} GiB can be read")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"the file {path} does not exist; give the path of a COCO-format JSON file") from None
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror})") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}; export it again"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not JSON: it is not UTF-8 text (byte {error.start})") from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not usable JSON: nested too deeply or a number too long") from None


def read_coco(path: Path) -> CocoDataset:
    """Read and check a COCO annotation file; `info` and `licenses` may be missing.

    Raises:
        DataError: see the module's docstring; the message has the file, the first faulty record and how many more.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in REQUIRED):
        found = ", ".join(list(content)[:8]) if isinstance(content, dict) else type(content).__name__
        raise DataError(f"{path} must have the lists images, annotations and categories; it has {found or 'nothing'}")
    faults: list[str] = []
    images = _by_id(content["images"], "images", faults)
    categories = _by_id(content["categories"], "categories", faults)
    faults += [fault for number, image in images.items() if (fault := _image_fault(number, image))]
    faults += _duplicates("images", "file_name", images.values())
    faults += [f"categories id {number}: no name" for number, category in categories.items() if not _named(category)]
    faults += _duplicates("categories", "name", categories.values())
    if not images:
        faults.append("images is empty: there is nothing to read")
    if not categories:
        faults.append("categories is empty: annotations have no meaning without it")
    _raise_first(path, faults)
    annotations, problems = _annotations(path, content["annotations"], images, categories)
    names = {number: str(categories[number]["name"]) for number in sorted(categories)}
    return CocoDataset(path, images, names, annotations, problems, content)


REQUIRED = ("images", "annotations", "categories")


def _raise_first(path: Path, faults: list[str]) -> None:
    if faults:
        more = f" (and {len(faults) - 1} more faults like this)" if len(faults) > 1 else ""
        raise DataError(f"{path}: {faults[0]}{more}; correct the file")


def _by_id(records: list[Any], section: str, faults: list[str]) -> dict[int, dict[str, Any]]:
    """Records by id; faults for records that are no mappings, lack an integer id, or repeat one."""
    found: dict[int, dict[str, Any]] = {}
    for position, record in enumerate(records):
        if not isinstance(record, dict) or not is_id(record.get("id")):
            faults.append(
                f"{section}[{position}]: needs an integer id, got "
                f"{short(record['id'] if isinstance(record, dict) and 'id' in record else record)}"
            )
        elif record["id"] in found:
            faults.append(f"{section}[{position}]: id {record['id']} is used twice")
        else:
            found[record["id"]] = record
    return found


def _named(record: dict[str, Any]) -> bool:
    """Whether a category has a name; a number is one, as some tools write it."""
    name = record.get("name")
    return isinstance(name, str | int | float) and not isinstance(name, bool) and bool(str(name).strip())


def _image_fault(number: int, image: dict[str, Any]) -> str | None:
    sizes: list[Any] = [image.get("width"), image.get("height")]
    if not all(is_id(size) and 0 < size <= 2**20 for size in sizes):
        return f"images id {number}: width and height must be whole pixels above 0, got {sizes}"
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        return f"images id {number}: needs a file_name, got {short(name)}"
    if Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name or "\0" in name:
        return f"images id {number}: file_name must stay inside the image folder, got {short(name)}"
    return None


def _duplicates(section: str, key: str, records: Iterable[dict[str, Any]]) -> list[str]:
    counts = Counter(str(record.get(key)) for record in records)
    return [f"{section}: {key} '{value}' is used {count} times" for value, count in counts.items() if count > 1]


def _annotations(
    path: Path, records: list[Any], images: dict[int, dict[str, Any]], categories: dict[int, dict[str, Any]]
) -> tuple[dict[int, list[dict[str, Any]]], list[CocoProblem]]:
    faults: list[str] = []
    by_image: dict[int, list[dict[str, Any]]] = {}
    problems: list[CocoProblem] = []
    for number, annotation in _by_id(records, "annotations", faults).items():
        fault = _annotation_fault(annotation, images)
        if fault:
            faults.append(f"annotations id {number}: {fault}")
            continue
        record, category = f"annotations id {number}", annotation.get("category_id")
        if category not in categories:
            problems.append(CocoProblem("unknown category", record, f"category_id {short(category)}"))
            continue
        problems += _box_problems(record, annotation, images[annotation["image_id"]])
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    _raise_first(path, faults)
    return by_image, problems


def _annotation_fault(annotation: dict[str, Any], images: dict[int, dict[str, Any]]) -> str | None:
    if not is_id(annotation.get("image_id")) or annotation["image_id"] not in images:
        return f"image_id {short(annotation.get('image_id'))} is not in images"
    if not is_id(annotation.get("category_id")):
        return f"category_id must be an integer, got {short(annotation.get('category_id'))}"
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(is_pixels(value) for value in box):
        return f"bbox must be four finite numbers x, y, width, height in pixels, at most 1e9, got {short(box)}"
    if box[2] < 0 or box[3] < 0:
        return f"bbox has a negative size, got {short(box)}"
    if annotation.get("iscrowd", 0) not in (0, 1):
        return f"iscrowd must be 0 or 1, got {short(annotation.get('iscrowd'))}"
    return None


def _box_problems(record: str, annotation: dict[str, Any], image: dict[str, Any]) -> list[CocoProblem]:
    box = annotation["bbox"]
    x, y, width, height = box
    if width == 0 or height == 0:
        return [CocoProblem("box without area", record, str(box))]
    if clipped_box(box, image) is None:
        return [CocoProblem("box wholly outside its image", record, f"{box} in {image['width']}x{image['height']}")]
    beyond = max(-x, -y, x + width - image["width"], y + height - image["height"])
    if beyond > PIXEL_TOLERANCE:
        return [CocoProblem("box reaches outside its image", record, f"by {beyond:.1f} px")]
    return []
