"""COCO annotation files for a YOLO dataset."""

from pathlib import Path
from typing import Any

from yolo_focal.commands.arguments import Argument
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.data.yolo_to_coco import write_coco_files
from yolo_focal.ultra.datasets import datasets_folder, find_data_yaml

__all__ = ["ARGUMENTS", "SUMMARY", "run"]

SUMMARY = "YOLO dataset -> COCO annotation files, one per split"
ARGUMENTS = (
    Argument("data", None, "data YAML, its folder, or a bare name such as shapes", required=True),
    Argument("out", None, "new folder for instances_SPLIT.json", parse=Path, required=True),
)
LISTED_PROBLEMS = 5


def run(arguments: dict[str, Any]) -> int:
    """Write the files and print what is in them.

    Raises:
        DataError: see `yolo_focal.data.yolo_to_coco.write_coco_files`.
    """
    dataset = read_data_yaml(find_data_yaml(arguments["data"]), datasets_folder())
    for split, record in write_coco_files(dataset, arguments["out"]).items():
        file = arguments["out"] / f"instances_{split}.json"
        print(f"{file}: {record['images']} images, {record['annotations']} annotations")
        for problem in record["problems"][:LISTED_PROBLEMS]:
            print(f"  {problem}")
        if len(record["problems"]) > LISTED_PROBLEMS:
            print(f"  ... {len(record['problems'])} problems in all")
    return 0
