"""The anchor detector's criterion: which loss runs on which term, with which gains."""

import copy
import pickle

import pytest
import torch

from tests.ultra.helpers import batch_of, build
from yolo_focal.arguments.anchor import ANCHOR_KEYS
from yolo_focal.detector.objective import anchor_objective
from yolo_focal.errors import ConfigError, UnsupportedModelError
from yolo_focal.losses import LOSSES
from yolo_focal.ultra.training import check_training

MODEL = "yolov5n-anchor.yaml"


def losses(nc=3, batch=None, **changes):
    """The three loss items of one seeded model and batch under training arguments `changes`."""
    model = build(MODEL, nc=nc, **changes)
    return model.loss(batch or batch_of(nc=nc))


def items(**changes):
    return {name: value.item() for name, value in losses(**changes)[1].items()}


def test_the_loss_is_the_objective_times_gains_and_images(enabled):
    """Box 0.05, class 0.5 * nc / 80 and objectness (imgsz / 640)^2, summed and multiplied by the batch size."""
    model, batch = build(MODEL, imgsz=320), batch_of()
    loss, named = model.loss(batch)
    maps = model(batch["img"])["maps"]
    bce = LOSSES["bce"].make(gamma=0, alpha=None, reduction="mean")
    anchors = [
        torch.tensor(level) / stride for level, stride in zip(model.model[-1].anchor_pixels, (8, 16, 32), strict=True)
    ]
    targets = torch.cat((batch["batch_idx"][:, None], batch["cls"], batch["bboxes"]), 1)
    raw = anchor_objective(
        maps, targets, anchors, objectness_criterion=bce, class_criterion=bce, balance=(4.0, 1.0, 0.4)
    )
    expected = torch.stack((raw.box * 0.05, raw.objectness * 0.25, raw.classes * 0.5 * 3 / 80))
    assert list(named) == ["box_loss", "obj_loss", "cls_loss"]
    torch.testing.assert_close(torch.stack(tuple(named.values())), expected)
    torch.testing.assert_close(loss, expected * 2)


def test_validation_has_the_same_loss_as_training(enabled):
    """The head's evaluation output carries what the criterion needs."""
    model, batch = build(MODEL), batch_of()
    model.eval()
    with torch.no_grad():
        predictions = model(batch["img"])
        validated = model.loss(batch, predictions)[1]
        maps = {"maps": predictions[1]["maps"]}
        trained = model.criterion(maps, batch)[1]
    assert validated == trained


@pytest.mark.parametrize(
    ("scope", "changed"),
    [("both", {"obj_loss", "cls_loss"}), ("obj", {"obj_loss"}), ("cls", {"cls_loss"})],
)
def test_scope_says_which_terms_are_wrapped(enabled, scope, changed):
    """The box term never changes; the others exactly where fl_scope covers them."""
    plain, focal = items(), items(fl_gamma=1.5, fl_scope=scope)
    assert {name for name in plain if plain[name] != focal[name]} == changed


def test_objectness_can_have_its_own_gamma_and_alpha(enabled):
    """fl_obj_gamma and fl_obj_alpha move the objectness term alone."""
    shared, own = (items(fl_gamma=1.5, fl_gain=1.0, **more) for more in ({}, {"fl_obj_gamma": 0.5, "fl_obj_alpha": -1}))
    assert own["cls_loss"] == shared["cls_loss"] and own["obj_loss"] > shared["obj_loss"]
    same = items(fl_gamma=0.5, fl_alpha=-1, fl_gain=1.0)
    assert own["obj_loss"] == pytest.approx(same["obj_loss"])


def test_gain_multiplies_what_is_wrapped(enabled):
    """fl_gain=4 is four times the wrapped terms."""
    one, four = (items(fl_gamma=1.5, fl_scope="obj", fl_gain=gain) for gain in (1.0, 4.0))
    assert four["obj_loss"] == pytest.approx(4 * one["obj_loss"])
    assert four["cls_loss"] == pytest.approx(one["cls_loss"])


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_table_trains(enabled, name):
    """Each gives finite terms and gradients on soft objectness targets."""
    if not LOSSES[name].elementwise:
        pytest.skip("judges classes together")
    model = build(MODEL, fl_loss=name)
    loss, _ = model.loss(batch_of())
    loss.sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_gains_and_weights_act(enabled):
    """obj, cls and box scale their terms; obj_pw and cls_pos_weight raise them; smoothing changes the class term."""
    plain = items()
    scaled = items(obj=2.0, cls=1.5, box=0.1)
    assert scaled["obj_loss"] == pytest.approx(2 * plain["obj_loss"])
    assert scaled["cls_loss"] == pytest.approx(3 * plain["cls_loss"])
    assert scaled["box_loss"] == pytest.approx(2 * plain["box_loss"])
    weighted = items(obj_pw=3.0, cls_pos_weight=3.0)
    assert weighted["obj_loss"] > plain["obj_loss"] and weighted["cls_loss"] > plain["cls_loss"]
    assert items(cls_smoothing=0.2)["cls_loss"] != plain["cls_loss"]


def test_class_weights_of_ultralytics_are_applied(enabled):
    """Where its cls_pw set model.class_weights, each class's loss is multiplied by its weight."""
    model, batch = build(MODEL), batch_of()
    batch["cls"][:] = 1
    model.class_weights = torch.tensor([0.0, 2.0, 0.0])
    weighted = model.loss(batch)[1]["cls_loss"]
    model.criterion, model.class_weights = None, torch.tensor([0.0, 1.0, 0.0])
    assert weighted.item() == pytest.approx(2 * model.loss(batch)[1]["cls_loss"].item())


