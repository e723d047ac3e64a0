"""What the diagnosis reports is what a training computes: totals, gradients and branches, for every criterion."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.ultra.helpers import arguments, batch_of, build, train_quickly
from yolo_focal.errors import CheckpointError, ConfigError, UnsupportedModelError
from yolo_focal.losses import LOSSES
from yolo_focal.ultra.drivers.class_gradients import Recorder, record_class_terms, sum_by_class
from yolo_focal.ultra.drivers.diagnosis import diagnose, load_for_diagnosis

SIZE = {"imgsz": 64, "batch": 4, "seed": 0, "pretrained": False}


@pytest.fixture
def examined(enabled, tiny_data):
    """A function that diagnoses a model on the squares."""

    def examine(model="yolo11n.yaml", **changes):
        return diagnose(load_for_diagnosis(model), {"data": str(tiny_data), **SIZE, **changes})

    return examine


def measured(model, batch):
    """The recorders of a model's criterion after one batch forward and backward, and the total."""
    model.criterion = model.init_criterion()
    recorders = record_class_terms(model.criterion, model.model[-1].nc)
    total, items = model.loss(batch)
    total.sum().backward()
    return recorders, total, items


@pytest.mark.parametrize("loss", [name for name, row in LOSSES.items() if row.elementwise])
def test_the_parts_add_up_to_the_class_loss_of_the_criterion(enabled, loss):
    """Positives and negatives of all classes make the class loss that the trainer prints, times the images."""
    model = build("yolo11n.yaml", fl_loss=loss, fl_gain=3.0)
    recorders, _, items = measured(model, batch_of())
    term = sum_by_class(recorders["class"])
    total = term.loss_positives.sum() + term.loss_negatives.sum()
    assert total == pytest.approx(2 * float(items["cls_loss"]), rel=1e-5)


def test_both_branches_add_up_to_their_share_of_the_total(enabled):
    """One-to-many counts with its weight of 0.8, one-to-one with 0.2, as the end-to-end loss weighs them."""
    model = build("yolo26n.yaml", fl_gamma=1.5)
    recorders, _, items = measured(model, batch_of())
    term = sum_by_class(recorders["one2one"])
    total = term.loss_positives.sum() + term.loss_negatives.sum()
    assert total == pytest.approx(0.2 * 2 * float(items["cls_loss"]), rel=1e-4)  # the items are those of one-to-one


@pytest.mark.parametrize("changes", [{}, {"fl_gamma": 2.0}, {"fl_alpha": [0.1, 0.5, 0.9]}, {"fl_loss": "qfl"}])
def test_the_gradient_is_the_one_that_reaches_the_class_layers(enabled, changes):
    """The bias of a class layer gets the sum of the derivatives by its logits: recorded and real ones agree."""
    model = build("yolo11n.yaml", **changes)
    recorders, *_ = measured(copy.deepcopy(model), batch_of())
    (call,) = recorders["class"][0].calls
    model.loss(batch_of())[0].sum().backward()
    real = sum(level[-1].bias.grad for level in model.model[-1].cv3)
    torch.testing.assert_close(call.logits.grad.sum((0, 1)), real, rtol=1e-4, atol=1e-6)


def test_the_gradient_under_bce_is_prediction_minus_target(enabled):
    """Times one factor for all logits: class gain, images, and the sum of the targets as normaliser."""
    model = build("yolo11n.yaml")
    recorders, *_ = measured(model, batch_of())
    term = sum_by_class(recorders["class"])
    (call,) = recorders["class"][0].calls
    logits, targets = call.logits.detach().double(), call.targets.double()
    difference = (logits.sigmoid() - targets).abs() * 0.5 * 2 / max(float(targets.sum()), 1)
    for positive, values in ((True, term.gradient_positives), (False, term.gradient_negatives)):
        chosen = (targets > 0) == positive
        np.testing.assert_allclose(values, (difference * chosen).sum((0, 1)).numpy(), rtol=1e-4)


def test_class_weights_of_ultralytics_show_in_the_weights(enabled):
    """In the stock criterion, which multiplies outside its loss, as in this plugin's, which does inside."""
    weights = torch.tensor([0.5, 1.0, 1.5])
    for changes, positive, negative in (
        ({}, 1.0, 1.0),
        ({"fl_gamma": 0.0, "fl_alpha": 0.25, "fl_gain": 1.0}, 0.25, 0.75),
    ):
        model = build("yolo11n.yaml", **changes)
        model.class_weights = weights
        term = sum_by_class(measured(model, batch_of())[0]["class"])
        np.testing.assert_allclose(term.weight_positives, positive * weights.numpy(), rtol=1e-5)
        np.testing.assert_allclose(term.weight_negatives, negative * weights.numpy(), rtol=1e-5)


