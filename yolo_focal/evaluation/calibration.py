"""Does a score of 0.7 mean that 7 in 10 such detections are right? Reliability and expected calibration error."""

from dataclasses import dataclass

import numpy as np

from yolo_focal.evaluation.boxes import Floats, Ints
from yolo_focal.evaluation.matching import ImageMatches

__all__ = ["Calibration", "calibration"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores against the share of true positives at IoU 0.5, in B bins of equal width over [0, 1].

    Attributes:
        least_score: detections below it are left out.
        detections: how many took part.
        error: expected calibration error, the mean of |precision - mean score| over the bins, weighted by their
            detections; NaN without detections.
        bias: mean score - precision of all detections that took part; positive is overconfident.
        counts: (B,) detections of each bin.
        mean_score: (B,) NaN in an empty bin.
        precision: (B,) share of true positives; NaN in an empty bin.
    """

    least_score: float
    detections: int
    error: float
    bias: float
    counts: Ints
    mean_score: Floats
    precision: Floats


def calibration(matches: ImageMatches, *, bins: int = 15, least_score: float = 0.0) -> Calibration:
    """Compare scores with the share of true positives at IoU 0.5; ignored detections take no part.

    A detector keeps hundreds of detections of almost no score in every image, which are rightly wrong and make any
    error look small: `least_score` leaves them out.

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", 2017, with "is a true positive" for "is correct".
    """
    taking_part = ~matches.ignored[0] & (matches.scores >= least_score)
    scores, true = matches.scores[taking_part], matches.true_positive[0][taking_part]
    index = np.minimum((scores * bins).astype(np.int64), bins - 1)
    counts = np.bincount(index, minlength=bins).astype(np.int64)
    sums = (np.bincount(index, values, minlength=bins) for values in (scores, true.astype(np.float64)))
    mean_score, precision = (np.divide(total, counts, out=np.full(bins, np.nan), where=counts > 0) for total in sums)
    some = len(scores) > 0
    return Calibration(
        least_score=least_score,
        detections=len(scores),
        error=float(np.nansum(np.abs(precision - mean_score) * counts) / len(scores)) if some else float("nan"),
        bias=float(scores.mean() - true.mean()) if some else float("nan"),
        counts=counts,
        mean_score=mean_score,
        precision=precision,
    )
