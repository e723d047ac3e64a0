"""Subsets of COCO-format datasets: chosen by category, by number, or to follow a long-tail frequency profile."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.data.coco import CocoDataset, read_coco
from yolo_focal.data.fetch import fetch_images, image_url
from yolo_focal.data.images import refuse_unreadable_names
from yolo_focal.data.layout import WrittenCheck, unchecked, write_data_yaml
from yolo_focal.data.problem_lines import problem_lines, use_of_data
from yolo_focal.data.selection import Selection, SelectionRules, partition, select_images
from yolo_focal.data.subset_files import (
    CocoSource,
    SubsetPart,
    refuse_unwritable,
    subset_notes,
    subset_record,
    write_part,
)
from yolo_focal.errors import DataError
from yolo_focal.files import check_new_folder, new_folder, write_json
from yolo_focal.foreign_text import first_names
from yolo_focal.paths import is_file, is_folder
from yolo_focal.spelling import did_you_mean
from yolo_focal.text_table import aligned

__all__ = ["CocoSource", "SubsetOptions", "make_subset", "subset_lines"]


@dataclass(frozen=True)
class SubsetOptions:
    """How to make a subset.

    Attributes:
        categories: names or ids of the categories that decide which images come in; empty: all.
        labels: `selected` writes only these categories' objects, `all` every object of the chosen images.
        rules: numbers and profile of the training split; the validation split takes all images with a chosen category.
        keep_empty: also take images that have no annotation at all.
        val_share: share of the images set aside for validation before the rules apply, where no other file has it.
        seed: of every random choice.
        link: `copy`, `hardlink` or `symlink` the images.
    """

    categories: tuple[str, ...] = ()
    labels: str = "selected"
    rules: SelectionRules = field(default_factory=SelectionRules)
    keep_empty: bool = False
    val_share: float = 0.0
    seed: int = 0
    link: str = "copy"


def make_subset(
    train: CocoSource,
    out: Path,
    options: SubsetOptions,
    *,
    val: CocoSource | None = None,
    check: WrittenCheck = unchecked,
) -> dict[str, Any]:
    """Write a subset to the new folder `out` and return its manifest.

    Writes images/SPLIT/, labels/SPLIT/ (YOLO; crowds and boxes without area left out, boxes clipped to the image),
    annotations/instances_SPLIT.json (records and ids as in the source), data.yaml and manifest.json. The result depends
    on the records and the seed, not on their order in the file. `out` appears whole or not at all.

    Args:
        train: annotations and images of the training split.
        out: the folder to write.
        options: how.
        val: those of a validation split.
        check: reads the written set as a training would; see `WrittenCheck`.

    Raises:
        DataError: a faulty annotation file, an unknown category, no image found, an image that cannot be read or has
            another size than stated or a name that Ultralytics does not read, rules that cannot be combined, a result
            that cannot be trained on, an occupied or read-only `out`.
    """
    check_new_folder(out)
    dataset = read_coco(train.annotations)
    chosen = _category_ids(dataset, options.categories)
    written = list(dataset.categories) if options.labels == "all" else chosen
    parts = _parts(train, dataset, val, chosen, options)
    for part in parts:
        chosen_names = {number: part.dataset.images[number]["file_name"] for number in part.selection.images}
        refuse_unreadable_names(chosen_names, part.dataset.source)
        refuse_unwritable(part, written)
    notes = subset_notes(parts)
    with new_folder(out) as root:
        for part in parts:
            _fetch_chosen(part)
            write_part(root, part, written, options.link)
        write_data_yaml(
            root / "data.yaml",
            [
                f"Subset of {train.annotations.name}; manifest.json says how it was made.",
                "Use: yolo-focal train model=yolo11n.yaml data=<this file>",
                *problem_lines(notes, "", "and others: manifest.json"),
            ],
            {"train": "images/train", "val": f"images/{parts[-1].split}"},
            [dataset.categories[category] for category in written],
        )
        notes += check(root / "data.yaml")
        manifest = {
            "made_by": f"yolo_focal {yolo_focal.__version__} subset",
            "options": asdict(options),
            "notes": notes,
            "splits": {part.split: subset_record(part, written) for part in parts},
        }
        write_json(root / "manifest.json", manifest)
    return manifest


def _category_ids(dataset: CocoDataset, wanted: Iterable[str]) -> list[int]:
    """Ids of the wanted categories, ascending; all where none is named."""
    ids = {name: number for number, name in dataset.categories.items()}
    numbers = {str(number): number for number in dataset.categories}
    found: set[int] = set()
    for word in wanted:
        if word in ids and ids[word] != numbers.get(word, ids[word]):
            raise DataError(
                f"'{word}' is the name of category {ids[word]} in {dataset.source}, and the id of category "
                f"'{dataset.categories[int(word)]}'; write {ids[word]} or that name"
            )
        if word in ids:
            found.add(ids[word])
        elif word in numbers:
            found.add(numbers[word])
        else:
            hint = did_you_mean(word, ids, f"it has {', '.join(list(ids)[:10])} ...")
            raise DataError(f"'{word}' is not a category of {dataset.source}; {hint}")
    return sorted(found) or list(dataset.categories)


def _parts(
    train: CocoSource, dataset: CocoDataset, val: CocoSource | None, chosen: list[int], options: SubsetOptions
) -> list[SubsetPart]:
    """The training split by the rules, then a validation split where one is given or set aside."""
    files = _image_files(train, dataset)
    train_ids, val_ids = list(files), list[int]()
    if val is None and options.val_share:
        train_ids, val_ids = partition(train_ids, options.val_share, options.seed)
    parts = [_part("train", train, dataset, files, train_ids, chosen, options)]
    if val_ids:
        parts.append(_part("val", train, dataset, files, val_ids, chosen, options))
    if val is not None:
        other = read_coco(val.annotations)
        _same_categories(dataset, other, chosen if options.labels == "selected" else list(dataset.categories))
        val_files = _image_files(val, other)
        parts.append(_part("val", val, other, val_files, list(val_files), chosen, options))
    for part in parts:
        if not part.selection.images:
            raise DataError(
                f"no image is left for {part.split}: {part.source.annotations} has {len(part.dataset.images)} images, "
                "but none fits the categories and rules; relax them"
            )
    if not any(parts[0].selection.reached.values()):
        raise DataError(
            f"{train.annotations}: none of the {len(parts[0].selection.images)} images for train has an object; there "
            "is nothing to learn"
        )
    return parts


def _fetch_chosen(part: SubsetPart) -> None:
    if part.source.server:
        split = part.source.images.name
        paths = [part.files[number] for number in part.selection.images]
        fetch_images({path: image_url(split, path.name, server=part.source.server) for path in paths})


def _same_categories(train: CocoDataset, val: CocoDataset, wanted: list[int]) -> None:
    for category in wanted:
        if val.categories.get(category) != train.categories[category]:
            raise DataError(
                f"{val.source}: category {category} is {val.categories.get(category)!r}, but in {train.source} it is "
                f"{train.categories[category]!r}; both files need the same categories"
            )


def _image_files(source: CocoSource, dataset: CocoDataset) -> dict[int, Path]:
    """The image files that exist, as named below the folder or directly in it, by ascending image id.

    Raises:
        DataError: there are none, or two images of the annotations could only be one file.
    """
    if not is_folder(source.images) and not source.server:
        raise DataError(f"the image folder {source.images} does not exist; give the folder of the images as images=")
    found: dict[int, Path] = {}
    first: dict[Path, int] = {}
    for number in sorted(dataset.images):
        name = Path(dataset.images[number]["file_name"])
        path = next((p for p in (source.images / name, source.images / name.name) if is_file(p)), None)
        if path is None and source.server:
            path = source.images / name.name
        if path is not None:
            found[number] = path
            if (other := first.setdefault(path, number)) != number:
                names = [dataset.images[each]["file_name"] for each in (other, number)]
                raise DataError(
                    f"{source.annotations}: {names[0]} and {names[1]} can both only be {path}, so one of them would "
                    "get the other's objects; give the folder that these names begin in as images="
                )
    if not found:
        example = next(iter(dataset.images.values()))["file_name"]
        raise DataError(
            f"none of the {len(dataset.images)} images of {source.annotations} is in {source.images} "
            f"(looked for {example}, ...); give their folder as images="
        )
    return found


def _part(
    split: str,
    source: CocoSource,
    dataset: CocoDataset,
    files: dict[int, Path],
    candidates: list[int],
    chosen: list[int],
    options: SubsetOptions,
) -> SubsetPart:
    wanted = set(chosen)
    annotated = {annotation["image_id"] for annotation in dataset.content["annotations"]}  # of unknown categories, too
    counts: dict[int, dict[int, int]] = {}
    empty: list[int] = []
    for image in candidates:
        found = Counter(a["category_id"] for a in dataset.objects(image) if a["category_id"] in wanted)
        if found or (options.keep_empty and image not in annotated):
            counts[image] = dict(found)
        elif image not in annotated:
            empty.append(image)
    available = Counter(dict.fromkeys(chosen, 0))
    for image_counts in counts.values():
        available.update(image_counts)
    rules = options.rules if split == "train" else SelectionRules()
    selection = select_images(counts, chosen, rules, options.seed) if counts else Selection([], {}, {})
    others = len(candidates) - len(counts) - len(empty)
    return SubsetPart(split, source, dataset, files, dict(available), selection, empty, others)


def subset_lines(out: Path, manifest: Mapping[str, Any]) -> list[str]:
    """What was asked and what was reached, class by class."""
    lines = []
    for split, record in manifest["splits"].items():
        lines.append(
            f"{split}: {record['images']} images ({record['images_without_objects']} without objects), "
            f"{record['instances']} instances, {record['crowds_in_json_only']} crowds in the JSON only"
        )
        rows = [
            [row["name"], *("-" if row[name] is None else str(row[name]) for name in ("available", "asked", "reached"))]
            for row in record["classes"]
            if row["reached"] or row["asked"]
        ]
        lines += [f"  {line}" for line in aligned([["class", "available", "asked", "reached"], *rows])]
        if record["left_out_without_annotations"]:
            names = first_names(record["left_out_without_annotations"])
            lines.append(
                f"  left out: {len(record['left_out_without_annotations'])} images without annotations ({names}); "
                "keep_empty=True takes them"
            )
        if record["left_out_of_other_categories"]:
            lines.append(f"  left out: {record['left_out_of_other_categories']} images without an object to choose by")
        lines += [f"  source: {count} x {kind}" for kind, count in record["source_problem_counts"].items()]
        lines += problem_lines(record["source_problems"], "    ", "all of them: manifest.json")
    lines += problem_lines(manifest["notes"], "note: ", "and others: manifest.json")
    lines.append(use_of_data(out / "data.yaml"))
    return lines