def test_effective_alpha_is_alpha_for_focal_loss(enabled):
    """One number per class comes out as it was given, whatever gamma and gain."""
    alpha = [0.1, 0.5, 0.9]
    model = build("yolo11n.yaml", fl_alpha=alpha, fl_gamma=2.0, fl_gain=5.0)
    term = sum_by_class(measured(model, batch_of())[0]["class"])
    np.testing.assert_allclose(term.effective_alpha, alpha, rtol=1e-5)
    np.testing.assert_allclose(term.weight_positives, [5 * a * 0.5**2 for a in alpha], rtol=1e-5)


def test_every_logit_is_counted_once(enabled):
    """Positives and negatives together are images times anchors, in each class."""
    recorders, *_ = measured(build("yolo11n.yaml"), batch_of())
    term = sum_by_class(recorders["class"])
    anchors = sum((64 // stride) ** 2 for stride in (8, 16, 32))
    assert (term.positives + term.negatives == 2 * anchors).all() and (term.positives > 0).any()
    assert term.soft_share == 1.0 and 0 < term.median_target < 1


def test_a_recorder_does_not_change_the_loss(enabled):
    """With and without it, the criterion gives the same numbers."""
    plain, recorded = build("yolo11n.yaml", focal=True), build("yolo11n.yaml", focal=True)
    _, _, items = measured(recorded, batch_of())
    assert {name: float(value) for name, value in plain.loss(batch_of())[1].items()} == {
        name: float(value) for name, value in items.items()
    }


def test_label_smoothing_does_not_turn_negatives_into_positives():
    """Targets at the floor are negatives, whichever way they were rounded."""
    recorder = Recorder(nn.BCEWithLogitsLoss(reduction="none"), 2, floor=0.05 + 1e-6)
    recorder(torch.zeros(3, 2), torch.tensor([[0.95, 0.05]] * 3)).sum().backward()
    term = sum_by_class([recorder])
    assert term.positives.tolist() == [3, 0] and term.negatives.tolist() == [0, 3] and term.soft_share == 0


def test_a_class_loss_without_background_weight_has_no_effective_alpha():
    """Nothing over nothing is undefined, and says so."""
    recorder = Recorder(LOSSES["focal"].make(gamma=0.0, alpha=[0.5], weight=torch.zeros(1)), 1)
    recorder(torch.zeros(2, 1), torch.ones(2, 1)).sum().backward()
    assert math.isnan(sum_by_class([recorder]).effective_alpha[0])


def test_without_focal_arguments_bce_runs_and_focal_is_a_proposal(examined):
    """The report compares with what focal=True would train, and says that it does not run."""
    diagnosis = examined()
    assert diagnosis.bce.runs and not diagnosis.other.runs and diagnosis.running is diagnosis.bce
    assert (
        diagnosis.bce.branches == {"class": "BCE"} and diagnosis.other.name == "focal(gamma=1.5, alpha=0.25, gain=auto)"
    )
    assert diagnosis.bins == 16 and diagnosis.fresh and diagnosis.names == ("light", "dark")


def test_losses_judge_the_same_predictions_and_targets(examined):
    """Positives, and the box loss, are the same under both."""
    diagnosis = examined(fl_loss="qfl")
    bce, other = diagnosis.bce.terms["class"], diagnosis.other.terms["class"]
    assert (bce.positives == other.positives).all() and bce.median_target == other.median_target
    assert diagnosis.bce.items["box_loss"] == diagnosis.other.items["box_loss"]
    assert diagnosis.bce.items["cls_loss"] != diagnosis.other.items["cls_loss"]


def test_the_same_seed_gives_the_same_diagnosis(examined):
    """Weights, batch and augmentation are those of the seed."""
    first, again, another = examined(), examined(), examined(seed=1)
    assert first.bce.items == again.bce.items != another.bce.items


def test_branches_of_an_end_to_end_head_are_told_apart(examined):
    """With fl_branch=one2one, one2many runs BCE."""
    diagnosis = examined("yolo26n.yaml", fl_branch="one2one")
    assert diagnosis.running.branches == {"one2many": "BCE", "one2one": "focal(gamma=1.5, alpha=0.25, gain=auto)"}
    assert diagnosis.end_to_end and diagnosis.bins is None and diagnosis.other.label == "focal"


def test_an_automatic_gain_is_measured_on_the_batch(examined):
    """The gain that is reported in any case is the one that fl_gain=auto then multiplies the class loss with."""
    plain, matched = examined(fl_gamma=1.5, fl_gain=1.0), examined(fl_gamma=1.5, fl_gain="auto")
    assert matched.other.matching_gain == plain.other.matching_gain
    assert matched.other.items["cls_loss"] == pytest.approx(
        plain.other.matching_gain * plain.other.items["cls_loss"], rel=1e-5
    )
    gradients = [
        sum(float((term.gradient_positives + term.gradient_negatives).sum()) for term in loss.terms.values())
        for loss in (matched.bce, matched.other)
    ]
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-4)


def test_rtdetr_runs_its_own_varifocal_loss_and_ignores_class_weights(examined, tiny_data):
    """Without focal, `cls_pw` is inert; with it, the same weights act."""
    label = next((tiny_data.parent / "labels" / "train").iterdir())
    text = label.read_text()
    label.write_text(text.splitlines()[0])  # classes of different frequency, else all weights are 1
    try:
        stock = examined("yolov8n-rtdetr.yaml", cls_pw=1.0)
        focal = examined("yolov8n-rtdetr.yaml", cls_pw=1.0, fl_loss="vfl")
    finally:
        label.write_text(text)
    assert stock.running.branches == {"queries": "stock varifocal(gamma=1.5, alpha=0.25)"}
    assert stock.class_weights_inert and not focal.class_weights_inert
    assert stock.bce.name == "BCE" and not stock.bce.runs
    assert np.ptp(focal.other.terms["queries"].weight_positives) > 0


def test_rtdetr_s_own_loss_adds_up(examined, enabled):
    """The parts of its varifocal loss, which upstream only gives as a sum, make the class losses of all query sets."""
    model = load_for_diagnosis("yolov8n-rtdetr.yaml").model
    model.args = arguments()
    model.nc = model.model[-1].nc
    batch = batch_of(nc=3)
    torch.manual_seed(0)
    model.train().criterion = model.init_criterion()
    recorders = record_class_terms(model.criterion, model.nc)
    losses = {}
    forward = model.criterion.forward
    model.criterion.forward = lambda *args, **kwargs: losses.setdefault("all", forward(*args, **kwargs))
    model.loss(batch)[0].backward()
    term = sum_by_class([each for each in recorders["queries"] if each.calls])
    expected = sum(float(value.detach()) for name, value in losses["all"].items() if "class" in name)
    assert term.loss_positives.sum() + term.loss_negatives.sum() == pytest.approx(expected, rel=1e-3)


def test_an_anchor_detector_has_objectness_and_class(examined):
    """Both are measured, each with its own settings, and each adds up to its item."""
    diagnosis = examined("yolov5n-anchor.yaml", fl_gamma=1.5, fl_scope="obj")
    assert diagnosis.running.branches == {"objectness": "focal(gamma=1.5, alpha=0.25, gain=auto)", "class": "BCE"}
    for branch, item in (("objectness", "obj_loss"), ("class", "cls_loss")):
        term = diagnosis.other.terms[branch]
        total = term.loss_positives.sum() + term.loss_negatives.sum()
        assert total == pytest.approx(diagnosis.images * diagnosis.other.items[item], rel=1e-4)
    assert diagnosis.bins is None and len(diagnosis.other.class_terms()) == 1


def test_automatic_alpha_is_settled(examined):
    """fl_alpha=auto arrives as one number per class."""
    diagnosis = examined(fl_alpha="auto")
    np.testing.assert_allclose(diagnosis.other.terms["class"].effective_alpha, diagnosis.compared.alpha, rtol=1e-4)


def test_nothing_is_left_behind(examined, tiny_data, tmp_path, monkeypatch):
    """No label cache beside the data, no run folder, and no deterministic mode."""
    monkeypatch.chdir(tmp_path)
    for cache in tiny_data.parent.glob("labels/*.cache"):
        cache.unlink()
    examined()
    assert not list(tiny_data.parent.glob("labels/*.cache")) and not list(tmp_path.iterdir())
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("yolo11n-cls.yaml", "ClassificationModel"),
        ("yolo11n-pose.yaml", "PoseModel"),
        ("yolo26n-sem.yaml", "SemanticSegmentationModel"),
        ("yolov8s-worldv2.yaml", "WorldModel"),
    ],
)
def test_other_families_are_refused_by_name(enabled, model, kind):
    """The message has the model, its class and what is expected."""
    with pytest.raises(UnsupportedModelError, match=f"cannot examine model={model}: it is a {kind} .*expected a model"):
        load_for_diagnosis(model)


def test_a_model_that_does_not_exist_is_named(enabled):
    """So is what to give instead."""
    with pytest.raises(CheckpointError, match=r"model=absent\.pt cannot be loaded .*give an architecture such as"):
        load_for_diagnosis("absent.pt")


def test_a_setting_that_cannot_act_is_refused(examined):
    """As a training would refuse it."""
    with pytest.raises(ConfigError, match="fl_branch=one2one needs an end-to-end head"):
        examined(fl_branch="one2one")


def test_no_logger_hears_of_an_examination(examined, tiny_data, tmp_path, monkeypatch):
    """A training tells the loggers of Ultralytics' settings; a diagnosis starts no experiment with them."""
    import sys
    from types import ModuleType

    from ultralytics.utils import SETTINGS

    heard = []
    logger = ModuleType("ultralytics.utils.callbacks.comet")
    logger.callbacks = {"on_pretrain_routine_start": heard.append}
    monkeypatch.setitem(sys.modules, logger.__name__, logger)
    before = SETTINGS["comet"]
    SETTINGS.update(comet=True)
    try:
        examined()
        assert not heard
        train_quickly(tiny_data, tmp_path, epochs=1, val=False)
        assert len(heard) == 1
    finally:
        SETTINGS.update(comet=before)