def test_one_class_has_no_class_term(enabled):
    """With nc=1 YOLOv5 learns objectness alone."""
    assert items(nc=1)["cls_loss"] == 0


def test_an_empty_batch_trains(enabled):
    """Images without objects push objectness down and touch nothing else."""
    batch = batch_of()
    batch |= {name: batch[name][:0] for name in ("batch_idx", "cls", "bboxes")}
    loss, named = losses(batch=batch)
    assert named["box_loss"] == named["cls_loss"] == 0 and named["obj_loss"] > 0
    loss.sum().backward()


def test_autobalance_moves_the_weights_while_training_only(enabled):
    """Validation leaves them; the level with stride 16 keeps weight 1."""
    model, batch = build(MODEL, autobalance=True), batch_of()
    with torch.no_grad():
        model.loss(batch)
    assert model.criterion.balance == (4.0, 1.0, 0.4)
    model.loss(batch)
    moved = model.criterion.balance
    assert moved != (4.0, 1.0, 0.4) and moved[1] == 1.0


def test_the_criterion_can_be_copied_and_pickled(enabled):
    """Upstream deep-copies models with their criterion when it recovers from NaN."""
    model, batch = build(MODEL, fl_gamma=1.5), batch_of()
    expected = model.loss(batch)[1]
    for clone in (copy.deepcopy(model.criterion), pickle.loads(pickle.dumps(model.criterion))):
        found = clone(model(batch["img"]), batch)[1]
        assert found.keys() == expected.keys()


def test_half_precision_under_autocast(enabled):
    """Under bfloat16 autocast the loss is float32 and near that of full precision."""
    model, batch = build(MODEL, fl_gamma=1.5), batch_of()
    full = model.loss(batch)[0]
    with torch.autocast("cpu", torch.bfloat16):
        half = model.loss(batch)[0]
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0.1, atol=0.05)


def test_the_start_line_says_what_runs(enabled):
    """Both criteria by name and setting, and the gains in YOLOv5's meaning."""
    line = build(MODEL, fl_gamma=1.5, fl_scope="obj").init_criterion().start_line()
    assert line == (
        "anchor detector: objectness BCE -> focal(gamma=1.5, alpha=0.25, gain=auto), class BCE; gains box 0.05, obj 1, "
        "cls 0.5 (YOLOv5's meaning)"
    )


@pytest.mark.parametrize(
    ("given", "nc", "phrase"),
    [
        ({"fl_scope": "cls"}, 1, "fl_scope=cls cannot act: with one class an anchor detector has no class loss"),
        ({"fl_alpha": [0.1, 0.2, 0.3]}, 3, "fl_alpha has a number per class, which objectness has not"),
        ({"fl_alpha": [0.1, 0.2], "fl_scope": "cls"}, 3, "fl_alpha has 2 numbers, but the dataset has 3 classes"),
    ],
)
def test_settings_that_cannot_act_are_refused(enabled, given, nc, phrase):
    """One line with the setting and the remedy."""
    with pytest.raises(ConfigError) as caught:
        losses(nc=nc, **given)
    assert phrase in str(caught.value)


@pytest.mark.parametrize("given", [{"cls_smoothing": 0.1}, {"cls_pos_weight": 2.0}])
def test_what_acts_on_the_class_loss_alone_is_refused_for_one_class(enabled, small_set, given):
    """There is none; with several classes, and at its default, it is taken."""
    (name, value), *_ = given.items()
    one = {"data": str(small_set), "single_cls": True}
    with pytest.raises(ConfigError, match=rf"{name}={value} cannot act: with one class an anchor detector has no"):
        check_training(build(MODEL), one | given)
    check_training(build(MODEL), one | {name: ANCHOR_KEYS[name].default})
    check_training(build(MODEL), {"data": str(small_set)} | given)


@pytest.mark.parametrize("model", [MODEL, "yolo11n.yaml"])
def test_classes_are_not_weighed_where_there_is_one(enabled, small_set, model):
    """Its weight is 1."""
    with pytest.raises(ConfigError, match=r"fl_class_weights=0\.5 cannot act with one class"):
        check_training(build(model), {"data": str(small_set), "single_cls": True, "fl_class_weights": 0.5})


def test_anchor_arguments_are_refused_for_other_models(enabled):
    """They would silently do nothing there."""
    model = build("yolov8n.yaml")
    with pytest.raises(UnsupportedModelError, match=r"obj=8\.0 acts only in an anchor detector, but this model's head"):
        check_training(model, {"obj": 8.0})
    with pytest.raises(UnsupportedModelError, match="fl_scope=obj acts only in an anchor detector"):
        check_training(model, {"fl_scope": "obj"})
    check_training(model, {"obj": 1.0})  # at its default it says nothing


def test_a_box_gain_of_ultralytics_is_refused_before_training(enabled):
    """As the tuner's default space would give it."""
    with pytest.raises(ConfigError, match=r"box=8\.1 is a gain for Ultralytics' own box loss"):
        check_training(build(MODEL), {"box": 8.1})


def test_arguments_at_their_defaults_leave_no_trace(enabled):
    """args.yaml and checkpoints carry an anchor argument only where it was set to something else."""
    assert "obj" not in vars(build(MODEL).args)
    assert vars(build(MODEL, obj=2.0).args)["obj"] == 2.0
