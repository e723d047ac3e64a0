"""A subset of a COCO-format dataset, written for YOLO and for pycocotools."""

from pathlib import Path
from typing import Any

from yolo_focal.commands.arguments import Argument, choice, number, switch, text_list
from yolo_focal.data.fetch import COCO_SERVER, COCO_SPLITS, fetch_annotations
from yolo_focal.data.images import LINK_MODES
from yolo_focal.data.long_tail import PROFILES
from yolo_focal.data.selection import SelectionRules
from yolo_focal.data.subset import LABEL_MODES, CocoSource, SubsetOptions, make_subset
from yolo_focal.errors import ConfigError

__all__ = ["ARGUMENTS", "SUMMARY", "run"]

SUMMARY = "COCO-format annotations + images -> a subset by category, number or long tail, for YOLO and COCO tools"
ARGUMENTS = (
    Argument(
        "annotations", None, "COCO-format JSON file, or train2017 / val2017 (downloaded if needed)", required=True
    ),
    Argument("images", None, "folder of its images; not needed for train2017 / val2017"),
    Argument("out", None, "new folder to write", parse=Path, required=True),
    Argument(
        "categories", [], "names or ids of the categories that decide which images come in; all if empty", text_list
    ),
    Argument("labels", "selected", "write objects of the selected categories only, or of all", choice(*LABEL_MODES)),
    Argument("max_images", None, "most training images", number(int, 1)),
    Argument("min_per_class", None, "training instances to reach for every class", number(int, 1)),
    Argument("max_per_class", None, "training instances no class may exceed", number(int, 1)),
    Argument("profile", None, f"long tail over training instances: {' or '.join(PROFILES)}", choice(*PROFILES)),
    Argument(
        "imbalance", 50.0, "long tail: instances of the most over those of the least frequent class", number(float, 1)
    ),
    Argument(
        "largest",
        None,
        "long tail: instances of the most frequent class; as many as possible if absent",
        number(int, 1),
    ),
    Argument("keep_empty", False, "also take images without any annotation", switch),
    Argument("val_annotations", None, "annotations of the validation split: a JSON file, or val2017"),
    Argument("val_images", None, "folder of the validation images"),
    Argument(
        "val_share",
        0.0,
        "share of the images set aside for validation, where no val_annotations",
        number(float, 0, 0.9),
    ),
    Argument("link", "copy", "how images get there", choice(*LINK_MODES)),
    Argument("seed", 0, "of every random choice", number(int, 0)),
)
LISTED_PROBLEMS = 5


def run(arguments: dict[str, Any]) -> int:
    """Write the subset and print what was asked and what was reached.

    Raises:
        ConfigError: arguments that do not go together.
        DataError: see `yolo_focal.data.subset.make_subset`.
    """
    rules = SelectionRules(
        max_images=arguments["max_images"],
        min_per_class=arguments["min_per_class"],
        max_per_class=arguments["max_per_class"],
        profile=arguments["profile"],
        imbalance=arguments["imbalance"],
        largest=arguments["largest"],
    )
    options = SubsetOptions(
        categories=tuple(arguments["categories"]),
        labels=arguments["labels"],
        rules=rules,
        keep_empty=arguments["keep_empty"],
        val_share=arguments["val_share"],
        seed=arguments["seed"],
        link=arguments["link"],
    )
    if arguments["val_annotations"] and arguments["val_share"]:
        raise ConfigError("val_annotations and val_share are two ways to get a validation split; give one of them")
    train = _source(arguments["annotations"], arguments["images"], "images")
    val = None
    if arguments["val_annotations"]:
        val = _source(arguments["val_annotations"], arguments["val_images"], "val_images")
    manifest = make_subset(train, arguments["out"], options, val=val)
    print(_report(arguments["out"], manifest))
    return 0


def _source(annotations: str, images: str | None, key: str) -> CocoSource:
    if annotations in COCO_SPLITS:
        from yolo_focal.ultra.datasets import datasets_folder  # only COCO 2017 itself has a place of its own

        folder = datasets_folder() / "coco"
        return CocoSource(fetch_annotations(annotations, folder), folder / "images" / annotations, COCO_SERVER)
    if images is None:
        raise ConfigError(f"{key}= is required with {annotations}: the folder of its images")
    return CocoSource(Path(annotations), Path(images))


def _report(out: Path, manifest: dict[str, Any]) -> str:
    lines = []
    for split, record in manifest["splits"].items():
        lines.append(
            f"{split}: {record['images']} images ({record['images_without_objects']} without objects), "
            f"{record['instances']} instances, {record['crowds_in_json_only']} crowds in the JSON only"
        )
        width = max(len(row["name"]) for row in record["classes"])
        lines.append(f"  {'class':<{width}}  available  asked  reached")
        lines += [
            f"  {row['name']:<{width}}  {_count(row['available']):>9}  {_count(row['asked']):>5}  {row['reached']:>7}"
            for row in record["classes"]
            if row["reached"] or row["asked"]
        ]
        lines += [f"  source: {count} x {kind}" for kind, count in record["source_problem_counts"].items()]
        lines += [f"    {problem}" for problem in record["source_problems"][:LISTED_PROBLEMS]]
        if len(record["source_problems"]) > LISTED_PROBLEMS:
            lines.append("    all of them: manifest.json")
    lines += [f"note: {note}" for note in manifest["notes"]]
    lines.append(f"{out / 'data.yaml'}: train with  yolo-focal train model=yolo11n.yaml data={out / 'data.yaml'}")
    return "\n".join(lines)


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)
