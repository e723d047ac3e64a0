"""What a comparison measures of each training: AP, AP50, AP of the frequency buckets and of every class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo_focal.evaluation.boxes import Floats, Ints
from yolo_focal.evaluation.buckets import BUCKETS
from yolo_focal.evaluation.matching import ImageMatches

__all__ = ["Metrics", "PRIMARY", "class_metric"]

PRIMARY = "AP"


def class_metric(name: str) -> str:
    """What AP of the class `name` is called: apart from that of a frequency bucket of this name."""
    return f"AP class {name}" if name in BUCKETS else f"AP {name}"


@dataclass(frozen=True, eq=False)
class Metrics:
    """R metrics, each a mean of AP over classes and IoU thresholds.

    Attributes:
        names: (R,) `AP`, `AP50`, `AP rare`, `AP common`, `AP frequent`, then `AP` with the name of each class.
        members: (R, K) which classes belong to each.
        thresholds: (R,) number of IoU thresholds averaged, counted from 0.5.
        images: (R,) number of images with an object of its classes.
        classes: index of the first metric that is a single class.
    """

    names: tuple[str, ...]
    members: Floats
    thresholds: Ints
    images: Ints
    classes: int

    @classmethod
    def of(
        cls, matches: ImageMatches, class_names: Sequence[str], buckets: Sequence[str | None] | None = None
    ) -> "Metrics":
        """Those of a split: classes without an object in it are left out, and buckets without such a class.

        Args:
            matches: of any training on the split; only its objects are used.
            class_names: (K,).
            buckets: (K,) `rare`, `common` or `frequent`; None where the frequencies are not known.
        """
        present = matches.objects_per_class > 0
        rows = [("AP", present, 10), ("AP50", present, 1)]
        for bucket in reversed(BUCKETS):
            inside = present & (np.array(buckets or [None] * matches.classes) == bucket)
            if inside.any():
                rows.append((f"AP {bucket}", inside, 10))
        first_class = len(rows)
        rows += [
            (class_metric(class_names[index]), np.arange(matches.classes) == index, 10)
            for index in np.flatnonzero(present).tolist()
        ]
        members = np.array([inside for _, inside, _ in rows])
        return cls(
            names=tuple(name for name, _, _ in rows),
            members=members.astype(np.float64),
            thresholds=np.array([count for _, _, count in rows]),
            images=np.array(
                [len(np.unique(matches.object_image[inside[matches.object_category]])) for inside in members]
            ),
            classes=first_class,
        )

    def measure(self, average_precision: Floats) -> Floats:
        """(R,) the metrics from (T, K) AP; a class whose AP is NaN is left out of means, and alone it is NaN."""
        defined = ~np.isnan(average_precision[0])
        filled = np.where(defined, average_precision, 0.0)
        by_class = np.array([filled[0], filled.mean(0)])  # at IoU 0.5, over all thresholds
        total = (self.members * by_class[(self.thresholds > 1).astype(np.intp)]).sum(1)
        count = self.members @ defined
        return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))
