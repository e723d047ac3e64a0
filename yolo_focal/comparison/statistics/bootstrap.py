"""How sure a difference between two configurations is: a paired bootstrap over images and seeds.

A measured difference varies for three reasons: other images would have been evaluated, other trainings would have had
other luck, and each training has its own luck on each image. With I images and S seeds its variance is

    V = v_images / I + v_seeds / S + v_both / (I S).

The bootstrap over images resamples I images with replacement, the same for every configuration and seed, and measures
everything again. The spread of the mean over seeds estimates v_images / I + v_both / (I S), that of the single seeds'
deviations from it v_both / (I S). Resampling the paired seeds has a closed form, the variance of their differences,
which estimates v_seeds / S + v_both / (I S) without the factor (S - 1) / S that resampled seeds lose: at three seeds
that would be a third of the variance. The interval is Student's, because a variance from few seeds is itself uncertain;
its degrees of freedom are Satterthwaite's. p-values use a stricter rule, `VarianceComponents.least_shown`.

Sources: B. Efron, "Bootstrap methods", 1979; A. Owen, "The pigeonhole bootstrap", 2007, on two crossed factors;
F. Satterthwaite, "An approximate distribution of estimates of variance components", 1946.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from yolo_focal.comparison.metrics import Metrics
from yolo_focal.comparison.statistics.student_t import student_critical, student_quantile
from yolo_focal.evaluation.boxes import Floats, Ints
from yolo_focal.evaluation.coco_eval import PrecisionSchedule
from yolo_focal.evaluation.matching import ImageMatches

__all__ = ["Difference", "Measured", "VarianceComponents", "common_seeds", "measure_resamples", "paired_differences"]

CONFIDENCE = 0.95
_LEAST_P = 1e-12  # smaller ones are not told apart
_LEAST_VARIANCE = 1e-18  # of AP; below it is rounding


@dataclass(frozen=True, eq=False)
class Measured:
    """Every metric of every training, as measured and on every resample of images.

    Attributes:
        seeds: (S,) the seed of each training.
        value: (S, R) by seed and metric.
        resampled: (B, S, R) on each of B resamples of images, the same for every configuration; NaN where undefined.
    """

    seeds: tuple[int, ...]
    value: Floats
    resampled: Floats

    def of_seeds(self, seeds: Sequence[int]) -> "Measured":
        """What was measured with some of the seeds, in their order."""
        places = [self.seeds.index(seed) for seed in seeds]
        return Measured(tuple(seeds), self.value[places], self.resampled[:, places])


@dataclass(frozen=True)
class VarianceComponents:
    """Where the uncertainty of a difference comes from, as variances of the mean over the seeds and images at hand.

    Attributes:
        images: number of images that can show the metric.
        seeds: number of paired trainings.
        from_images: v_images / I.
        from_seeds: v_seeds / S; NaN with one seed, where it cannot be known.
        from_both: v_both / (I S).
        between_seeds: v_seeds / S + v_both / (I S) as the paired differences show it, by chance also below from_both.
    """

    images: int
    seeds: int
    from_images: float
    from_seeds: float
    from_both: float
    between_seeds: float

    @property
    def same_luck(self) -> bool:
        """Whether all paired seeds differ by the same, which says nothing of how much luck trainings have."""
        return self.between_seeds < _LEAST_VARIANCE

    def standard_error(self, seeds: float, images: float) -> float:
        """What the standard error would be with other numbers of seeds and images."""
        more_images, more_seeds = images / self.images, seeds / self.seeds
        known = 0.0 if math.isnan(self.from_seeds) else self.from_seeds
        return math.sqrt(
            self.from_images / more_images + known / more_seeds + self.from_both / (more_images * more_seeds)
        )

    def degrees(self, seeds: float, images: float) -> float:
        """Satterthwaite's degrees of freedom of that standard error."""
        variance = self.standard_error(seeds, images) ** 2
        by_image = (self.from_images + self.from_both * self.seeds / seeds) * self.images / images
        uncertain = by_image**2 / max(images - 1, 1)
        if self.from_seeds > 0:  # else seeds vary no more than images explain, and images are many
            by_seed = (self.from_seeds + self.from_both * self.images / images) * self.seeds / seeds
            uncertain += by_seed**2 / (seeds - 1)
        return variance**2 / uncertain if uncertain > 0 else math.inf

    def least_shown(self, level: float, seeds: float, images: float) -> float:
        """The least difference that is more than chance at `level`, with other numbers of seeds and images.

        Both parts have Student's critical value: that of the images with one degree less than there are images which
        show the metric, that of the seeds with one degree less than there are seeds. No seeds make up for what the
        images alone leave open. Unlike Satterthwaite's approximation this keeps small levels too: few seeds that happen
        to agree do not pass for certainty.
        """
        of_images = student_critical(level, max(images - 1, 1))
        of_seeds = student_critical(level, seeds - 1)
        by_image, by_both = self.from_images * self.images / images, self.from_both * self.images / images
        if (seeds, images) == (self.seeds, self.images):
            by_seed = self.between_seeds
        else:
            by_seed = (self.from_seeds + by_both) * self.seeds / seeds
        by_both *= self.seeds / seeds
        return max(
            math.hypot(of_images * math.sqrt(by_image), of_seeds * math.sqrt(by_seed)),
            of_images * math.sqrt(by_image + by_both),
        )

    def p_value(self, difference: float) -> float:
        """The level at which `difference` is just more than chance."""
        low, high = math.log(_LEAST_P), 0.0
        if abs(difference) >= self.least_shown(_LEAST_P, self.seeds, self.images):
            return _LEAST_P if difference else 1.0
        while high - low > 1e-6:
            middle = (low + high) / 2
            shown = abs(difference) >= self.least_shown(math.exp(middle), self.seeds, self.images)
            low, high = (low, middle) if shown else (middle, high)
        return math.exp(high)


