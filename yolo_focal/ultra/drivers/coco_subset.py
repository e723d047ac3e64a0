"""A subset of a COCO-format dataset as asked for; COCO 2017 itself has a place in Ultralytics' datasets folder."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo_focal.arguments.commands import COCO_SPLITS
from yolo_focal.data.fetch import COCO_SERVER, fetch_annotations
from yolo_focal.data.selection import SelectionRules
from yolo_focal.data.subset import CocoSource, SubsetOptions, make_subset
from yolo_focal.errors import ConfigError
from yolo_focal.ultra.datasets import datasets_folder
from yolo_focal.ultra.drivers.written_set import left_out_by_training

__all__ = ["written_subset"]


def written_subset(arguments: dict[str, Any]) -> dict[str, Any]:
    """Write the subset that `arguments`, by the names of `yolo-focal subset`, ask for; its manifest.

    Raises:
        ConfigError: arguments that do not go together.
        DataError: see `yolo_focal.data.subset.make_subset`.
    """
    rules = SelectionRules(**{each.name: arguments[each.name] for each in dataclasses.fields(SelectionRules)})
    given = {each.name: arguments[each.name] for each in dataclasses.fields(SubsetOptions) if each.name != "rules"}
    options = SubsetOptions(**{**given, "categories": tuple(arguments["categories"])}, rules=rules)
    _check_sources(arguments)
    train = _source(arguments["annotations"], arguments["images"])
    val = _source(arguments["val_annotations"], arguments["val_images"]) if arguments["val_annotations"] else None
    return make_subset(train, arguments["out"], options, val=val, check=left_out_by_training)


def _check_sources(arguments: Mapping[str, Any]) -> None:
    """Check that annotations and images go together, before any is downloaded."""
    problems = []
    if arguments["val_annotations"] and arguments["val_share"]:
        problems.append("val_annotations and val_share are two ways to get a validation split; give one of them")
    if arguments["val_images"] and not arguments["val_annotations"]:
        problems.append(f"val_images={arguments['val_images']} needs val_annotations=, the annotations of these images")
    for key in ("annotations", "val_annotations"):
        annotations, images = arguments[key], key.replace("annotations", "images")
        if annotations in COCO_SPLITS and arguments[images]:
            problems.append(
                f"{images}={arguments[images]} cannot act with {key}={annotations}, whose images have a place of their "
                "own; leave it out, or give the path of the annotation file"
            )
        elif annotations and annotations not in COCO_SPLITS and not arguments[images]:
            problems.append(f"{images}= is required with {annotations}: the folder of its images")
    if problems:
        raise ConfigError(problems)


def _source(annotations: str, images: str | None) -> CocoSource:
    if annotations in COCO_SPLITS:
        folder = datasets_folder() / "coco"
        return CocoSource(fetch_annotations(annotations, folder), folder / "images" / annotations, COCO_SERVER)
    return CocoSource(Path(annotations), Path(str(images)))
