"""What to change first on this dataset, and whether a loss can help: rules of thumb over measured numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.data.label_statistics import SplitStatistics
from yolo_focal.diagnosis.rare_classes import RareClasses
from yolo_focal.diagnosis.study import FOCAL_IN_THE_STUDY, NMS_FREE_IN_THE_STUDY, RARE_IN_THE_STUDY
from yolo_focal.foreign_text import first_names
from yolo_focal.losses import LOSSES
from yolo_focal.ultra.drivers.diagnosis import Diagnosis
from yolo_focal.ultra.drivers.running_criterion import PLAIN

__all__ = ["Advice", "Examination", "advise", "network_sides", "optimal_score"]

Recommendation = Literal["a loss can help", "a loss cannot help", "look first", "note"]

# Rules of thumb, each a round number; nothing else in the package depends on them.
FEW_INSTANCES = 100  # training boxes of a class, below which its AP says more about the draw than about the loss
FEW_EVALUATED = 30  # validation boxes of a class: one box more or less moves its recall by 3 points
STRONG_IMBALANCE = 10.0  # most over least frequent class
MILD_IMBALANCE = 3.0
BACKGROUND_MAJORITY = 0.5  # share of the gradient
TINY_SIDE = 16.0  # input pixels: two cells of the finest level of most detectors (stride 8)
MANY_TINY = 0.25  # share of the boxes
MILD_CUT = 1.25  # factor by which class weights lower the class loss
SCALE_OFF = 2.0  # factor between the gradients of two losses on positives
UNLABELLED = 0.5  # share of images without objects


class Examination(NamedTuple):
    """What advice is drawn from.

    Attributes:
        diagnosis: one batch through the criterion.
        train: statistics of the training split.
        val: of the validation split; None where there is none.
        rare: what showing rare classes more often does here.
        cls_pw: Ultralytics' class weight power; 0 is off.
    """

    diagnosis: Diagnosis
    train: SplitStatistics
    val: SplitStatistics | None
    rare: RareClasses
    cls_pw: float


@dataclass(frozen=True)
class Advice:
    """One piece of advice.

    Attributes:
        topic: one or two words.
        recommendation: whether a loss can help or cannot; `look first`: something is to be settled before any loss;
            `note`: to be known.
        finding: what was measured.
        reason: why that matters.
        remedy: what to do.
    """

    topic: str
    recommendation: Recommendation
    finding: str
    reason: str
    remedy: str


def advise(examination: Examination) -> list[Advice]:
    """Every piece of advice that applies, in the order in which to act on it."""
    rules: tuple[Callable[[Examination], Advice | None], ...] = (
        _labels,
        _empty_images,
        _instances,
        _evaluated,
        _size,
        _classes,
        _background,
        _inert_weights,
        _light_objects,
        _scale,
        _targets,
        _end_to_end,
    )
    return [advice for rule in rules if (advice := rule(examination)) is not None]


def network_sides(statistics: SplitStatistics, imgsz: int) -> np.ndarray:
    """(n,) geometric mean of width and height of every box, in pixels of the network's input."""
    scale = imgsz / statistics.image_sizes.max(1, initial=1)
    return np.asarray(np.sqrt(statistics.box_sizes.prod(1)) * scale)


def optimal_score(config: FocalConfig, target: float) -> float:
    """The score p at which the loss of `config` is smallest for the soft target `target`, to 3 digits.

    The alpha of a list is its mean. Element-wise losses only.
    """
    assert not isinstance(config.alpha, str)  # auto is settled before there is a criterion
    alpha = float(np.mean(config.alpha)) if isinstance(config.alpha, tuple) else config.alpha
    loss = LOSSES[config.loss].make(gamma=config.gamma, alpha=alpha, reduction="none")
    scores = torch.arange(1, 100_000, dtype=torch.float64) / 100_000
    losses = loss(torch.logit(scores), torch.full_like(scores, target))
    return round(float(scores[losses.argmin()]), 3)


def _labels(it: Examination) -> Advice | None:
    splits = [it.train] + ([it.val] if it.val is not None else [])
    problems = sum(len(split.problems) for split in splits)
    dropped = sum(split.images_dropped for split in splits)
    if not problems:
        return None
    first = next(split.problems[0] for split in splits if split.problems)
    reason = (
        "a dropped image is not learnt from, and objects without a right box are background to every loss"
        if dropped
        else "no image is dropped: what is written there is learnt as it stands"
    )
    return Advice(
        "labels",
        "look first" if dropped else "note",
        f"{problems} problems in the labels, {dropped} images dropped because of them; the first: {first}",
        reason,
        "correct them; doctor.json lists all",
    )


def _empty_images(it: Examination) -> Advice | None:
    empty = it.train.images_without_objects
    if empty < UNLABELLED * it.train.images:
        return None
    return Advice(
        "images without objects",
        "look first",
        f"{empty} of {it.train.images} training images have no object "
        f"({it.train.images_without_label_file} of them no label file)",
        "background images are useful only where they are really empty; unlabelled objects teach the model to miss",
        "check that they are; a tenth of the images is a usual share",
    )


