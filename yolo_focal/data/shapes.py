"""The built-in long-tail detection set `shapes`: drawn with OpenCV from a seed, in seconds, without a network.

Ten kinds of shapes on cluttered ground. In the training split the instances per class follow Zipf's law over 50:1, so
that rare classes lag behind after a short training; validation is only 10:1, so that their AP can be measured.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from yolo_focal.data.drawing import IMAGE_SIZE, SHAPE_NAMES, draw_image
from yolo_focal.data.long_tail import long_tail_counts
from yolo_focal.data.progress import progress_bar
from yolo_focal.errors import DataError
from yolo_focal.files import new_folder, write_json, write_text

__all__ = ["SHAPE_NAMES", "draw_shapes", "ensure_shapes"]

VERSION = 1  # part of the folder's name: raise it when the drawing changes, so that an older set is never taken for it

EMPTY_SHARE = 0.1  # images without any object
MOST_OBJECTS = 12  # per image
JPEG_QUALITY = 92

DATA_YAML = """\
# Built-in long-tail detection set, drawn from seed {seed}.
# Use: yolo-focal train model=yolo11n.yaml data=shapes imgsz={size}
# train: Zipf over instances, {train_first}:{train_last} between the most and the least frequent class.
# val: Zipf, {val_first}:{val_last}, milder on purpose so that the AP of the rare classes can be measured.
# There is no `path:` key: the folder of this file is the root, so it works from any directory and after a move.
train: images/train  # {train_images} images, {train_total} boxes
val: images/val  # {val_images} images, {val_total} boxes

names:  # from the most to the least frequent
{names}
"""


@dataclass(frozen=True)
class Split:
    """One split to draw: its number of images and the instances of each class."""

    name: str
    number: int
    images: int
    instances: list[int]


def draw_shapes(
    folder: Path, *, seed: int = 0, train_images: int = 480, val_images: int = 200, progress: bool = True
) -> Path:
    """Draw the set into the new folder `folder` and return its data YAML; the same seed gives the same bytes.

    Writes images/{train,val}/*.jpg, labels/{train,val}/*.txt (YOLO), annotations/instances_{train,val}.json (COCO) and
    shapes.yaml. Boxes enclose the visible pixels of an object. The folder appears whole or not at all.

    Raises:
        DataError: `folder` exists and is not empty, or its parent cannot be written.
    """
    splits = (
        Split("train", 0, train_images, long_tail_counts("zipf", len(SHAPE_NAMES), 4 * train_images, 50)),
        Split("val", 1, val_images, long_tail_counts("zipf", len(SHAPE_NAMES), 2 * val_images, 10)),
    )
    with new_folder(folder) as root:
        for split in splits:
            _draw_split(root, split, seed, progress)
        write_text(root / "shapes.yaml", _data_yaml(seed, *splits))
    return folder / "shapes.yaml"


def ensure_shapes(datasets_dir: Path, *, progress: bool = True) -> Path:
    """The data YAML of the set under `datasets_dir`, drawn now (seed 0) if it is not there; safe between processes."""
    folder = datasets_dir / f"shapes-v{VERSION}"
    data_yaml = folder / "shapes.yaml"
    if data_yaml.is_file():
        return data_yaml
    try:
        return draw_shapes(folder, progress=progress)
    except (DataError, OSError):
        if data_yaml.is_file():  # another process drew the same bytes in the meantime
            return data_yaml
        raise


def _data_yaml(seed: int, train: Split, val: Split) -> str:
    return DATA_YAML.format(
        seed=seed,
        size=IMAGE_SIZE,
        train_first=train.instances[0],
        train_last=train.instances[-1],
        val_first=val.instances[0],
        val_last=val.instances[-1],
        train_images=train.images,
        train_total=sum(train.instances),
        val_images=val.images,
        val_total=sum(val.instances),
        names="\n".join(f"  {index}: {name}" for index, name in enumerate(SHAPE_NAMES)),
    )


def _draw_split(root: Path, split: Split, seed: int, progress: bool) -> None:
    images = root / "images" / split.name
    labels = root / "labels" / split.name
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    contents = _distribute(split, np.random.default_rng([seed, split.number]))
    bar = progress_bar(contents, f"drawing shapes/{split.name}", total=split.images, show=progress)
    for index, classes in enumerate(bar, 1):
        drawn = draw_image(classes, np.random.default_rng([seed, split.number, index]))
        name = f"{index:06d}.jpg"
        _, encoded = cv2.imencode(".jpg", drawn.pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (images / name).write_bytes(encoded.tobytes())
        rows = [_yolo_row(kind, box) for kind, box in zip(classes, drawn.boxes_xywh, strict=True)]
        if rows:
            (labels / f"{index:06d}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
        image_id = split.number * 1_000_000 + index  # unique over both splits
        records.append({"id": image_id, "file_name": name, "width": IMAGE_SIZE, "height": IMAGE_SIZE})
        annotations += [
            {"image_id": image_id, "category_id": kind + 1, "bbox": list(box), "area": area, "iscrowd": 0}
            for kind, box, area in zip(classes, drawn.boxes_xywh, drawn.visible_areas, strict=True)
        ]
    write_json(
        root / "annotations" / f"instances_{split.name}.json",
        {
            "info": {"description": f"yolo_focal shapes, version {VERSION}, seed {seed}, {split.name}"},
            "images": records,
            "annotations": [{"id": number, **record} for number, record in enumerate(annotations, 1)],
            "categories": [{"id": index + 1, "name": name} for index, name in enumerate(SHAPE_NAMES)],
        },
    )


def _distribute(split: Split, random: np.random.Generator) -> list[list[int]]:
    """Class indices of the objects of each image: every instance placed, a share of the images left without any."""
    objects = random.permutation(np.repeat(np.arange(len(split.instances)), split.instances))
    filled = random.permutation(split.images)[: max(1, split.images - round(EMPTY_SHARE * split.images))]
    contents: list[list[int]] = [[] for _ in range(split.images)]
    for number, kind in enumerate(objects.tolist()):
        open_images = [index for index in filled if len(contents[index]) < MOST_OBJECTS]
        target = filled[number] if number < len(filled) else random.choice(open_images or filled)
        contents[target].append(kind)
    return contents


def _yolo_row(kind: int, box: tuple[int, int, int, int]) -> str:
    x, y, width, height = box
    values = ((x + width / 2), (y + height / 2), width, height)
    return " ".join([str(kind), *(f"{value / IMAGE_SIZE:.6f}" for value in values)])
