"""Whether anything of a split can be trained on, and if not, what is wrong with the first of it."""

from pathlib import Path

from yolo_focal.data.images import image_size
from yolo_focal.data.labels import LabelProblem
from yolo_focal.data.yolo import YoloDataset, label_file
from yolo_focal.errors import DataError

__all__ = ["refuse_unusable"]

_REMEDIES = {
    "class out of range": "classes count from 0, in the order of names:",
    "coordinates not in 0 to 1": "coordinates are shares of the image's width and height, not pixels",
    "wrong number of columns": "a line is: class x_centre y_centre width height, or class and the corners of a polygon",
    "not numbers": "a line is: class x_centre y_centre width height",
    "image missing": "correct the path in the list, which is relative to the working directory or begins with ./",
    "unreadable image": "replace the file or take it out of the set",
}


def refuse_unusable(dataset: YoloDataset, split: str, *, labelled: bool = True) -> None:
    """Raise where Ultralytics would drop every image of a split; it reads no further than the first usable one.

    Args:
        dataset: with the split.
        split: its name.
        labelled: whether a split without any object is refused too.

    Raises:
        DataError: with the first problem's file, line and value, and what to do.
    """
    images = dataset.image_files(split)
    first: LabelProblem | None = None
    usable = 0
    for image in images:
        problem, objects = _examined(dataset, image)
        if problem is None:
            usable += 1
            if objects or not labelled:
                return
        first = first or problem
    if first is not None and not usable:
        remedy = _REMEDIES.get(first.kind, "correct it")
        raise DataError(
            f"{dataset.yaml_file}: none of the {len(images)} images of '{split}' can be used; the first problem: "
            f"{first}; {remedy}"
        )
    also = f"; {len(images) - usable} images have problems, the first: {first}" if first else ""
    raise DataError(
        f"{dataset.yaml_file}: the {usable} images of '{split}' have no labels{also}; expected text files, the first "
        f"{label_file(images[0])}"
    )


def _examined(dataset: YoloDataset, image: Path) -> tuple[LabelProblem | None, int]:
    """What makes Ultralytics drop an image, or None; and the number of its objects."""
    try:
        image_size(image)
    except DataError:
        return LabelProblem("unreadable image" if image.exists() else "image missing", image, 0, "", True), 0
    labels = dataset.labels(image)
    return next((each for each in labels.problems if each.drops_image), None), len(labels.classes)