def _below(split: SplitStatistics, least: int) -> list[str]:
    counted = sorted(zip(split.instances.tolist(), split.names, strict=True))
    return [f"{name} ({count})" for count, name in counted if count < least]


def _instances(it: Examination) -> Advice | None:
    few = _below(it.train, FEW_INSTANCES)
    if not few:
        return None
    pasting = ", or paste them more often (rare_paste=0.5)" if it.rare.pastes and it.rare.exposure is not None else ""
    return Advice(
        "few instances",
        "a loss cannot help",
        f"fewer than {FEW_INSTANCES} training boxes: {first_names(few, 6)}",
        "a loss reweighs what is there; it adds no variety, and a weight on a handful of boxes is learnt by heart",
        f"collect more of these{pasting}; a class without boxes does not belong in names:",
    )


def _evaluated(it: Examination) -> Advice | None:
    if it.val is None:
        return None
    few = _below(it.val, FEW_EVALUATED)
    if not few:
        return None
    return Advice(
        "cannot be told",
        "note",
        f"fewer than {FEW_EVALUATED} validation boxes: {first_names(few, 6)}",
        "one box moves the recall of such a class by several points, which is more than a loss usually does",
        "enlarge the validation split, and trust only intervals: yolo-focal compare",
    )


def _size(it: Examination) -> Advice | None:
    sides = network_sides(it.train, it.diagnosis.imgsz)
    sides = sides[sides > 0]  # boxes without area are faults of the labels, and named among those
    tiny = float((sides < TINY_SIDE).mean()) if len(sides) else 0.0
    if tiny < MANY_TINY:
        return None
    multiple_of_32 = int(np.ceil(it.diagnosis.imgsz / np.median(sides))) * 32
    return Advice(
        "size",
        "a loss cannot help",
        f"{tiny:.0%} of the boxes are below {TINY_SIDE:g} px at imgsz={it.diagnosis.imgsz}, the median is "
        f"{np.median(sides):.0f} px",
        "two cells of the finest level hold too little of an object, whatever the loss",
        f"raise imgsz (the median box reaches 32 px at {multiple_of_32}), cut images into tiles, or use a P2 head",
    )


def _background(it: Examination) -> Advice:
    diagnosis = it.diagnosis
    before, after = diagnosis.bce.gradient_on_negatives(), diagnosis.other.gradient_on_negatives()
    state = "untrained class layers" if diagnosis.fresh else "these weights"
    finding = (
        f"with {state}, negatives have {before:.0%} of the gradient under BCE and {after:.1%} under "
        f"{diagnosis.other.label}"
    )
    again = "repeat with a trained checkpoint, since the share changes while training" if diagnosis.fresh else ""
    if before < BACKGROUND_MAJORITY:
        return Advice(
            "background",
            "note" if diagnosis.fresh else "a loss cannot help",
            finding,
            "positives already have the larger part; where they do, taking more from the negatives costs precision",
            again or "leave the balance alone (fl_alpha=-1), or keep BCE",
        )
    if not diagnosis.other.runs or diagnosis.focal is None:
        focal = f"measure before you keep one (yolo-focal compare): {FOCAL_IN_THE_STUDY}"
        remedy = focal if diagnosis.kind != "RTDETRDetectionModel" else "keep the loss of RT-DETR"
    else:
        remedy = f"measure whether to keep it (yolo-focal compare): {FOCAL_IN_THE_STUDY}"
    return Advice(
        "background",
        "a loss can help",
        finding,
        "the background outweighs the objects, which is what focal losses were made for",
        f"{remedy}; {again}" if again else remedy,
    )


def _classes(it: Examination) -> Advice | None:
    ratio = it.train.imbalance
    if ratio < MILD_IMBALANCE:
        return None
    present = np.flatnonzero(it.train.instances)
    rarest = int(present[it.train.instances[present].argmin()])
    shares = [float(loss.gradient_by_class()[rarest]) for loss in (it.diagnosis.bce, it.diagnosis.other)]
    finding = (
        f"the most frequent class has {ratio:.1f} times the boxes of the rarest, {it.train.names[rarest]}, which in "
        f"this batch has {shares[0]:.1%} of the gradient under BCE and {shares[1]:.1%} under {it.diagnosis.other.label}"
    )
    if not any(term.positives[rarest] for term in it.diagnosis.other.class_terms()):
        finding += "; the batch has no object of it, so that this is the gradient of background alone"
    if any(np.ptp(term.weight_positives) > 0 for term in it.diagnosis.running.class_terms()):
        reason, remedy = (
            "classes have weights of their own, which act on just this",
            "compare with BCE, class by class",
        )
        return Advice("classes", "a loss can help", finding, reason, f"{remedy}: yolo-focal compare")
    strong = ratio >= STRONG_IMBALANCE
    return Advice(
        "classes",
        "a loss cannot help" if strong else "note",
        finding,
        "gamma separates easy from hard examples and alpha positives from negatives; neither separates rare classes "
        "from frequent ones",
        _shown_more_often(it, rarest) if strong else "mild; more images of the rare classes come before weights",
    )


