"""A dataset that was just written, read by Ultralytics' own scan: what a training would leave out of it."""

import time
from pathlib import Path

from yolo_focal.console import quiet
from yolo_focal.data.label_statistics import split_statistics
from yolo_focal.data.usable import NO_END_MARKER, refuse_unusable
from yolo_focal.data.yolo import YoloDataset, read_data_yaml
from yolo_focal.ultra import host
from yolo_focal.ultra.drivers.predictions import remove_label_cache
from yolo_focal.ultra.logger import warnings_only

__all__ = ["left_out_by_training"]


def left_out_by_training(data_yaml: Path) -> list[str]:
    """A sentence about each split of which Ultralytics leaves out images or writes them anew; leaves no cache behind.

    Raises:
        DataError: nothing of a split can be trained on, or nothing of the training split has a label.
    """
    dataset = read_data_yaml(data_yaml)
    notes = []
    for split in dataset.sources:
        refuse_unusable(dataset, split, labelled=split == "train")
        notes += _left_out(dataset, split)
    return notes


def _left_out(dataset: YoloDataset, split: str) -> list[str]:
    root = f"{dataset.yaml_file.parent.resolve()}/"
    with quiet():
        problems = split_statistics(dataset, split).problems
    images = dataset.image_files(split)
    dropped = sorted({str(image) for image in images} - _kept_by_ultralytics(dataset, split))
    notes = []
    if dropped:
        reasons = [str(problem) for problem in problems if problem.drops_image] or dropped
        first = reasons[0].replace(root, "")
        notes.append(f"Ultralytics will leave out {len(dropped)} of the {len(images)} images of {split}: {first}")
    if anew := [problem for problem in problems if problem.kind == NO_END_MARKER]:
        first = str(anew[0].file).replace(root, "")
        notes.append(f"Ultralytics wrote {len(anew)} JPEG files of {split} without an end marker anew: {first}")
    return notes


def _kept_by_ultralytics(dataset: YoloDataset, split: str) -> set[str]:
    data = {"names": dict(enumerate(dataset.names)), "channels": 3}
    started = time.time()
    with warnings_only():
        scanned = host.YOLODataset(
            img_path=[str(source) for source in dataset.sources[split]], data=data, task="detect", augment=False
        )
    remove_label_cache(scanned.label_files, started)
    return set(scanned.im_files)
