"""Advice follows from the numbers: each rule speaks where its condition holds, and only there."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.data.label_statistics import SplitStatistics
from yolo_focal.data.labels import LabelProblem
from yolo_focal.diagnosis.advice import Examination, advise, network_sides, optimal_score
from yolo_focal.diagnosis.rare_classes import rare_classes
from yolo_focal.losses import LOSSES
from yolo_focal.ultra.drivers.class_gradients import ClassTerm
from yolo_focal.ultra.drivers.diagnosis import BatchLoss, Diagnosis


def split(instances, side=100.0, **changes) -> SplitStatistics:
    """A split of square boxes in images of 640 x 480 pixels."""
    instances = np.array(instances)
    total = int(instances.sum())
    values = {
        "split": "train",
        "names": tuple(f"class {index}" for index in range(len(instances))),
        "images": 100,
        "images_without_objects": 0,
        "images_without_label_file": 0,
        "images_dropped": 0,
        "instances": instances,
        "images_with": np.minimum(instances, 100),
        "box_images": np.arange(total) % 100,
        "box_classes": np.repeat(np.arange(len(instances)), instances),
        "box_sizes": np.full((total, 2), side),
        "image_sizes": np.tile((640.0, 480.0), (total, 1)),
        "problems": [],
    }
    return SplitStatistics(**{**values, **changes})


def term(positives, negatives, weights=(1.0, 1.0), target=1.0) -> ClassTerm:
    """A term of two classes with these gradients on positives and on negatives."""
    ones, weights = np.ones(2), np.array(weights)
    pulls = np.array(positives, float), np.array(negatives, float)
    soft = float(target < 1)
    return ClassTerm(ones.astype(int), ones.astype(int), *pulls, *pulls, weights, weights, soft, target)


def examination(
    train=None, val=None, bce=None, other=None, gain=1.0, branches=None, rare=None, pastes=True, cls_pw=0.0, **changes
) -> Examination:
    """A healthy dataset and batch, but for what is given."""
    bce = term((5, 5), (1, 1)) if bce is None else bce
    other = bce if other is None else other
    config = changes.get("compared", FocalConfig(loss="qfl"))
    branches = branches or {"class": str(config)}
    diagnosis = Diagnosis(
        kind="DetectionModel",
        head="Detect",
        names=("class 0", "class 1"),
        images=16,
        objects=100,
        imgsz=640,
        fresh=False,
        bins=16,
        end_to_end="one2one" in branches,
        focal=config,
        compared=config,
        class_weights_inert=False,
        bce=BatchLoss("BCE", False, dict.fromkeys(branches, "BCE"), {}, dict.fromkeys(branches, bce), None),
        other=BatchLoss(str(config), True, branches, {}, dict.fromkeys(branches, other), gain),
    )
    train = split((500, 400)) if train is None else train
    model = SimpleNamespace(task="detect" if pastes else "obb")
    levers = rare_classes(train, 640, rare or {}, model)
    return Examination(replace(diagnosis, **changes), train, val, levers, cls_pw)


def topics(it) -> dict[str, str]:
    """Topic -> recommendation of all advice."""
    return {each.topic: each.recommendation for each in advise(it)}


def test_a_healthy_dataset_gets_the_word_on_background_alone():
    """Nothing else is invented."""
    assert topics(examination()) == {"background": "a loss cannot help"}


@pytest.mark.parametrize(
    ("it", "topic", "recommendation"),
    [
        (examination(bce=term((1, 1), (5, 5))), "background", "a loss can help"),
        (examination(fresh=True), "background", "note"),
        (examination(split((5000, 400))), "classes", "a loss cannot help"),
        (examination(split((2000, 400))), "classes", "note"),
        (examination(split((5000, 400)), other=term((5, 5), (1, 1), (0.5, 2.0))), "classes", "a loss can help"),
        (examination(split((500, 99))), "few instances", "a loss cannot help"),
        (examination(split((500, 0))), "few instances", "a loss cannot help"),
        (examination(val=split((500, 29))), "cannot be told", "note"),
        (examination(split((500, 400), side=12.0)), "size", "a loss cannot help"),
        (examination(split((500, 400), images_without_objects=60)), "images without objects", "look first"),
        (examination(gain=8.0, compared=FocalConfig(loss="qfl", gain=1.0)), "scale", "note"),
        (examination(gain=0.2, compared=FocalConfig(loss="qfl", gain=1.0)), "scale", "note"),
        (examination(class_weights_inert=True), "cls_pw", "a loss cannot help"),
        (examination(bce=term((5, 5), (1, 1), target=0.3), compared=FocalConfig()), "soft targets", "note"),
        (examination(branches={"one2many": "qfl()", "one2one": "qfl()"}), "one-to-one branch", "note"),
    ],
)
def test_each_rule_speaks_where_its_condition_holds(it, topic, recommendation):
    """And says whether a loss is what to change."""
    assert topics(it)[topic] == recommendation


@pytest.mark.parametrize(
    ("it", "topic"),
    [
        (examination(split((500, 100)), split((30, 30))), "few instances"),
        (examination(split((500, 100)), split((30, 30))), "cannot be told"),
        (examination(split((500, 400), side=17.0)), "size"),
        (examination(gain=8.0, compared=FocalConfig(loss="qfl", gain=8.0)), "scale"),
        (examination(bce=term((5, 5), (1, 1), target=0.3)), "soft targets"),
        (examination(compared=FocalConfig()), "soft targets"),
        (examination(branches={"one2many": "qfl()", "one2one": "BCE"}), "one-to-one branch"),
        (examination(split((1100, 400))), "classes"),
    ],
)
def test_each_rule_is_silent_where_it_does_not_hold(it, topic):
    """At the limit, too; quality focal loss and hard targets need no word on soft ones."""
    assert topic not in topics(it)


def test_problems_of_both_splits_are_counted_and_the_first_is_named():
    """Labels come before everything else."""
    problem = LabelProblem("not numbers", Path("labels/a.txt"), 3, "a b c", True)
    train, val = split((500, 400), images_dropped=1, problems=[problem]), split((50, 50), problems=[problem])
    first = advise(examination(train, val))[0]
    assert first.recommendation == "look first" and "2 problems in the labels, 1 images dropped" in first.finding
    assert "labels/a.txt:3: not numbers (a b c)" in first.finding


def test_the_remedy_for_small_objects_reaches_32_pixels():
    """The image size it names makes the median box 32 px."""
    it = examination(split((500, 400), side=12.0))
    remedy = next(each.remedy for each in advise(it) if each.topic == "size")
    wanted = int(remedy.partition("reaches 32 px at ")[2].split(")")[0])
    assert wanted % 32 == 0 and np.median(network_sides(it.train, wanted)) >= 32 > np.median(
        network_sides(it.train, wanted - 32)
    )


def test_boxes_without_area_are_no_small_boxes():
    """They are among the faults of the labels; the rest is judged by itself."""
    sizes = np.zeros((5, 2))
    assert "size" not in topics(examination(split((5, 0), box_sizes=sizes, image_sizes=np.full((5, 2), 640.0))))
    sizes[:2] = 4.0
    found = advise(examination(split((5, 0), box_sizes=sizes, image_sizes=np.full((5, 2), 640.0))))
    (size,) = [each for each in found if each.topic == "size"]
    assert "the median is 4 px" in size.finding and "at 5120)" in size.remedy


def test_sides_are_measured_on_the_network_s_input():
    """The longer side of the image becomes imgsz; the side of a box is the root of its area."""
    statistics = split((1, 0), box_sizes=np.array([[40.0, 10.0]]))
    np.testing.assert_allclose(network_sides(statistics, 320), [10.0])


@pytest.mark.parametrize("name", [name for name, row in LOSSES.items() if row.elementwise])
@pytest.mark.parametrize("target", [0.1, 0.3, 0.7])
def test_no_score_has_a_smaller_loss_than_the_optimal_one(name, target):
    """Not among a thousand others."""
    config = FocalConfig(loss=name)
    loss = LOSSES[name].make(gamma=config.gamma, alpha=config.alpha, reduction="none")

    def value(score):
        score = torch.as_tensor(score, dtype=torch.float64)
        return loss(torch.logit(score), torch.full_like(score, target))

    best = value([optimal_score(config, target)])
    assert (value(np.linspace(0.001, 0.999, 999)) >= best - 1e-6).all()


def test_optimal_scores_are_those_the_table_of_losses_speaks_of():
    """Focal at gamma 1.5 drives 0.3 to 0.154 and 0.7 to 0.846; quality focal loss meets the target; mal has t^gamma."""
    focal = FocalConfig(gamma=1.5)
    assert (optimal_score(focal, 0.3), optimal_score(focal, 0.7)) == (0.154, 0.846)
    assert optimal_score(FocalConfig(loss="qfl"), 0.3) == 0.3
    assert optimal_score(FocalConfig(loss="mal", gamma=2.0), 0.5) == 0.25


def remedy_of(it, topic="classes") -> str:
    """What the advice on a topic says is to be done."""
    return next(each.remedy for each in advise(it) if each.topic == topic)


def test_rare_classes_are_named_with_what_showing_them_more_often_gives():
    """Sampling where the rare class has images of its own, pasting alone where it is in images of every kind."""
    apart = split((1000, 50), box_images=np.r_[np.arange(1000) % 90, 90 + np.arange(50) % 10])
    assert remedy_of(examination(apart)).startswith("cfg=rare (rare_sampling=auto rare_paste=0.5) shows class 1 ")
    everywhere = split((1000, 50), box_images=np.r_[np.arange(1000) % 100, np.arange(50) % 100])
    assert remedy_of(examination(everywhere)).startswith("rare_paste=0.5 shows class 1 3 times as often; rare_sampling")
    given = examination(everywhere, rare={"rare_paste": 0.2})
    assert remedy_of(given).startswith("keep rare_paste=0.2, which shows class 1 1.8 times as often")
    tiny = split((1000, 50), side=3.0)  # at 640 px nothing is large enough to be pasted
    assert "them; fl_class_weights=0.5 weighs" in remedy_of(examination(tiny))
    assert "them; fl_loss=bce fl_class_weights=0.5 weighs" in remedy_of(examination(tiny, focal=None))


def test_class_weights_are_advised_beside_the_loss_that_the_model_has_and_where_they_act():
    """RT-DETR is not trained with BCE; the channels of a prompted model are no classes of the dataset."""
    tiny = split((1000, 50), side=3.0)
    of_rtdetr = remedy_of(examination(tiny, focal=None, kind="RTDETRDetectionModel"))
    assert "them; fl_loss=vfl fl_gamma=1.5 fl_vfl_alpha=0.25 fl_class_weights=0.5 weighs" in of_rtdetr
    for kind in ("WorldModel", "YOLOEModel", "YOLOESegModel"):
        assert remedy_of(examination(tiny, focal=None, kind=kind)) == "collect more of them"


def test_labels_that_cost_no_image_are_a_note():
    """As boxes that reach outside of their image by a pixel, which are learnt as they are."""
    problem = LabelProblem("box reaches outside the image", Path("labels/a.txt"), 3, "1 .5 .1 .1", False)
    (first, *_) = advise(examination(split((500, 400), problems=[problem])))
    assert (first.topic, first.recommendation) == ("labels", "note") and "learnt as it stands" in first.reason


@pytest.mark.parametrize("positives", [0, 1])
def test_a_batch_without_the_rarest_class_is_told(positives):
    """Its gradient there is that of background."""
    one = replace(term((5, 5), (1, 1)), positives=np.array([3, positives]))
    finding = next(each.finding for each in advise(examination(split((5000, 400)), bce=one)) if each.topic == "classes")
    assert ("no object of it" in finding) == (not positives)


def test_no_pasting_is_advised_where_training_refuses_it():
    """Of rotated boxes: sampling alone where it acts, and class weights where it does not."""
    apart = split((1000, 50), box_images=np.r_[np.arange(1000) % 90, 90 + np.arange(50) % 10])
    everywhere = split((1000, 50), box_images=np.r_[np.arange(1000) % 100, np.arange(50) % 100])
    drawn, neither = examination(apart, pastes=False), examination(everywhere, pastes=False)
    assert remedy_of(drawn).startswith("rare_sampling=auto shows class 1 ")
    assert "fl_class_weights" in remedy_of(neither)
    assert (drawn.rare.suggestion, neither.rare.suggestion) == ({"rare_sampling": "auto"}, {})
    assert examination(apart).rare.suggestion == examination(everywhere).rare.suggestion == {"cfg": "rare"}
    tiny = examination(split((1000, 50), side=3.0))  # nothing is large enough to be pasted
    said = [remedy_of(it, "few instances") for it in (drawn, neither, tiny)]
    assert "paste" not in " ".join([*said, neither.rare.lines(everywhere.names)[-1]])


def test_class_weights_that_lower_the_class_loss_are_noted():
    """1 on average over classes: 1000 boxes of weight 0.5 and 100 of weight 1.5 have a mean of 0.59 per object."""
    weighted = term((5, 5), (1, 1), (0.5, 1.5))
    settings = {"bce": weighted, "focal": None, "compared": FocalConfig(loss="bce", gain=1.0)}
    train = split((1000, 100))
    advice = advise(examination(train, cls_pw=0.5, **settings))
    (noted,) = [each for each in advice if "cls_pw=0.5 an object weighs 0.59 on average" in each.finding]
    assert noted.remedy.startswith("fl_loss=bce fl_class_weights=0.5 ")  # alone it would switch focal loss on
    even = examination(train, cls_pw=0.5, **{**settings, "bce": term((5, 5), (1, 1))})
    assert not any("cls_pw" in each.topic for each in advise(even))


def finding_of(it, topic) -> str:
    """What the advice on a topic says was measured."""
    return next(each.finding for each in advise(it) if each.topic == topic)


@pytest.mark.parametrize(("gain", "words"), [(8.0, "8 times smaller"), (0.2, "5 times larger")])
def test_the_scale_is_told_in_its_direction(gain, words):
    """A gain of 8 is missing where the gradient is an eighth of BCE's."""
    it = examination(gain=gain, compared=FocalConfig(loss="qfl", gain=1.0))
    assert f"is {words} than that of BCE" in finding_of(it, "scale")


