"""What a subset writes: images and labels of a split, its filtered annotations, and its record in the manifest."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo_focal.data.coco import CocoDataset, CocoProblem, class_boxes
from yolo_focal.data.images import place_image, refuse_wrong_size
from yolo_focal.data.layout import refuse_clashes, write_labels
from yolo_focal.data.progress_bar import progress_bar
from yolo_focal.data.selection import Selection
from yolo_focal.data.yolo import label_file
from yolo_focal.errors import DataError
from yolo_focal.files import fingerprint, write_json

__all__ = ["CocoSource", "SubsetPart", "refuse_unwritable", "subset_notes", "subset_record", "write_part"]


@dataclass(frozen=True)
class CocoSource:
    """A COCO annotation file and the folder of its images.

    Attributes:
        annotations: the file.
        images: the folder.
        server: for COCO 2017 itself, the server that has the images missing in `images`; None: nothing is downloaded.
    """

    annotations: Path
    images: Path
    server: str | None = None


@dataclass(frozen=True)
class SubsetPart:
    """One split about to be written.

    Attributes:
        split: its name.
        source: where it comes from.
        dataset: the annotations, read.
        files: image id -> image file, those of the source that exist or will be downloaded when chosen.
        available: category id -> instances in the images that may be chosen.
        selection: the images chosen.
        empty: images that could not be chosen because they have no annotation.
        others: number of those that could not because they have no object of the categories.
    """

    split: str
    source: CocoSource
    dataset: CocoDataset
    files: dict[int, Path]
    available: dict[int, int]
    selection: Selection
    empty: list[int]
    others: int


def write_part(root: Path, part: SubsetPart, written: list[int], link: str) -> None:
    """Write images, YOLO labels and COCO annotations of one split below `root`, with the categories `written`.

    Raises:
        DataError: an image cannot be read or has another size than stated, or two images would share a label file.
    """
    chosen = part.selection.images
    refuse_clashes((part.dataset.images[number]["file_name"] for number in chosen), part.dataset.source)
    (root / "labels" / part.split).mkdir(parents=True)
    place = {category: index for index, category in enumerate(written)}
    for number in progress_bar(chosen, f"writing {part.split}"):
        image = part.dataset.images[number]
        stated = image["width"], image["height"]
        refuse_wrong_size(part.files[number], stated, f"images id {number} of {part.dataset.source}")
        target = root / "images" / part.split / image["file_name"]
        place_image(part.files[number], target, link)
        write_labels(label_file(target), class_boxes(part.dataset, number, place), image["width"], image["height"])
    write_json(root / "annotations" / f"instances_{part.split}.json", _filtered(part, written))


def refuse_unwritable(part: SubsetPart, written: list[int]) -> None:
    """Raise where a record that would be written holds NaN or an infinity, which Python reads and JSON does not have.

    Raises:
        DataError: with the first such record and its field.
    """
    for section, content in _filtered(part, written).items():
        if _is_json(content):
            continue
        place, record = section, content
        if isinstance(content, list):
            record = next(each for each in content if not _is_json(each))
            if isinstance(record, dict) and "id" in record:
                place = f"{section} id {record['id']}"
        if isinstance(record, dict):
            place += f": {next(key for key, value in record.items() if not _is_json(value))}"
        raise DataError(f"{part.dataset.source}: {place} has NaN or an infinity, which JSON cannot hold; correct it")


def _is_json(content: Any) -> bool:
    try:
        json.dumps(content, allow_nan=False)
    except ValueError:
        return False
    return True


def _filtered(part: SubsetPart, written: list[int]) -> dict[str, Any]:
    """The annotation file of the split: the source's records, unchanged, in the order of their ids."""
    dataset, chosen = part.dataset, part.selection.images
    return {
        **{key: dataset.content[key] for key in ("info", "licenses") if key in dataset.content},
        "images": [dataset.images[number] for number in chosen],
        "annotations": sorted(_written(part, written), key=lambda annotation: int(annotation["id"])),
        "categories": sorted(
            (category for category in dataset.content["categories"] if category["id"] in written),
            key=lambda category: int(category["id"]),
        ),
    }


def _written(part: SubsetPart, written: list[int]) -> list[dict[str, Any]]:
    """The annotations of the chosen images that are written."""
    return [
        annotation
        for number in part.selection.images
        for annotation in part.dataset.annotations.get(number, [])
        if annotation["category_id"] in written
    ]


def subset_notes(parts: list[SubsetPart]) -> list[str]:
    """What a reader of the numbers must know: a missing validation split, and why classes missed their numbers."""
    notes = []
    if len(parts) == 1:
        notes.append("There is no validation split: val is train, so its scores say nothing about new images.")
    train = parts[0]
    for category, deviation in train.selection.shortfalls().items():
        asked, available = train.selection.asked[category], train.available[category]
        reached = train.selection.reached[category]
        if available < asked:
            reason = f"the source has only {available}"
        elif train.selection.exact:
            reason = "objects come in whole images, shared with classes that need other numbers"
        else:
            reason = "the other limits leave no room for more"
        notes.append(
            f"{train.dataset.categories[category]}: {asked} instances asked, {reached} reached "
            f"({deviation:+.0%}): {reason}."
        )
    return notes


def subset_record(part: SubsetPart, written: list[int]) -> dict[str, Any]:
    """The manifest's record of one split: sources with hash, counts available, asked and reached, and all problems."""
    dataset, chosen = part.dataset, part.selection.images
    kept = {n: [a["category_id"] for a in dataset.objects(n) if a["category_id"] in written] for n in chosen}
    counts = Counter(category for categories in kept.values() for category in categories)
    crowds = sum(bool(annotation.get("iscrowd")) for annotation in _written(part, written))
    problems = dataset.problems + [
        CocoProblem("image missing", f"images id {number}", image["file_name"])
        for number, image in sorted(dataset.images.items())
        if number not in part.files
    ]
    return {
        "annotations": str(part.source.annotations),
        "annotations_sha256": fingerprint(part.source.annotations)["sha256"],
        "images_folder": str(part.source.images),
        "images": len(chosen),
        "images_without_objects": sum(not categories for categories in kept.values()),
        "instances": counts.total(),
        "crowds_in_json_only": crowds,
        "classes": [
            {
                "index": index,
                "category_id": category,
                "name": dataset.categories[category],
                "available": part.available.get(category),
                "asked": part.selection.asked.get(category),
                "reached": counts[category],
            }
            for index, category in enumerate(written)
        ],
        "left_out_without_annotations": [dataset.images[number]["file_name"] for number in part.empty],
        "left_out_of_other_categories": part.others,
        "source_problem_counts": dict(Counter(problem.kind for problem in problems)),
        "source_problems": [str(problem) for problem in problems],
    }
