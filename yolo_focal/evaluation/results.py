"""COCO results files: a JSON list of detections, from any program, brought onto a ground truth."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from yolo_focal.data.coco import read_json
from yolo_focal.errors import DataError
from yolo_focal.evaluation.boxes import Bools, Detections, GroundTruth, Ints
from yolo_focal.evaluation.classes import ClassRule

__all__ = ["Results", "read_results", "results_of"]


@dataclass(frozen=True, eq=False)
class Results:
    """The detections of a results file and what was left out of them.

    Attributes:
        detections: on the images and classes of the ground truth.
        notes: one sentence for each reason that detections were left out.
    """

    detections: Detections
    notes: tuple[str, ...]


def read_results(path: Path, ground_truth: GroundTruth, ids: ClassRule = "match") -> Results:
    """Read a results file: a JSON list of {image_id, category_id, bbox: [x, y, width, height], score}.

    An image is found by `file_name` where a record has one (as Ultralytics writes it), and only by that; else by
    `image_id`, which may also be a file name without suffix. Names may lack folders where they are unique without.
    Detections on other images are left out and counted.

    Args:
        path: the file.
        ground_truth: what to evaluate against.
        ids: `match`, every category_id must be one of the ground truth's; `known`, detections of other classes are left
            out and counted; `index`, category_id is the class number from 0 in the order of the ground truth.

    Raises:
        DataError: no JSON list, a faulty record, a name that several images have, an unknown category_id, or no
            detection on any image; the message names the file and the record.
    """
    records = read_json(path)
    if not isinstance(records, list):
        raise DataError(f"{path} must be a JSON list of detections, got {type(records).__name__}")
    for position, record in enumerate(records):
        if (fault := _fault(record)) is not None:
            raise DataError(f"{path}: record {position}: {fault}; correct the program that wrote it")
    image = _images(path, records, ground_truth)
    category = _categories(path, records, ground_truth, ids)
    if records and (image < 0).all():
        raise DataError(
            f"{path}: none of its images is in the annotations (first: {_image_name(records[0])}); "
            "give the annotations of the images the detections were made on"
        )
    kept = (image >= 0) & (category >= 0)
    boxes = np.array([record["bbox"] for record in records], dtype=np.float64).reshape(-1, 4)
    scores = np.array([record["score"] for record in records], dtype=np.float64)
    detections = Detections(image[kept], category[kept], boxes[kept], scores[kept])
    return Results(detections, _notes(records, image < 0, (image >= 0) & (category < 0)))


def results_of(detections: Detections, ground_truth: GroundTruth) -> list[dict[str, Any]]:
    """The content of a results file with these detections: what COCO's reference reads."""
    columns = (detections.image, detections.category, detections.boxes_xywh, detections.scores)
    return [
        {
            "image_id": ground_truth.image_ids[image],
            "category_id": ground_truth.categories[category].id,
            "bbox": box,
            "score": score,
        }
        for image, category, box, score in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _fault(record: Any) -> str | None:
    if not isinstance(record, dict):
        return f"must be a mapping, got {_short(record)}"
    if missing := {"image_id", "category_id", "bbox", "score"} - record.keys():
        return f"lacks {', '.join(sorted(missing))}"
    box, score = record["bbox"], record["score"]
    if not isinstance(box, list) or len(box) != 4 or not all(_finite(value) for value in box) or min(box[2:]) < 0:
        return f"bbox must be four finite numbers x, y, width >= 0, height >= 0 in pixels, got {_short(box)}"
    if not _finite(score) or not 0 <= score <= 1:
        return f"score must be a number in 0 to 1, got {_short(score)}"
    if not _is_id(record["category_id"]) or not (_is_id(record["image_id"]) or isinstance(record["image_id"], str)):
        return f"category_id and image_id must be ids, got {_short((record['category_id'], record['image_id']))}"
    if not isinstance(record.get("file_name", "-"), str | None) or record.get("file_name") == "":
        return f"file_name must be the name of an image, got {_short(record['file_name'])}"
    return None


def _image_name(record: Mapping[str, Any]) -> str:
    key = "file_name" if record.get("file_name") is not None else "image_id"
    return f"{key} {record[key]!r}"


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _images(path: Path, records: Sequence[Mapping[str, Any]], ground_truth: GroundTruth) -> Ints:
    """Image index of each record, -1 where the ground truth has no such image."""
    by_id = {image_id: index for index, image_id in enumerate(ground_truth.image_ids)}
    files = [PurePosixPath(file) for file in ground_truth.image_files]
    names = {
        "file_name": _ByName(files, files),
        "image_id": _ByName(files, [file.parent / file.stem for file in files]),
    }
    found = np.empty(len(records), dtype=np.int64)
    for position, record in enumerate(records):
        key = "file_name" if record.get("file_name") is not None else "image_id"
        if not isinstance(record[key], str):
            found[position] = by_id.get(record[key], -1)
            continue
        try:
            found[position] = names[key].index(record[key])
        except DataError as error:
            raise DataError(f"{path}: record {position}: {key} {error}") from None
    return found


class _ByName:
    """Finds files by a name that may lack folders, or have other ones before those they share."""

    def __init__(self, files: Sequence[PurePosixPath], names: Sequence[PurePosixPath]) -> None:
        self._files, self._file_names = files, names
        self._same_name: dict[str, list[int]] = {}
        for index, file_name in enumerate(names):
            self._same_name.setdefault(file_name.name, []).append(index)
        self._found: dict[str, int] = {}
        self._earlier: dict[int, PurePosixPath] = {}

    def index(self, text: str) -> int:
        """Index of the file that shares the most of the end of its path with the name; -1 if none has its last part.

        Raises:
            DataError: several files do, or a name that contradicts this one was found to be the same file.
        """
        if text in self._found:
            return self._found[text]
        name = PurePosixPath(text.replace("\\", "/"))
        shared = {index: _shared_end(name, self._file_names[index]) for index in self._same_name.get(name.name, [])}
        best = [index for index, length in shared.items() if length == max(shared.values())]
        if len(best) > 1:
            raise DataError(
                f"{_short(text)} can be {len(best)} images of the annotations, {self._files[best[0]]} and "
                f"{self._files[best[1]]}; write the folder as well, or integer image_ids and no file_name"
            )
        if best:
            other = self._earlier.setdefault(best[0], name)
            if _shared_end(name, other) < min(len(name.parts), len(other.parts)):
                raise DataError(
                    f"{_short(text)} and {_short(str(other))} of another record can both only be "
                    f"{self._files[best[0]]}; give annotations that have both images"
                )
        self._found[text] = best[0] if best else -1
        return self._found[text]


def _shared_end(first: PurePosixPath, second: PurePosixPath) -> int:
    """How many parts two paths have in common at their end."""
    same = [one == other for one, other in zip(reversed(first.parts), reversed(second.parts), strict=False)]
    return [*same, False].index(False)


def _categories(path: Path, records: Sequence[Mapping[str, Any]], ground_truth: GroundTruth, ids: ClassRule) -> Ints:
    """Class index of each record, -1 where it is to be left out."""
    categories = ground_truth.categories
    place = {category.id: index for index, category in enumerate(categories)}
    if ids == "index":
        place = {index: index for index in range(len(categories))}
    found = np.array([place.get(record["category_id"], -1) for record in records], dtype=np.int64)
    unknown = np.flatnonzero(found < 0).tolist()
    if unknown and ids != "known":
        known = sorted(place)
        raise DataError(
            f"{path}: record {unknown[0]}: category_id {records[unknown[0]]['category_id']} is none of the "
            f"{len(known)} ids {known[0]} to {known[-1]} ({len(unknown)} detections are like this); use classes=index "
            "if these are class numbers from 0, classes=known to leave such detections out"
        )
    return found


def _notes(records: Sequence[Mapping[str, Any]], other_image: Bools, other_class: Bools) -> tuple[str, ...]:
    notes = []
    if other_image.any():
        images = {_image_name(records[position]) for position in np.flatnonzero(other_image).tolist()}
        notes.append(
            f"{int(other_image.sum())} of {len(records)} detections left out: their {len(images)} images are not in "
            "the annotations"
        )
    if other_class.any():
        counts = Counter(records[position]["category_id"] for position in np.flatnonzero(other_class).tolist())
        shown = ", ".join(str(number) for number in sorted(counts)[:8]) + (", ..." if len(counts) > 8 else "")
        notes.append(
            f"{int(other_class.sum())} of {len(records)} detections left out: their category_id ({shown}) is not in "
            "the annotations"
        )
    return tuple(notes)
