"""COCO annotation files for a YOLO dataset."""

from typing import Any

from yolo_focal.arguments.output import take_output
from yolo_focal.console import conclude
from yolo_focal.data.problem_lines import left_out_lines, problem_lines
from yolo_focal.data.yolo_to_coco import write_coco_files
from yolo_focal.ultra.datasets import read_dataset

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Write the files and print what is in them.

    Raises:
        DataError: see `yolo_focal.data.yolo_to_coco.write_coco_files`.
    """
    dataset = read_dataset(arguments["data"])
    output = take_output("yolo2coco", arguments)
    report = write_coco_files(dataset, output.path, output.exist_ok)
    lines: list[str] = []
    for split, record in report.items():
        file = output.path / f"instances_{split}.json"
        if record["images"]:
            lines.append(f"{file}: {record['images']} images, {record['annotations']} annotations")
            if not record["annotations"]:
                lines.append(
                    f"note: no image of {split} has a label; label files are expected in labels/ beside images/"
                )
        lines += [*problem_lines(record["problems"]), *left_out_lines(record["left_out"], split)]
    conclude("\n".join(lines), f"written to {output.path}")
    return 0
