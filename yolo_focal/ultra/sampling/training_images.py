"""Sampling and pasting inside a training dataset: every image of a step, and every tile of a mosaic, comes through."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch.utils.data import get_worker_info

from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.seam import seam, takes
from yolo_focal.ultra.sampling.crops import CropBank
from yolo_focal.ultra.sampling.draws import Draw, EpochDraws, Stream
from yolo_focal.ultra.sampling.exposure import CROPS
from yolo_focal.ultra.sampling.paste import SCALES, Pasted, free_place, paste_crop, transformed

__all__ = ["Pasting", "RareImages", "SEAMS", "attach_to_dataset", "start_worker"]

_ATTRIBUTE = "rare_images"
_POOL = 256  # crops an epoch chooses from, or a hundredth of the images if that is more: bounds the images loaded


@dataclass
class Pasting:
    """What is pasted into a training image.

    Attributes:
        share: of the images that get crops, in (0, 1].
        chances: (classes,) chance of each class; the rest to 1 is no crop.
        bank: the crops.
        flip: chance that a crop is flipped left to right.
    """

    share: float
    chances: np.ndarray
    bank: CropBank
    flip: float
    _pools: dict[int, list[np.ndarray]] = field(default_factory=dict)

    def pool(self, epoch: int, draws: EpochDraws) -> list[np.ndarray]:
        """For every class the crops that this epoch chooses from, by number."""
        if epoch not in self._pools:
            most = max(_POOL, len(draws) // 100)
            generator = draws.generator(2, epoch)
            category = self.bank.crops.category
            pools = [np.flatnonzero(category == c) for c in range(len(self.chances))]
            if len(category) > most:
                shares = np.ceil(most * self.chances / self.chances.sum()).astype(int)
                pools = [generator.permutation(pool)[:count] for pool, count in zip(pools, shares, strict=True)]
            self._pools = {epoch: pools}
        return self._pools[epoch]


@dataclass
class RareImages:
    """What a training dataset holds while rare classes are shown more often.

    Attributes:
        draws: the images of every epoch.
        stream: how this rank cuts them into batches.
        resamples: whether tiles are redirected, too; otherwise they are those that Ultralytics chose.
        pasting: what is pasted; None for nothing.
    """

    draws: EpochDraws
    stream: Stream
    resamples: bool
    pasting: Pasting | None
    _draw: Draw | None = None
    _number: int = 0

    def redirect(self, index: int, all_in_memory: bool) -> int:
        """The image to load for `index`: that of a new item as it is, that of a tile from the epoch's images."""
        if isinstance(index, Draw):
            self._draw, self._number = index, 0
            return int(index)
        self._number += 1
        if self._draw is None or not self.resamples:
            return index
        worker = get_worker_info()
        workers = worker.num_workers if worker is not None else 1
        return self.draws.tile(self._draw, self._number, self.stream, workers, all_in_memory)

    def paste_into(self, dataset: Any, index: int, label: dict[str, Any]) -> None:
        """Paste crops into the image and labels of the present item or tile, if its turn it is.

        Args:
            dataset: the one that holds this object.
            index: of the image.
            label: what `get_image_and_label` returned for it; `img`, `cls` and `instances` are replaced.
        """
        pasting, draw = self.pasting, self._draw
        if pasting is None or draw is None or not draw.pastes:
            return
        generator = self.draws.generator(3, draw.epoch, draw.position, self._number)
        if generator.random() >= pasting.share:
            return
        image = label["img"].copy()  # the original may be the dataset's cache
        pasted, classes = self._paste(dataset, index, image, _pixel_boxes(label), generator)
        if pasted:
            label["img"] = image
            _add_labels(label, pasted, classes)

    def _paste(
        self, dataset: Any, index: int, image: np.ndarray, boxes: np.ndarray, generator: np.random.Generator
    ) -> tuple[list[Pasted], list[int]]:
        assert self.pasting is not None and self._draw is not None
        pool = self.pasting.pool(self._draw.epoch, self.draws)
        height, width = image.shape[:2]
        pasted: list[Pasted] = []
        classes: list[int] = []
        edges = np.cumsum(self.pasting.chances)
        for _ in range(generator.integers(CROPS[0], CROPS[1] + 1)):
            category = int(np.searchsorted(edges, generator.random(), side="right"))
            if category == len(edges) or not len(pool[category]):
                continue
            number = int(generator.choice(pool[category]))
            if self.pasting.bank.crops.image[number] == index:  # another image's objects only
                continue
            crop = transformed(
                self.pasting.bank.get(dataset, number),
                generator.uniform(*SCALES),
                bool(generator.random() < self.pasting.flip),
            )
            if crop is None:
                continue
            size = crop.pixels.shape[1], crop.pixels.shape[0]
            place = free_place(size, (width, height), boxes, [each.area for each in pasted], generator)
            if place is None:
                continue
            pasted.append(paste_crop(image, crop, place))
            classes.append(category)
            boxes = np.concatenate([boxes, pasted[-1].box[None]])
        return pasted, classes


