"""Pascal VOC datasets to YOLO datasets."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo_focal.data.images import IMAGE_SUFFIXES, image_size, place_image, refuse_wrong_size
from yolo_focal.data.layout import WrittenCheck, refuse_clashes, unchecked, write_data_yaml, write_labels
from yolo_focal.data.progress_bar import progress_bar
from yolo_focal.data.selection import partition
from yolo_focal.data.voc import VocRecord, read_voc
from yolo_focal.data.yolo import SPLITS
from yolo_focal.errors import ConfigError, DataError
from yolo_focal.files import check_new_folder, new_folder
from yolo_focal.foreign_text import first_names

__all__ = ["VocOptions", "voc_to_yolo"]

ANNOTATION_FOLDERS = ("Annotations", "annotations", "labels", ".")  # the first that has any
IMAGE_FOLDERS = ("JPEGImages", "images", ".")
_XML = frozenset([".xml"])


@dataclass(frozen=True)
class VocOptions:
    """How to convert a VOC dataset.

    Attributes:
        names: classes in order; empty: all that occur, sorted.
        difficult: keep objects marked difficult.
        first_pixel: 0 for corners as annotation tools write them; 1 for the original VOC convention, in which pixels
            count from 1 and both corners belong to the box.
        val_share: share of the images set aside for validation where the dataset has no split files.
        seed: of that choice.
        link: `copy`, `hardlink` or `symlink` the images.
    """

    names: tuple[str, ...] = ()
    difficult: bool = True
    first_pixel: int = 0
    val_share: float = 0.0
    seed: int = 0
    link: str = "copy"


@dataclass(frozen=True)
class _Item:
    """One annotation file with its image."""

    annotation: Path
    image: Path
    record: VocRecord


def voc_to_yolo(voc: Path, out: Path, options: VocOptions, *, check: WrittenCheck = unchecked) -> dict[str, Any]:
    """Write the VOC dataset `voc` as a YOLO dataset into the new folder `out`; returns counts and problems by split.

    Annotations/*.xml (or *.xml in `voc` itself) belong to the images of the same name in JPEGImages/, images/ or `voc`.
    Splits are those of ImageSets/Main/{train,val,test}.txt where there are any, else everything is train, less
    `val_share` for val. Boxes are clipped to their image; those left without area are listed and left out.

    Args:
        voc: the folder of the dataset.
        out: the folder to write.
        options: how.
        check: reads the written set as a training would; see `WrittenCheck`.

    Raises:
        ConfigError: `val_share` beside lists that already divide the images.
        DataError: a file that cannot be read, a class that `names` lacks, a missing image or one of another size than
            stated, a result that cannot be trained on, or an occupied `out`.
    """
    check_new_folder(out)
    items = _items(voc)
    classes = _classes(voc, items, options.names)
    splits, notes = _splits(voc, list(items), options)
    report: dict[str, Any] = {"names": list(classes), "splits": {}, "notes": notes}
    report["left_out"] = _left_out(voc, items, splits)
    difficult = sum(thing.difficult for item in items.values() for thing in item.record.objects)
    if difficult and not options.difficult:
        notes.append(f"{difficult} objects marked difficult are left out, by difficult=False")
    with new_folder(out) as root:
        for split, stems in splits.items():
            chosen = [items[stem] for stem in stems]
            report["splits"][split] = _write_split(root, split, chosen, classes, options)
        _refuse_nothing_to_learn(voc, report["splits"]["train"], difficult > 0 and not options.difficult)
        purpose = [
            f"Converted from the Pascal VOC dataset {voc.resolve().name}.",
            "Use: yolo-focal train model=yolo11n.yaml data=<this file>",
        ]
        if "val" not in splits:
            purpose.append("There is no validation split: val is train, so its scores say nothing about new images.")
        folders = {split: f"images/{split}" for split in splits}
        write_data_yaml(root / "data.yaml", purpose, {"val": "images/train", **folders}, classes)
        notes += check(root / "data.yaml")
    return report


def _items(voc: Path) -> dict[str, _Item]:
    """Every annotation file, read, with its image, by stem."""
    files = next((found for place in ANNOTATION_FOLDERS if (found := _visible(voc / place, _XML))), [])
    if not files:
        folders = sorted(each for each in voc.iterdir() if each.is_dir()) if voc.is_dir() else []
        below = [each.name for each in folders if _visible(each, _XML)]
        remedy = (
            f"{first_names(below, 5)} have some: convert each by itself, as voc={voc / below[0]}"
            if below
            else "give the folder of a Pascal VOC dataset"
        )
        raise DataError(f"no *.xml in {voc} or its Annotations, annotations, labels; {remedy}")
    images: dict[str, list[Path]] = {}
    for each in (each for place in IMAGE_FOLDERS for each in _visible(voc / place, IMAGE_SUFFIXES)):
        images.setdefault(each.stem, []).append(each)
    items: dict[str, _Item] = {}
    owner: dict[Path, Path] = {}  # image -> its annotation file
    for file in progress_bar(files, "reading VOC"):
        if file.stem in items:
            raise DataError(f"{items[file.stem].annotation} and {file} are of one image; remove one of them")
        record = read_voc(file)
        image = _image_of(file, record, images)
        if image is None:
            places = ", ".join(str(voc / place) for place in IMAGE_FOLDERS)
            raise DataError(
                f"{file}: its image {record.file_name or file.stem} is in none of {places}; add or remove it"
            )
        if (other := owner.setdefault(image, file)) != file:
            raise DataError(f"{other} and {file} are of one image, {image}; remove one of them")
        items[file.stem] = _Item(file, image, record)
    return items


def _image_of(annotation: Path, record: VocRecord, images: dict[str, list[Path]]) -> Path | None:
    """The image of the annotation's name, else of the name in it, from the first folder that has one.

    Raises:
        DataError: that folder has several which differ in suffix, and the annotation does not say which.
    """
    for stem in (annotation.stem, Path(record.file_name).stem):
        found = images.get(stem, [])
        candidates = [image for image in found if image.parent == found[0].parent]
        named = [image for image in candidates if image.name == Path(record.file_name).name]
        if len(candidates) > 1 and not named:
            raise DataError(f"{annotation} can be of {candidates[0]} or {candidates[1]}; rename or remove one of them")
        if candidates:
            return (named or candidates)[0]
    return None


def _visible(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """What has one of the suffixes in a folder, which may be absent; not macOS's `._name`, and nothing hidden."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in found if file.suffix.lower() in suffixes and not file.name.startswith("."))


def _left_out(voc: Path, items: dict[str, _Item], splits: dict[str, list[str]]) -> list[str]:
    """What the dataset has and the converted one has not."""
    used = {item.image for item in items.values()}
    without = [image for place in IMAGE_FOLDERS for image in _visible(voc / place, IMAGE_SUFFIXES) if image not in used]
    lines = [f"{image}: no annotation file, so it cannot be told whether it is empty; left out" for image in without]
    listed = {stem for stems in splits.values() for stem in stems}
    return lines + [
        f"{items[stem].annotation}: in no list of ImageSets/Main; left out" for stem in items if stem not in listed
    ]


def _classes(voc: Path, items: dict[str, _Item], names: tuple[str, ...]) -> tuple[str, ...]:
    found = sorted({item.name for entry in items.values() for item in entry.record.objects})
    if again := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"names= has {again[0]!r} more than once; give every class one number")
    unknown = [name for name in found if name not in names]
    if names and unknown:
        raise DataError(f"{voc} has the classes {first_names(unknown, 10)}, which names= lacks; add them")
    if not found:
        raise DataError(f"{voc} has no object in its {len(items)} annotation files; there is nothing to learn")
    return names or tuple(found)


def _splits(voc: Path, stems: list[str], options: VocOptions) -> tuple[dict[str, list[str]], list[str]]:
    """Stems of each split, by the dataset's own lists where it has them; and what is to be said about these."""
    folder = voc / "ImageSets" / "Main"
    splits = {split: listed for split in SPLITS if (listed := _listed(folder / f"{split}.txt", stems)) is not None}
    empty = [split for split, listed in splits.items() if not listed]
    if "train" in empty:
        raise DataError(f"{folder / 'train.txt'} is empty: nothing to train on; list images in it or remove the file")
    notes = [f"{folder / f'{split}.txt'} is empty: no such split is written" for split in empty]
    splits = {split: listed for split, listed in splits.items() if listed}
    if options.val_share and (decided := {"train", "val"} & splits.keys()):
        raise ConfigError(
            f"val_share={options.val_share:g} cannot act: {folder / f'{min(decided)}.txt'} already divides the images; "
            "leave it out"
        )
    if "train" in splits:
        return splits, notes
    both = _listed(folder / "trainval.txt", stems)
    if both:
        notes.append(f"{folder / 'trainval.txt'} is the training split, less val_share for validation")
    elif splits:
        raise DataError(f"{folder} has {', '.join(splits)} but no train.txt; add it")
    pool = [stem for stem in both or stems if all(stem not in listed for listed in splits.values())]
    if not pool:
        raise DataError(f"all images of {folder / 'trainval.txt'} are in {', '.join(splits)} too: nothing to train on")
    numbers, val = partition(range(len(pool)), options.val_share, options.seed)
    parts = {"train": [pool[number] for number in numbers], "val": [pool[number] for number in val]}
    return {**{split: chosen for split, chosen in parts.items() if chosen}, **splits}, notes


def _listed(listing: Path, stems: list[str]) -> list[str] | None:
    """The stems in a list file, each once; None where there is no such file.

    A line is a stem, which may have spaces in it, or, in the lists of one class, a stem and -1, 0 or 1.
    """
    if not listing.is_file():
        return None
    try:
        lines = [line.strip() for line in listing.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the list {listing} ({error}); it must be UTF-8 text, a name a line") from error
    known = set(stems)
    listed = []
    for line in filter(None, lines):
        stem, _, mark = line.rpartition(" ")
        listed.append(stem.strip() if line not in known and mark in ("-1", "0", "1") else line)
    missing = [stem for stem in listed if stem not in known]
    if missing:
        raise DataError(f"{listing} names {missing[0]} ({len(missing)} in all) without an annotation file")
    return list(dict.fromkeys(listed))


def _refuse_nothing_to_learn(voc: Path, written: dict[str, Any], without_difficult: bool) -> None:
    if not written["instances"]:
        reasons = [*written["problems"], *["difficult=False leaves out all that are marked so"] * without_difficult]
        raise DataError(
            f"{voc}: none of the objects in its {written['images']} training images is left"
            f"{f' ({reasons[0]})' if reasons else ''}; there is nothing to learn"
        )


def _write_split(
    root: Path, split: str, items: list[_Item], classes: tuple[str, ...], options: VocOptions
) -> dict[str, Any]:
    """Images and labels of one split; returns its counts and problems."""
    refuse_clashes((item.image.name for item in items), root)
    (root / "labels" / split).mkdir(parents=True)
    counts: Counter[str] = Counter()
    problems: list[str] = []
    for item in progress_bar(items, f"writing {split}"):
        width, height = image_size(item.image)
        if item.record.size is not None:
            refuse_wrong_size(item.image, item.record.size, str(item.annotation))
        place_image(item.image, root / "images" / split / item.image.name, options.link)
        objects = []
        for thing in item.record.objects:
            if thing.difficult and not options.difficult:
                continue
            left, top, right, bottom = thing.corners
            left, top = left - options.first_pixel, top - options.first_pixel
            clipped = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
            if clipped != (left, top, right, bottom):
                problems.append(f"{item.annotation}: {thing.name}: box reaches outside the image {thing.corners}")
            if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
                problems.append(f"{item.annotation}: {thing.name}: box without area left out {thing.corners}")
                continue
            objects.append((classes.index(thing.name), clipped))
            counts[thing.name] += 1
        write_labels(root / "labels" / split / f"{item.image.stem}.txt", objects, width, height)
    return {"images": len(items), "instances": dict(counts), "problems": problems}
