"""COCO results files: a JSON list of detections, from any program, brought onto a ground truth."""

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
from yolo_focal.numbers import is_id, is_number, is_pixels, short

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
        key, value = _image_key(records[0])
        raise DataError(
            f"{path}: none of its images is in the annotations (first: {key} {value!r}); "
            "give the annotations of the images the detections were made on"
        )
    kept = (image >= 0) & (category >= 0)
    boxes = np.array([record["bbox"] for record in records], dtype=np.float64).reshape(-1, 4)
    scores = np.array([record["score"] for record in records], dtype=np.float64)
    detections = Detections(image[kept], category[kept], boxes[kept], scores[kept])
    notes = _notes(records, image < 0, (image >= 0) & (category < 0))
    return Results(detections, notes + _note_on_numbered_names(records, ground_truth))


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
        return f"must be a mapping, got {short(record)}"
    if missing := {"image_id", "category_id", "bbox", "score"} - record.keys():
        return f"lacks {', '.join(sorted(missing))}"
    box, score = record["bbox"], record["score"]
    if not isinstance(box, list) or len(box) != 4 or not all(is_pixels(value) for value in box) or min(box[2:]) < 0:
        return (
            f"bbox must be four finite numbers x, y, width >= 0, height >= 0 in pixels, at most 1e9, got {short(box)}"
        )
    if not is_number(score) or not 0 <= score <= 1:
        return f"score must be a number in 0 to 1, got {short(score)}"
    if not is_id(record["category_id"]) or not (is_id(record["image_id"]) or isinstance(record["image_id"], str)):
        return f"category_id and image_id must be ids, got {short((record['category_id'], record['image_id']))}"
    if not isinstance(record.get("file_name", "-"), str | None) or record.get("file_name") == "":
        return f"file_name must be the name of an image, got {short(record['file_name'])}"
    return None


def _image_key(record: Mapping[str, Any]) -> tuple[str, int | str]:
    """What the record names its image by."""
    key = "file_name" if record.get("file_name") is not None else "image_id"
    return key, record[key]


def _images(path: Path, records: Sequence[Mapping[str, Any]], ground_truth: GroundTruth) -> Ints:
    """Image index of each record, -1 where the ground truth has no such image."""
    found: dict[tuple[str, int | str], int] = {
        ("image_id", image_id): index for index, image_id in enumerate(ground_truth.image_ids)
    }
    keys = [_image_key(record) for record in records]
    files = [PurePosixPath(file) for file in ground_truth.image_files]
    for kind, names in (("file_name", files), ("image_id", [file.parent / file.stem for file in files])):
        texts = [text for key, text in dict.fromkeys(keys) if key == kind and isinstance(text, str)]
        try:
            found |= {(kind, text): index for text, index in _by_name(texts, names, files).items()}
        except _NameError as error:
            position = keys.index((kind, error.text))
            raise DataError(f"{path}: record {position}: {kind} {short(error.text)} {error}") from None
    _refuse_quoted_ids(path, keys, found, ground_truth)
    return np.array([found.get(key, -1) for key in keys], dtype=np.int64)


def _refuse_quoted_ids(
    path: Path,
    keys: Sequence[tuple[str, int | str]],
    found: Mapping[tuple[str, int | str], int],
    ground_truth: GroundTruth,
) -> None:
    """Raise where an image_id in quotes is the id of another image than the one of that name, or of the only one."""
    ids = {str(image_id): index for index, image_id in enumerate(ground_truth.image_ids)}
    for position, (kind, text) in enumerate(keys):
        if kind != "image_id" or not isinstance(text, str) or text not in ids:
            continue
        by_id, by_name = ids[text], found.get((kind, text))
        if by_name != by_id:
            files = ground_truth.image_files
            also = f", and the name of {files[by_name]}" if by_name is not None else ""
            raise DataError(
                f"{path}: record {position}: image_id {text!r} is text; without quotes it is the id of {files[by_id]}"
                f"{also}; write ids without quotes, and names as file_name"
            )


class _NameError(Exception):
    """A name that does not tell which image is meant, and why."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(reason)
        self.text = text


def _by_name(texts: Sequence[str], names: Sequence[PurePosixPath], files: Sequence[PurePosixPath]) -> dict[str, int]:
    """The file that each text names: the one whose path agrees with it as far as both go.

    If there is none, as in results from another machine, the one that shares the most of the end of its path, unless
    another text agrees with that file.

    Args:
        texts: names that may lack folders.
        names: by file, what a text is compared with.
        files: as shown in messages.

    Raises:
        _NameError: a text can be several files, or two texts that contradict each other can only be one file.
    """
    same_name: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        same_name.setdefault(name.name, []).append(index)
    paths = {text: PurePosixPath(text.replace("\\", "/")) for text in texts}
    agreeing = {
        text: [index for index in same_name.get(path.name, []) if _agree(path, names[index])]
        for text, path in paths.items()
    }
    taken = {index for each in agreeing.values() for index in each}
    found: dict[str, int] = {}
    first: dict[int, str] = {}
    for text, path in paths.items():
        candidates = agreeing[text] or [index for index in same_name.get(path.name, []) if index not in taken]
        shared = [_shared_end(path, names[index]) for index in candidates]
        best = [index for index, length in zip(candidates, shared, strict=True) if length == max(shared, default=0)]
        if len(best) > 1:
            raise _NameError(
                text,
                f"can be {len(best)} images of the annotations, {files[best[0]]} and {files[best[1]]}; write the "
                "folder as well, or integer image_ids and no file_name",
            )
        if best:
            found[text] = best[0]
            other = first.setdefault(best[0], text)
            if not _agree(path, paths[other]):
                raise _NameError(
                    text,
                    f"and {short(other)} of another record can both only be {files[best[0]]}; give annotations whose "
                    "file_name has the folder",
                )
    return found


def _agree(first: PurePosixPath, second: PurePosixPath) -> bool:
    """Whether one path is the end of the other."""
    return _shared_end(first, second) == min(len(first.parts), len(second.parts))


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
        by_number = "" if ids == "index" else "classes=index if these are class numbers from 0, "
        raise DataError(
            f"{path}: record {unknown[0]}: category_id {records[unknown[0]]['category_id']} is none of the "
            f"{len(known)} ids {known[0]} to {known[-1]} ({len(unknown)} detections are like this); use {by_number}"
            "classes=known to leave such detections out"
        )
    return found


def _note_on_numbered_names(records: Sequence[Mapping[str, Any]], ground_truth: GroundTruth) -> tuple[str, ...]:
    """A note where ids may be meant as the numbers that images are named by, which Ultralytics writes."""
    ids = dict(zip(ground_truth.image_ids, ground_truth.image_files, strict=True))
    stems = ((PurePosixPath(file).stem, file) for file in ids.values())
    numbered = {int(stem): file for stem, file in stems if stem.isascii() and stem.isdigit() and len(stem) < 19}
    given = dict.fromkeys(value for kind, value in map(_image_key, records) if kind == "image_id")
    unsure = [value for value in given if value in ids and numbered.get(value, ids[value]) != ids[value]]
    if not unsure:
        return ()
    first = unsure[0]
    return (
        f"{len(unsure)} image_ids are taken as ids of the annotations, but are also the numbers of other images' names "
        f"({first}: {ids[first]}, not {numbered[first]}); if the names were meant, add file_name",
    )


def _notes(records: Sequence[Mapping[str, Any]], other_image: Bools, other_class: Bools) -> tuple[str, ...]:
    notes = []
    if other_image.any():
        images = {_image_key(records[position]) for position in np.flatnonzero(other_image).tolist()}
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
