"""Which detections find an object: COCO's greedy matching, once for every image, IoU threshold and object size.

The rules are those of COCO's reference evaluation. In each image and class the 100 best-scored detections choose in
falling order of score: the free object of highest IoU, at or above the threshold; among equal IoUs the later object;
an object that counts before one that is ignored. Crowd regions are ignored and can be chosen any number of times, their
IoU is the share of the detection inside them. A detection that chose an ignored object, or found none and lies outside
the size range itself, is ignored too.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from yolo_focal.evaluation.boxes import Bools, Detections, Floats, GroundTruth, Ints

__all__ = ["AREA_RANGES", "IOU_THRESHOLDS", "ImageMatches", "MAX_DETECTIONS", "match_detections"]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
AREA_RANGES = {"all": (0.0, 1e5**2), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e5**2)}
MAX_DETECTIONS = 100  # per image and class
PAIRS_AT_ONCE = 1 << 17  # bounds the memory of the IoU and matching steps to some 100 MB


@dataclass(frozen=True, eq=False)
class ImageMatches:
    """Every detection with what became of it, for one range of object sizes.

    Rows are sorted by class, then falling score; ties by image, then by their order in the image.

    Attributes:
        images: number of images I.
        classes: number of classes K.
        image: (D,) image index of each detection.
        category: (D,) class index.
        rank: (D,) position among the detections of its image and class, 0 = best score.
        scores: (D,) confidence.
        matched: (T, D) whether it found an object at each of the T IoU thresholds.
        ignored: (T, D) whether it counts neither as true nor as false positive.
        object_image: (G,) image index of each object that counts (in the size range, no crowd).
        object_category: (G,) its class index.
    """

    images: int
    classes: int
    image: Ints
    category: Ints
    rank: Ints
    scores: Floats
    matched: Bools
    ignored: Bools
    object_image: Ints
    object_category: Ints

    @property
    def true_positive(self) -> Bools:
        """(T, D) detections that found an object that counts."""
        return np.asarray(self.matched & ~self.ignored)

    @cached_property
    def objects_per_class(self) -> Ints:
        """(K,) number of objects that count."""
        return np.bincount(self.object_category, minlength=self.classes).astype(np.int64)

    @cached_property
    def class_start(self) -> Ints:
        """(K + 1,) row at which each class starts, and the number of rows."""
        return np.searchsorted(self.category, np.arange(self.classes + 1)).astype(np.int64)

    def on_the_same_objects(self, other: "ImageMatches") -> bool:
        """Whether both have as many images, and in each of them as many objects of each class that count."""
        mine, theirs = (np.sort(each.object_image * each.classes + each.object_category) for each in (self, other))
        return (self.images, self.classes) == (other.images, other.classes) and np.array_equal(mine, theirs)


def match_detections(ground_truth: GroundTruth, detections: Detections) -> dict[str, ImageMatches]:
    """Match once and return the outcome for each of AREA_RANGES."""
    images, classes = len(ground_truth.image_ids), len(ground_truth.categories)
    kept, rank = _best_per_image_and_class(detections, images)
    boxes, scores = detections.boxes_xywh[kept], detections.scores[kept]
    image, category = detections.image[kept], detections.category[kept]
    bounds = np.array(list(AREA_RANGES.values()))
    object_ignored = _outside(ground_truth.areas, bounds) | ground_truth.crowd[:, None]

    by_group = np.argsort(ground_truth.category * images + ground_truth.image, kind="stable")
    matched, ignored = _choose(
        category * images + image,
        boxes,
        (ground_truth.category * images + ground_truth.image)[by_group],
        ground_truth.boxes_xywh[by_group],
        ground_truth.crowd[by_group],
        object_ignored[by_group],
    )
    ignored |= ~matched & _outside(boxes[:, 2] * boxes[:, 3], bounds)[:, :, None]

    by_score = np.lexsort((-scores, category))
    outcome = {}
    for index, area in enumerate(AREA_RANGES):
        counts = ~object_ignored[:, index]
        outcome[area] = ImageMatches(
            images=images,
            classes=classes,
            image=image[by_score],
            category=category[by_score],
            rank=rank[by_score],
            scores=scores[by_score],
            matched=np.ascontiguousarray(matched[by_score, index].T),
            ignored=np.ascontiguousarray(ignored[by_score, index].T),
            object_image=ground_truth.image[counts],
            object_category=ground_truth.category[counts],
        )
    return outcome


def _best_per_image_and_class(detections: Detections, images: int) -> tuple[Ints, Ints]:
    """Rows of the 100 best detections of each image and class, sorted by class, image, falling score; their ranks."""
    group = detections.category * images + detections.image
    order = np.lexsort((-detections.scores, group))
    group = group[order]
    rank = np.arange(len(group)) - np.searchsorted(group, group)
    kept = rank < MAX_DETECTIONS
    return order[kept], rank[kept]


def _outside(areas: Floats, bounds: Floats) -> Bools:
    """(N, A) whether each area lies outside each of the A ranges, whose ends belong to them."""
    return np.asarray((areas[:, None] < bounds[:, 0]) | (areas[:, None] > bounds[:, 1]))


def _choose(
    group: Ints, boxes: Floats, object_group: Ints, object_boxes: Floats, object_crowd: Bools, object_ignored: Bools
) -> tuple[Bools, Bools]:
    """Let the detections of every group choose objects, each group in the order of its rows.

    Groups are independent of each other, so the first detections of all groups choose together, then the second ones,
    and so on: there are at most as many rounds as detections in a group.

    Args:
        group: (D,) image and class of each detection, ascending.
        boxes: (D, 4).
        object_group: (G,) image and class of each object, ascending.
        object_boxes: (G, 4).
        object_crowd: (G,).
        object_ignored: (G, A) for each of A size ranges.

    Returns:
        (D, A, T) whether a detection found an object, and whether that object is an ignored one.
    """
    thresholds = IOU_THRESHOLDS
    shape = (len(group), object_ignored.shape[1], len(thresholds))
    matched, ignored = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    taken = np.zeros((len(object_group), *shape[1:]), dtype=bool)

    detection, candidate, iou = _overlapping_pairs(group, boxes, object_group, object_boxes, object_crowd)
    for pairs in _rounds(group, detection):
        row, obj = detection[pairs], candidate[pairs]
        first = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
        preference = np.arange(1, len(row) + 1) - np.repeat(first, np.diff(np.r_[first, len(row)]))
        counting = len(row) + 1  # above every preference: an object that counts is chosen before an ignored one
        value = preference[:, None] + np.where(object_ignored[obj], 0, counting)
        free = (iou[pairs, None] >= thresholds)[:, None, :] & ~taken[obj]
        best = np.maximum.reduceat(np.where(free, value[:, :, None], 0), first, axis=0)

        found = best > 0
        matched[row[first]] = found
        ignored[row[first]] = found & (best < counting)
        which, area, threshold = np.nonzero(found)
        chosen = obj[first[which] + best[found] % counting - 1]
        single = ~object_crowd[chosen]
        taken[chosen[single], area[single], threshold[single]] = True
    return matched, ignored


def _overlapping_pairs(
    group: Ints, boxes: Floats, object_group: Ints, object_boxes: Floats, object_crowd: Bools
) -> tuple[Ints, Ints, Floats]:
    """Pairs of a detection and an object of one group with IoU at or above the lowest threshold.

    Returns:
        (P,) detection rows ascending, object rows and IoUs; those of one detection by rising IoU, then object row,
        so that a later pair is preferred to an earlier one.
    """
    start = np.searchsorted(object_group, group, side="left")
    count = np.searchsorted(object_group, group, side="right") - start
    total = np.r_[0, np.cumsum(count)]
    parts = []
    for lo, hi in _chunks(total):
        detection = np.repeat(np.arange(lo, hi), count[lo:hi])
        candidate = np.arange(total[lo], total[hi]) - total[detection] + start[detection]
        iou = _intersection_over_union(boxes[detection], object_boxes[candidate], object_crowd[candidate])
        near = iou >= IOU_THRESHOLDS[0]
        parts.append((detection[near], candidate[near], iou[near]))
    detection, candidate, iou = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((candidate, iou, detection))
    return detection[order], candidate[order], iou[order]


def _chunks(total: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of detections with about PAIRS_AT_ONCE pairs each, from the running total of pairs."""
    cuts = np.searchsorted(total, np.arange(PAIRS_AT_ONCE, total[-1], PAIRS_AT_ONCE))
    edges = np.unique(np.r_[0, cuts, len(total) - 1])
    yield from itertools.pairwise(edges.tolist())
    if len(edges) == 1:
        yield 0, 0


