"""Classes grouped by how often they occur in training: rare, common, frequent."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from yolo_focal.errors import ConfigError

__all__ = ["BUCKETS", "BucketRule", "frequency_buckets"]

BUCKETS = ("rare", "common", "frequent")
BucketRule = Literal["thirds", "lvis"]
LVIS_RARE, LVIS_COMMON = 10, 100


def frequency_buckets(
    rule: BucketRule, instances: npt.ArrayLike, images: npt.ArrayLike | None = None
) -> tuple[str, ...]:
    """The bucket of every class.

    `thirds`: by its place among the classes in order of training instances. A class with n instances stands at
    (number of classes below n + half of those at n) / number of classes; up to 1/3 is rare, up to 2/3 common, else
    frequent. Equally frequent classes so share a bucket.

    `lvis`: by the number of training images it occurs in, at most 10 rare, at most 100 common, else frequent
    (A. Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation", 2019).

    Args:
        rule: `thirds` or `lvis`.
        instances: (K,) training boxes of each class.
        images: (K,) training images with the class; needed by `lvis`.

    Raises:
        ConfigError: `lvis` without image counts.
    """
    if rule == "lvis":
        if images is None:
            raise ConfigError("buckets=lvis needs the number of training images of each class, which is not known here")
        return _named(np.digitize(np.asarray(images), [LVIS_RARE + 0.5, LVIS_COMMON + 0.5]))
    counts = np.asarray(instances)
    ordered = np.sort(counts)
    place = np.searchsorted(ordered, counts, side="left") + np.searchsorted(ordered, counts, side="right")
    return _named(np.digitize(3 * place, [2 * len(counts), 4 * len(counts)], right=True))


def _named(levels: Sequence[int] | npt.NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(BUCKETS[int(level)] for level in levels)
