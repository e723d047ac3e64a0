"""What Ultralytics makes of the images of a split: those it drops and why, and whether anything is left of it."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageOps

from yolo_focal.data.images import DATA_OF_IMAGE_ERRORS, READ_FORMATS, image_size
from yolo_focal.data.labels import LabelProblem, Labels
from yolo_focal.data.yolo import YoloDataset, label_file
from yolo_focal.errors import DataError
from yolo_focal.foreign_text import first_names
from yolo_focal.paths import exists

__all__ = [
    "NO_END_MARKER",
    "checked_image",
    "lacking_end_marker",
    "refuse_repeated",
    "refuse_unusable",
    "repeated_images",
]

_REMEDIES = {
    "class out of range": "classes count from 0, in the order of names:",
    "coordinates not in 0 to 1": "coordinates are shares of the image's width and height, not pixels",
    "wrong number of columns": "a line is: class x_centre y_centre width height, or class and the corners of a polygon",
    "not numbers": "a line is: class x_centre y_centre width height",
    "image missing": "correct the path in the list, which is relative to the working directory or begins with ./",
    "unreadable image": "replace the file or take it out of the set",
    "truncated image": "replace the file or take it out of the set",
}
NO_END_MARKER = "JPEG without an end marker"
_LEAST_SIDE = 10  # pixels, Ultralytics' own limit


def checked_image(path: Path) -> tuple[tuple[int, int] | None, list[LabelProblem]]:
    """(width, height) of an image in pixels and what is wrong with it; None where Ultralytics drops it.

    Looked at as Ultralytics does before a training: an image that only its header makes one is dropped.
    """
    try:
        size, fault = _size_and_fault(path)
    except DATA_OF_IMAGE_ERRORS:
        size, fault = None, ("unreadable image" if exists(path) else "image missing", "")
    if fault is None:
        return size, []
    return size, [LabelProblem(fault[0], path, 0, fault[1], size is None)]


def _size_and_fault(path: Path) -> tuple[tuple[int, int] | None, tuple[str, str] | None]:
    with Image.open(path) as image:
        image.verify()
        width, height = image.size
        form = (image.format or "").upper()
    if min(width, height) < _LEAST_SIDE:
        return None, ("image below 10 pixels", f"{width}x{height}")
    if form not in READ_FORMATS:
        return None, ("image of a format that Ultralytics does not read", form)
    if form != "JPEG" or _has_end_marker(path):
        return image_size(path), None
    try:
        with Image.open(path) as image:
            ImageOps.exif_transpose(image)
    except DATA_OF_IMAGE_ERRORS:
        return None, ("truncated image", "")
    return image_size(path), (NO_END_MARKER, "Ultralytics writes the file anew when it first reads it")


def _has_end_marker(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-2, 2)
        return file.read() == b"\xff\xd9"


def lacking_end_marker(images: Iterable[Path]) -> list[Path]:
    """Those that Ultralytics writes anew when it first reads them: JPEG files that are cut or go on after their end."""
    return [
        image
        for image in images
        if exists(image)
        and _begins_as_jpeg(image)
        and not _has_end_marker(image)
        and any(problem.kind == NO_END_MARKER for problem in checked_image(image)[1])
    ]


def _begins_as_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\xff\xd8"


def repeated_images(images: list[Path]) -> list[Path]:
    """The images that a split has more than once, each once."""
    seen: set[Path] = set()
    again: dict[Path, None] = {}
    for image in images:
        place = image.absolute()
        if place in seen:
            again[image] = None
        seen.add(place)
    return list(again)


def refuse_repeated(dataset: YoloDataset, split: str) -> None:
    """Raise where a split that is to be measured has an image more than once: its objects would count twice.

    Raises:
        DataError: with the first such image.
    """
    again = repeated_images(dataset.image_files(split))
    if again:
        raise DataError(
            f"{dataset.yaml_file}: '{split}' lists {first_names(again, 1)} more than once, so its objects would be "
            "counted as often; list every image once"
        )


def refuse_unusable(
    dataset: YoloDataset, split: str, *, labelled: bool = True, label_files: bool = False, **reading: bool
) -> None:
    """Raise where Ultralytics would drop every image of a split; it reads no further than the first usable one.

    Args:
        dataset: with the split.
        split: its name.
        labelled: whether a split without any object is refused too.
        label_files: if not, whether a split without any label file is.
        reading: how labels are read: `pose` and `single_class` of `YoloDataset.labels`.

    Raises:
        DataError: with the first problem's file, line and value, and what to do.
    """
    images = dataset.image_files(split)
    first: LabelProblem | None = None
    usable = 0
    for image in images:
        labels = dataset.labels(image, **reading)
        problem = _dropped_for(image, labels)
        if problem is None:
            usable += 1
            if len(labels.classes) or (not labelled and (labels.found or not label_files)):
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


def _dropped_for(image: Path, labels: Labels) -> LabelProblem | None:
    problems = [*checked_image(image)[1], *labels.problems]
    return next((each for each in problems if each.drops_image), None)
