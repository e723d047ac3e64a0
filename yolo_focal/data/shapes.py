"""The built-in long-tail detection set `shapes`: drawn with OpenCV from a seed, in seconds, without a network.

Ten kinds of shapes on cluttered ground. In the training split the instances per class follow Zipf's law over 50:1, so
that rare classes lag behind after a short training; validation is only 10:1, so that their AP can be measured.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from yolo_focal.data.drawing import IMAGE_SIZE, SHAPE_NAMES, draw_image
from yolo_focal.data.layout import write_data_yaml, write_labels
from yolo_focal.data.long_tail import long_tail_counts
from yolo_focal.data.progress_bar import progress_bar
from yolo_focal.errors import DataError
from yolo_focal.files import new_folder, write_json

__all__ = ["SHAPE_NAMES", "draw_shapes", "ensure_shapes"]

VERSION = 1  # part of the folder's name: raise it when the drawing changes, so that an older set is never taken for it

EMPTY_SHARE = 0.1  # images without any object
MOST_OBJECTS = 12  # per image
JPEG_QUALITY = 92


@dataclass(frozen=True)
class DrawnSplit:
    """One split to draw: its first image id, its number of images and the instances of each class."""

    name: str
    first_id: int
    images: int
    instances: list[int]


def draw_shapes(folder: Path, *, seed: int = 0, train_images: int = 480, val_images: int = 200) -> Path:
    """Draw the set into the new folder `folder` and return its data YAML; the same seed gives the same bytes.

    Writes images/{train,val}/*.jpg, labels/{train,val}/*.txt (YOLO), annotations/instances_{train,val}.json (COCO) and
    shapes.yaml. Boxes enclose the visible pixels of an object. The folder appears whole or not at all.

    Raises:
        DataError: `folder` exists and is not empty, or its parent cannot be written.
    """
    splits = (
        DrawnSplit("train", 1, train_images, long_tail_counts("zipf", len(SHAPE_NAMES), 4 * train_images, 50)),
        DrawnSplit("val", 1 + train_images, val_images, long_tail_counts("zipf", len(SHAPE_NAMES), 2 * val_images, 10)),
    )
    with new_folder(folder) as root:
        for split in splits:
            _draw_split(root, split, seed)
        write_data_yaml(
            root / "shapes.yaml",
            _purpose(seed, *splits),
            {split.name: f"images/{split.name}" for split in splits},
            SHAPE_NAMES,
        )
    return folder / "shapes.yaml"


def ensure_shapes(datasets_dir: Path) -> Path:
    """The data YAML of the set under `datasets_dir`, drawn now (seed 0) if it is not there; safe between processes."""
    folder = datasets_dir / f"shapes-v{VERSION}"
    data_yaml = folder / "shapes.yaml"
    if data_yaml.is_file():
        return data_yaml
    try:
        datasets_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=datasets_dir) as place:
            draw_shapes(Path(place) / folder.name)
            (Path(place) / folder.name).rename(folder)
    except OSError as error:
        if not data_yaml.is_file():  # else another process drew the same bytes in the meantime
            raise DataError(f"the built-in set cannot be written to {folder} ({error.strerror})") from error
    return data_yaml


def _purpose(seed: int, train: DrawnSplit, val: DrawnSplit) -> list[str]:
    return [
        f"Built-in long-tail detection set, drawn from seed {seed}.",
        f"Use: yolo-focal train model=yolo11n.yaml data=shapes imgsz={IMAGE_SIZE}",
        f"train: {train.images} images, {sum(train.instances)} boxes; instances follow Zipf's law, {_ends(train)} "
        "between the most and the least frequent class.",
        f"val: {val.images} images, {sum(val.instances)} boxes; Zipf too, but only {_ends(val)}, so that the AP of the "
        "rare classes can be measured.",
        "Classes go from the most to the least frequent.",
    ]


def _ends(split: DrawnSplit) -> str:
    return f"{split.instances[0]}:{split.instances[-1]}"


def _draw_split(root: Path, split: DrawnSplit, seed: int) -> None:
    images = root / "images" / split.name
    labels = root / "labels" / split.name
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    contents = _distribute(split, np.random.default_rng([seed, split.first_id]))
    bar = progress_bar(contents, f"drawing shapes/{split.name}", total=split.images)
    for image_id, classes in enumerate(bar, split.first_id):
        drawn = draw_image(classes, np.random.default_rng([seed, split.first_id, image_id]))
        name = f"{image_id:06d}.jpg"  # the id, as Ultralytics writes it into predictions.json
        _, encoded = cv2.imencode(".jpg", drawn.pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (images / name).write_bytes(encoded.tobytes())
        corners = [(x, y, x + width, y + height) for x, y, width, height in drawn.boxes_xywh]
        objects = zip(classes, corners, strict=True)
        write_labels(labels / f"{image_id:06d}.txt", objects, IMAGE_SIZE, IMAGE_SIZE)
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


def _distribute(split: DrawnSplit, random: np.random.Generator) -> list[list[int]]:
    """Class indices of the objects of each image: every instance placed, a share of the images left without any."""
    objects = random.permutation(np.repeat(np.arange(len(split.instances)), split.instances))
    filled = random.permutation(split.images)[: max(1, split.images - round(EMPTY_SHARE * split.images))]
    contents: list[list[int]] = [[] for _ in range(split.images)]
    for number, kind in enumerate(objects.tolist()):
        open_images = [index for index in filled if len(contents[index]) < MOST_OBJECTS]
        target = filled[number] if number < len(filled) else random.choice(open_images or filled)
        contents[target].append(kind)
    return contents