def test_the_shares_are_those_of_both_losses():
    """Of negatives, and of the rarest class."""
    it = examination(split((5000, 400)), bce=term((1, 1), (4, 4)), other=term((1, 1), (1, 1)))
    assert "negatives have 80% of the gradient under BCE and 50.0% under" in finding_of(it, "background")
    it = examination(split((5000, 400)), bce=term((5, 2), (5, 2)), other=term((1, 1), (1, 1)))
    assert "class 1, which in this batch has 28.6% of the gradient under BCE and 50.0%" in finding_of(it, "classes")


def test_a_box_is_as_large_as_its_shorter_side():
    """Where it is to be pasted: 3 pixels are too few, however long it is."""
    thin = split((1000, 50), box_sizes=np.tile((100.0, 3.0), (1050, 1)))
    assert "fl_class_weights=0.5 weighs" in remedy_of(examination(thin))


@pytest.mark.parametrize(("tiny", "empty", "told"), [(225, 50, True), (224, 49, False)])
def test_a_quarter_of_small_boxes_and_half_of_the_images_empty_are_many(tiny, empty, told):
    """Of 900 boxes and 100 images, and not one fewer."""
    sides = np.full((900, 2), 100.0)
    sides[:tiny] = 8.0
    found = topics(examination(split((500, 400), box_sizes=sides, images_without_objects=empty)))
    assert ("size" in found, "images without objects" in found) == (told, told)