@dataclass(frozen=True)
class Difference:
    """One metric of one configuration beside the baseline's.

    Attributes:
        metric: name, as in `Metrics.names`.
        value: mean over seeds.
        baseline: mean over seeds of the baseline.
        difference: value - baseline.
        low: lower end of the 95 % interval of the difference; NaN where it cannot be computed.
        high: its upper end.
        p_value: two-sided, for a true difference of zero; NaN where it cannot be computed.
        components: where the uncertainty comes from.
    """

    metric: str
    value: float
    baseline: float
    difference: float
    low: float
    high: float
    p_value: float
    components: VarianceComponents


def measure_resamples(matches: Mapping[int, ImageMatches], metrics: Metrics, resamples: int, seed: int = 0) -> Measured:
    """Measure the trainings of one configuration as they are and on `resamples` resamples of the images.

    Args:
        matches: by seed of the training, all on the same images.
        metrics: what to measure.
        resamples: B, number of resamples.
        seed: of the resamples; equal seeds give equal resamples whatever the configuration.
    """
    schedules = [PrecisionSchedule(each) for each in matches.values()]
    value = np.array([metrics.measure(each.average_precision()) for each in schedules])
    resampled = np.empty((resamples, *value.shape))
    images = next(iter(matches.values())).images
    for number, weights in enumerate(_image_resamples(images, resamples, seed)):
        for place, schedule in enumerate(schedules):
            resampled[number, place] = metrics.measure(schedule.average_precision(weights))
    return Measured(tuple(matches), value, resampled)


def _image_resamples(images: int, resamples: int, seed: int) -> Iterator[Ints]:
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(random.integers(0, images, images), minlength=images)


def common_seeds(measured: Measured, baseline: Measured) -> list[int]:
    """The seeds that both have, with which differences are measured."""
    return [seed for seed in measured.seeds if seed in baseline.seeds]


def paired_differences(measured: Measured, baseline: Measured, metrics: Metrics) -> list[Difference]:
    """Every metric of a configuration beside the baseline's, over the seeds that both have.

    Args:
        measured: the configuration.
        baseline: measured on the same resamples.
        metrics: what was measured.
    """
    common = common_seeds(measured, baseline)
    ours, theirs = measured.of_seeds(common), baseline.of_seeds(common)
    return [
        _difference(
            name,
            int(metrics.images[row]),
            ours.value[:, row],
            theirs.value[:, row],
            ours.resampled[:, :, row] - theirs.resampled[:, :, row],
        )
        for row, name in enumerate(metrics.names)
        if common
    ]


def _difference(metric: str, images: int, values: Floats, baseline: Floats, resampled: Floats) -> Difference:
    difference = float((values - baseline).mean())
    components = _variance_components(images, values - baseline, resampled)
    half, p_value = math.nan, math.nan
    if components is not None and not (components.same_luck and difference):
        error = components.standard_error(components.seeds, images)
        degrees = components.degrees(components.seeds, images)
        half = error * student_quantile((1 + CONFIDENCE) / 2, degrees)
        p_value = components.p_value(difference) if components.seeds > 1 else math.nan
    return Difference(
        metric=metric,
        value=float(values.mean()),
        baseline=float(baseline.mean()),
        difference=difference,
        low=difference - half,
        high=difference + half,
        p_value=p_value,
        components=components or VarianceComponents(images, len(values), math.nan, math.nan, math.nan, math.nan),
    )


def _variance_components(images: int, differences: Floats, resampled: Floats) -> VarianceComponents | None:
    """The variance components of (S,) differences from their (B, S) resamples; None with fewer than two images."""
    resampled = resampled[~np.isnan(resampled).any(1)]  # a resample without any object of the class measures nothing
    if images < 2 or len(resampled) < 2:
        return None
    seeds = len(differences)
    without_bias = images / (images - 1)  # resampling n images shows (n - 1) / n of the variance
    mean = resampled.mean(1)
    by_image = float(mean.var(ddof=1)) * without_bias
    if seeds == 1:
        return VarianceComponents(images, seeds, by_image, math.nan, 0.0, math.nan)
    both = float((resampled - mean[:, None]).var(0, ddof=1).sum()) / ((seeds - 1) * seeds) * without_bias
    by_seed = float(differences.var(ddof=1)) / seeds
    both = min(both, by_image)  # components are not negative
    return VarianceComponents(images, seeds, by_image - both, max(by_seed - both, 0.0), both, by_seed)
