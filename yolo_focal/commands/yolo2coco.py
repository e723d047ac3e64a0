"""COCO annotation files for a YOLO dataset."""

from typing import Any

from yolo_focal.data.problem_lines import problem_lines
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.data.yolo_to_coco import write_coco_files
from yolo_focal.ultra.datasets import datasets_folder, find_data_yaml

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Write the files and print what is in them.

    Raises:
        DataError: see `yolo_focal.data.yolo_to_coco.write_coco_files`.
    """
    dataset = read_data_yaml(find_data_yaml(arguments["data"]), datasets_folder())
    for split, record in write_coco_files(dataset, arguments["out"]).items():
        file = arguments["out"] / f"instances_{split}.json"
        print(f"{file}: {record['images']} images, {record['annotations']} annotations")
        for line in problem_lines(record["problems"]):
            print(line)
    return 0