def _rounds(group: Ints, detection: Ints) -> Iterator[Ints]:
    """Pair indices round by round: no two detections of a round belong to one group, and each group keeps its order."""
    first = np.flatnonzero(np.r_[True, detection[1:] != detection[:-1]]) if len(detection) else np.zeros(0, np.int64)
    choosing = group[detection[first]]
    turn = np.arange(len(first)) - np.searchsorted(choosing, choosing)
    turn_of_pair = np.repeat(turn, np.diff(np.r_[first, len(detection)]))
    order = np.argsort(turn_of_pair, kind="stable")
    ordered = turn_of_pair[order]
    edges = np.searchsorted(ordered, np.arange(int(turn.max(initial=-1)) + 2))
    for lo, hi in itertools.pairwise(edges.tolist()):
        pairs = order[lo:hi]
        rows = detection[pairs]
        start = 0
        while start < len(pairs):  # a round of very many images is taken in parts; whole detections each
            stop = int(np.searchsorted(rows, rows[min(start + PAIRS_AT_ONCE, len(rows)) - 1], side="right"))
            yield pairs[start:stop]
            start = stop


def _intersection_over_union(boxes: Floats, objects: Floats, crowd: Bools) -> Floats:
    """(P,) IoU of paired boxes, operation for operation that of COCO's reference so that not a bit differs."""
    far, object_far = boxes[:, :2] + boxes[:, 2:], objects[:, :2] + objects[:, 2:]
    extent = np.minimum(far, object_far) - np.maximum(boxes[:, :2], objects[:, :2])
    intersection = np.where((extent > 0).all(1), extent[:, 0] * extent[:, 1], 0.0)
    area = boxes[:, 2] * boxes[:, 3]
    union = np.where(crowd, area, area + objects[:, 2] * objects[:, 3] - intersection)
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=intersection > 0)