def _shown_more_often(it: Examination, index: int) -> str:
    rare = it.rare
    if rare.exposure is None or not (rare.given or rare.suggestion):
        weighing = _weighing(it, 0.5)
        return f"collect more of them; {weighing} weighs them" if weighing else "collect more of them"
    words = f"{it.train.names[index]} {rare.exposure.gain[index]:.2g} times as often"
    if rare.given:
        return f"keep {rare.config}, which shows {words}, and measure: yolo-focal compare"
    if not rare.pastes:
        return f"{rare.config} shows {words}"
    if rare.exposure.sampling_acts:
        return f"cfg=rare ({rare.config}) shows {words}; {RARE_IN_THE_STUDY}"
    paste = f"rare_paste={rare.config.paste:g}"
    return f"{paste} shows {words}; rare_sampling cannot act, since rare classes occur in images of every kind"


def _weighing(it: Examination, power: float) -> str:
    """The arguments that weigh the classes and leave the loss as it is; empty where training refuses them."""
    diagnosis = it.diagnosis
    if diagnosis.kind.startswith(("World", "YOLOE")):
        return ""  # their channels are prompts
    if diagnosis.focal is not None:
        loss = ""
    elif diagnosis.kind == "RTDETRDetectionModel":
        loss = "fl_loss=vfl fl_gamma=1.5 fl_vfl_alpha=0.25 "  # stock
    else:
        loss = "fl_loss=bce "  # without it focal loss would be switched on
    return f"{loss}fl_class_weights={power:g}"


def _inert_weights(it: Examination) -> Advice | None:
    if not it.diagnosis.class_weights_inert:
        return None
    return Advice(
        "cls_pw",
        "a loss cannot help",
        "cls_pw is on, but an undecided object of every class weighs the same",
        f"the criterion of a {it.diagnosis.kind} never reads the class weights that Ultralytics computes and logs",
        "use focal=True, with which cls_pw acts here too, or fl_alpha with one number per class",
    )


def _light_objects(it: Examination) -> Advice | None:
    """Ultralytics' class weights are 1 on average over classes, and so below 1 over objects."""
    boxes = it.train.instances
    if not it.cls_pw or it.diagnosis.class_weights_inert or it.diagnosis.focal is not None:
        return None
    weights = [term.weight_positives for term in it.diagnosis.running.class_terms()]
    mean = float(np.mean([(boxes * each).sum() / boxes.sum() for each in weights]))
    weighing = _weighing(it, min(it.cls_pw, 1))
    if mean > 1 / MILD_CUT or not weighing:
        return None
    return Advice(
        "cls_pw",
        "note",
        f"with cls_pw={it.cls_pw:g} an object weighs {mean:.2f} on average",
        "its weights are 1 on average over classes and not over objects, so it also lowers the class loss beside the "
        "box loss",
        f"{weighing} weighs classes alike, an object 1 on average",
    )


def _scale(it: Examination) -> Advice | None:
    gain, compared = it.diagnosis.other.matching_gain, it.diagnosis.compared
    if gain is None or compared is None or compared.gain == "auto":
        return None
    missing = gain / float(compared.gain) if compared.gain else np.inf
    if 1 / SCALE_OFF < missing < SCALE_OFF:
        return None
    weaker = missing > 1
    return Advice(
        "scale",
        "note",
        f"the gradient of {it.diagnosis.other.label} is {missing if weaker else 1 / missing:.3g} times "
        f"{'smaller' if weaker else 'larger'} than that of BCE",
        f"the box loss keeps its size, so classes {'lose' if weaker else 'gain'} weight against boxes",
        f"leave fl_gain at auto, which is {gain:.3g} in this batch",
    )


def _targets(it: Examination) -> Advice | None:
    compared, terms = it.diagnosis.compared, it.diagnosis.other.terms.values()
    if compared is None or not LOSSES[compared.loss].elementwise:
        return None
    soft = [term for term in terms if term.soft_share > 0.5]
    if not soft:
        return None
    target = float(np.median([term.median_target for term in soft]))
    low, high = optimal_score(compared, 0.3), optimal_score(compared, 0.7)
    if abs(low - 0.3) < 0.01 and abs(high - 0.7) < 0.01:
        return None
    return Advice(
        "soft targets",
        "note",
        f"the positives' targets are soft (median {target:.2g}), and {compared.loss} drives 0.3 to {low:g} and 0.7 to "
        f"{high:g}",
        "scores then no longer estimate the quality of the box, and a fixed threshold such as conf=0.25 means less",
        "fl_loss=qfl has its minimum at the target; or refit the scores afterwards: yolo-focal calibrate",
    )


def _end_to_end(it: Examination) -> Advice | None:
    words = it.diagnosis.other.branches.get("one2one", PLAIN)
    if not it.diagnosis.end_to_end or words == PLAIN:
        return None
    return Advice(
        "one-to-one branch",
        "note",
        "the head has an NMS-free branch, and the loss would act on it too",
        f"that branch has no NMS after it, its negatives suppress duplicates; {NMS_FREE_IN_THE_STUDY}",
        "compare with fl_branch=one2many",
    )