def _pixel_boxes(label: dict[str, Any]) -> np.ndarray:
    """(n, 4) x1, y1, x2, y2 in pixels of the labels, which are x, y, w, h in [0, 1]."""
    height, width = label["img"].shape[:2]
    boxes = label["instances"].bboxes * (width, height, width, height)
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def _add_labels(label: dict[str, Any], pasted: list[Pasted], classes: list[int]) -> None:
    """Add what was pasted to the class numbers and boxes (and outlines) of an image."""
    instances = label["instances"]
    height, width = label["img"].shape[:2]
    corners = np.stack([each.box for each in pasted]) / (width, height, width, height)
    boxes = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
    polygons = [each.polygon / (width, height) for each in pasted if each.polygon is not None]
    points = max(instances.segments.shape[1], *(len(polygon) + 1 for polygon in polygons)) if polygons else 0
    segments = (
        np.stack(host.resample_segments(polygons, n=points))
        if polygons
        else np.zeros((0, instances.segments.shape[1], 2), np.float32)
    )
    kind = type(instances)
    added = kind(boxes.astype(np.float32), segments.astype(np.float32), None, bbox_format="xywh", normalized=True)
    label["instances"] = kind.concatenate([instances, added])
    numbers = np.array(classes, label["cls"].dtype)[:, None]
    label["cls"] = np.concatenate([label["cls"].reshape(-1, 1), numbers])


def attach_to_dataset(dataset: Any, rare: RareImages) -> None:
    """Let every image of `dataset`, an Ultralytics detection dataset, come through `rare`."""
    setattr(dataset, _ATTRIBUTE, rare)


@seam(
    "BaseDataset.get_image_and_label",
    "takes the index of an image and returns its pixels and labels; items and the tiles of mosaic, mixup, "
    "cutmix and copy_paste come from it",
    lambda function: (
        takes("self", "index")(function)
        and "get_image_and_label" in host.BaseDataset.__getitem__.__code__.co_names
        and "get_image_and_label" in _names(host.BaseMixTransform)
    ),
)
def _get_image_and_label(original: Callable[..., Any], self: Any, index: int) -> Any:
    rare: RareImages | None = getattr(self, _ATTRIBUTE, None)
    if rare is None:
        return original(self, index)
    image = rare.redirect(index, self.cache == "ram")
    label = original(self, image)
    rare.paste_into(self, image, label)
    return label


SEAMS = (_get_image_and_label,)


def start_worker(original: Callable[[int], None] | None, number: int) -> None:
    """Begin a worker process of a data loader as `original` does; one that is not forked lacks the seam until then."""
    for each in SEAMS:
        each.install()
    if original is not None:
        original(number)


def _names(kind: type) -> set[str]:
    """Everything that the methods of a class look up, those of their inner functions included."""
    codes = [method.__code__ for method in vars(kind).values() if inspect.isfunction(method)]
    names: set[str] = set()
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [constant for constant in code.co_consts if inspect.iscode(constant)]
    return names
