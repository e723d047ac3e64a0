"""A YOLO dataset from a Pascal VOC one."""

from pathlib import Path
from typing import Any

from yolo_focal.commands.arguments import Argument, choice, number, switch, text_list
from yolo_focal.data.images import LINK_MODES
from yolo_focal.data.voc_to_yolo import VocOptions, voc_to_yolo

__all__ = ["ARGUMENTS", "SUMMARY", "run"]

SUMMARY = "Pascal VOC dataset (XML files) -> YOLO dataset"
ARGUMENTS = (
    Argument("voc", None, "folder with Annotations/, JPEGImages/ and perhaps ImageSets/Main/", Path, required=True),
    Argument("out", None, "new folder to write", Path, required=True),
    Argument("names", [], "classes in order; all that occur, sorted, if empty", text_list),
    Argument("difficult", True, "keep objects marked difficult", switch),
    Argument(
        "first_pixel", 0, "1 for the original VOC convention (pixels from 1, corners inclusive)", number(int, 0, 1)
    ),
    Argument("val_share", 0.0, "share set aside for validation where there are no split files", number(float, 0, 0.9)),
    Argument("link", "copy", "how images get there", choice(*LINK_MODES)),
    Argument("seed", 0, "of the choice of validation images", number(int, 0)),
)
LISTED_PROBLEMS = 5


def run(arguments: dict[str, Any]) -> int:
    """Write the dataset and print what is in it.

    Raises:
        DataError: see `yolo_focal.data.voc_to_yolo.voc_to_yolo`.
    """
    options = VocOptions(
        names=tuple(arguments["names"]),
        difficult=arguments["difficult"],
        first_pixel=arguments["first_pixel"],
        val_share=arguments["val_share"],
        seed=arguments["seed"],
        link=arguments["link"],
    )
    out: Path = arguments["out"]
    report = voc_to_yolo(arguments["voc"], out, options)
    for split, record in report["splits"].items():
        counts = ", ".join(f"{name} {record['instances'].get(name, 0)}" for name in report["names"])
        print(f"{split}: {record['images']} images; {counts}")
        for problem in record["problems"][:LISTED_PROBLEMS]:
            print(f"  {problem}")
        if len(record["problems"]) > LISTED_PROBLEMS:
            print(f"  ... {len(record['problems'])} problems in all")
    print(f"{out / 'data.yaml'}: train with  yolo-focal train model=yolo11n.yaml data={out / 'data.yaml'}")
    return 0
