"""How often each class is shown, with and without sampling and pasting: one pure function of the training labels.

Sampling is repeat factor sampling (Gupta et al. 2019, arXiv:1908.03195): a class with image frequency f below the
threshold t has the factor (t / f)^q, an image the largest factor of its classes. There the epoch grows; here it keeps
its number of images, which are drawn in proportion to their factors. Pasting takes classes in proportion to n^-q.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo_focal.arguments.rare import AUTO, RareConfig
from yolo_focal.errors import ConfigError
from yolo_focal.text_table import aligned

__all__ = ["CROPS", "Exposure", "LARGEST_EXPOSURE", "LEAST_GAIN", "below_median", "expected_exposure", "exposure_lines"]

LARGEST_EXPOSURE = 6.0  # times the labels' own: beyond it the same few objects are learnt by heart
LEAST_GAIN = 1.2  # what sampling has to give to some rare class; below it, auto switches itself off
CROPS = (1, 3)  # least and most crops pasted into one image, each number as likely


@dataclass(frozen=True)
class Exposure:
    """What one epoch shows of each class. All arrays have one entry per class, except `factors`.

    Attributes:
        boxes: in the training labels; without sampling and pasting an epoch shows each once.
        images: that have the class.
        sampled: expected boxes shown in an epoch from images as they are.
        pasted: expected boxes pasted in an epoch where every one finds a place.
        factors: (images,) in proportion to which images are drawn.
        threshold: image frequency below which sampling takes a class for rare; 0 where it is off.
        sampling_acts: whether a rare class gains at least `LEAST_GAIN` by sampling.
        paste_chances: chance that a crop to be pasted is of the class; they sum to 1 at most, the rest is no crop.
    """

    boxes: np.ndarray
    images: np.ndarray
    sampled: np.ndarray
    pasted: np.ndarray
    factors: np.ndarray
    threshold: float
    sampling_acts: bool
    paste_chances: np.ndarray

    @property
    def after(self) -> np.ndarray:
        """Expected boxes shown in an epoch with sampling and pasting."""
        shown: np.ndarray = self.sampled + self.pasted
        return shown

    @property
    def gain(self) -> np.ndarray:
        """`after` over `boxes`; 1 for a class without boxes."""
        gain: np.ndarray = np.divide(self.after, self.boxes, out=np.ones(len(self.boxes)), where=self.boxes > 0)
        return gain

    @property
    def rare(self) -> np.ndarray:
        """(classes,) whether a class is one that sampling takes for rare, or whose objects are pasted."""
        rare: np.ndarray = (self.boxes > 0) & (self.images < self.threshold * len(self.factors))
        return rare | (self.paste_chances > 0)

    def of_rare(self, sampling: bool, pasting: bool) -> float:
        """Expected boxes of all rare classes shown in an epoch over their boxes in the labels; 1 without rare classes.

        Args:
            sampling: whether the epoch is sampled.
            pasting: whether it is pasted into.
        """
        shown = (self.sampled if sampling else self.boxes) + (self.pasted if pasting else 0)
        labelled = self.boxes[self.rare].sum()
        return float(shown[self.rare].sum() / labelled) if labelled else 1.0

    @property
    def resamples(self) -> bool:
        """Whether some images are drawn more often than others."""
        return bool((self.factors != 1).any())


def expected_exposure(
    image_of_box: np.ndarray,
    class_of_box: np.ndarray,
    images: int,
    classes: int,
    config: RareConfig,
    can_be_pasted: np.ndarray | None = None,
) -> Exposure:
    """What an epoch of `images` images shows of each class.

    Args:
        image_of_box: (n,) image of every box, in [0, images).
        class_of_box: (n,) class of every box, in [0, classes).
        images: number of training images, those without boxes included.
        classes: number of classes.
        config: the settings.
        can_be_pasted: (classes,) whether there is a crop of the class that can be pasted; None where all can.

    Raises:
        ConfigError: fewer than two classes have boxes, so that none is rarer than another; or pasting is asked for and
            no class is below the median.
    """
    boxes = np.bincount(class_of_box, minlength=classes)
    pairs = np.unique(np.stack([image_of_box, class_of_box]), axis=1)  # one for each image and class in it
    images_with = np.bincount(pairs[1], minlength=classes)
    if (boxes > 0).sum() < 2:
        number = "one class has" if boxes.any() else "no class has"
        raise ConfigError(
            f"{config} cannot act: {number} training boxes, and nothing is rarer than anything; leave it out"
        )
    frequency = images_with / images
    threshold = float(np.median(frequency[boxes > 0])) if config.sampling == AUTO else float(config.sampling)
    rare = (boxes > 0) & (frequency < threshold)
    factors = _image_factors(pairs, frequency, rare, threshold, config.power, images)
    sampled = _shown(image_of_box, class_of_box, factors, classes)
    acts = bool((sampled[rare] >= LEAST_GAIN * boxes[rare]).any())
    if config.sampling == AUTO and not acts:
        factors, sampled = np.ones(images), boxes.astype(float)
    chances = _paste_chances(boxes, sampled, images, config, can_be_pasted)
    pasted = chances * config.paste * sum(CROPS) / 2 * images
    return Exposure(boxes, images_with, sampled, pasted, factors, threshold, acts, chances)


def _image_factors(
    pairs: np.ndarray, frequency: np.ndarray, rare: np.ndarray, threshold: float, power: float, images: int
) -> np.ndarray:
    of_class = np.ones(len(frequency))
    of_class[rare] = np.minimum((threshold / frequency[rare]) ** power, LARGEST_EXPOSURE)
    of_image = np.ones(images)
    np.maximum.at(of_image, pairs[0], of_class[pairs[1]])
    return of_image


def _shown(image_of_box: np.ndarray, class_of_box: np.ndarray, factors: np.ndarray, classes: int) -> np.ndarray:
    """Expected boxes per class in as many draws as there are images."""
    rates = factors * (len(factors) / factors.sum())
    return np.bincount(class_of_box, weights=rates[image_of_box], minlength=classes)


def below_median(boxes: np.ndarray) -> np.ndarray:
    """(classes,) whether a class has boxes, but fewer than the median of those that have any."""
    below: np.ndarray = (boxes > 0) & (boxes < np.median(boxes[boxes > 0])) if boxes.any() else boxes > 0
    return below


def _paste_chances(
    boxes: np.ndarray, sampled: np.ndarray, images: int, config: RareConfig, can_be_pasted: np.ndarray | None
) -> np.ndarray:
    """In proportion to n^-power among the classes below the median, cut where a class would exceed the largest."""
    if not config.paste:
        return np.zeros(len(boxes))
    below = below_median(boxes)
    if not below.any():
        raise ConfigError(
            f"rare_paste={config.paste:g} cannot act: no class has fewer training boxes than the median class; "
            "leave it out"
        )
    weights = np.zeros(len(boxes))
    weights[below] = boxes[below] ** -config.power
    if can_be_pasted is not None:
        weights[~can_be_pasted] = 0
    if not weights.any():
        raise ConfigError(
            f"rare_paste={config.paste:g} cannot act: the objects of the classes below the median are too small at "
            "this imgsz; raise imgsz or leave it out"
        )
    most = np.maximum(LARGEST_EXPOSURE * boxes - sampled, 0) / (config.paste * sum(CROPS) / 2 * images)
    chances: np.ndarray = np.minimum(weights / weights.sum(), most)
    return chances


def exposure_lines(exposure: Exposure, names: Sequence[str], config: RareConfig, pastes: bool = True) -> list[str]:
    """The table of classes with what an epoch shows of them, and a sentence for what cannot act.

    Args:
        exposure: from `expected_exposure`.
        names: of the classes.
        config: the settings it was computed from.
        pastes: whether objects can be pasted for this kind of model.
    """
    rows = [["class", "boxes", "images", "sampled", "pasted", "shown", "gain"]]
    for c in np.argsort(-exposure.boxes, kind="stable"):
        if exposure.boxes[c]:
            labelled = exposure.boxes[c], exposure.images[c]
            shown = exposure.sampled[c], exposure.pasted[c], exposure.after[c]
            counts = [*(f"{count:,}" for count in labelled), *(f"{count:,.0f}" for count in shown)]
            rows.append([names[c], *counts, f"{exposure.gain[c]:.2f}x"])
    lines = [f"{config}: what an epoch is expected to show", *(f"  {line}" for line in aligned(rows))]
    if not exposure.boxes.all():
        absent = ", ".join(name for name, boxes in zip(names, exposure.boxes, strict=True) if not boxes)
        lines.append(f"  without training boxes, left out: {absent}")
    if config.sampling and not exposure.sampling_acts:
        lines.append(f"  {_idle_sampling(exposure, names, config, pastes)}")
    return lines


def _idle_sampling(exposure: Exposure, names: Sequence[str], config: RareConfig, pastes: bool) -> str:
    frequency = exposure.images / len(exposure.factors)
    rare = np.flatnonzero((exposure.boxes > 0) & (frequency < exposure.threshold))
    if not len(rare):
        why = f"every class is in at least {exposure.threshold:.3g} of the images"
    else:
        why = f"{', '.join(names[c] for c in rare[:3])}: they occur in images of every kind"
    if config.sampling == AUTO:
        words = f"rare_sampling={AUTO} switches itself off: no rare class would gain a fifth ({why})"
        return f"{words}; rare_paste can act" if pastes else words
    words = f"warning: rare_sampling={config.sampling:g} hardly acts ({why})"
    return f"{words}; rare_paste can" if pastes else words
