"""Focal acts in every family that it accepts, on the class gradient and on nothing else; the others are refused."""

from contextlib import nullcontext

import pytest
import torch

from tests.ultra.criteria.family_cases import E2E, FAMILIES
from yolo_focal.arguments.focal import read_config
from yolo_focal.errors import ConfigError, UnsupportedModelError
from yolo_focal.losses import LOSSES
from yolo_focal.ultra.criteria.focal_term import FocalTerm
from yolo_focal.ultra.families import check_family, start_line
from yolo_focal.ultra.training import check_training

REPRESENTATIVES = ("YOLO11", "YOLO26 OBB", "YOLOE 26, visual (TVP)", "RT-DETR", "classification", "semantic, binary")

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
one_of_a_kind = pytest.mark.parametrize(
    "family",
    [pytest.param(f, id=f.name, marks=() if f.name in REPRESENTATIVES else pytest.mark.slow) for f in FAMILIES],
)


def by_name(name):
    """The family of this name."""
    return next(family for family in FAMILIES if family.name == name)


def terms_of(criterion):
    """Every term of this plugin inside `criterion`, in a fixed order, whatever holds it."""
    found, seen, queue = [], set(), [criterion]
    while queue:
        item = queue.pop(0)
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, FocalTerm):
            found.append(item)
        elif hasattr(item, "__dict__") and type(item).__module__.startswith(("ultralytics", "yolo_focal")):
            queue += [*vars(item).values(), *getattr(item, "_modules", {}).values()]
    return found


@every_family
def test_gamma_changes_the_class_gradient_and_nothing_else(enabled, family):
    """At the settings that mean stock all gradients are stock's; another gamma changes those of classes only."""
    model = family.build()
    items, stock = family.head_gradients(model)
    same_items, same = family.head_gradients(model, **family.stock)
    _, changed = family.head_gradients(model, **family.changed)
    assert stock and stock.keys() == same.keys() == changed.keys()
    for name in items:
        torch.testing.assert_close(same_items[name], items[name], rtol=1e-4, atol=1e-5)
    moved = 0
    for name, gradient in stock.items():
        torch.testing.assert_close(same[name], gradient, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
        if family.is_other_layer(name):
            torch.testing.assert_close(changed[name], gradient, rtol=1e-4, atol=1e-6)
        elif family.is_class_layer(name) and gradient.abs().max() > 1e-4:
            assert not torch.allclose(changed[name], gradient, rtol=1e-3, atol=1e-7), name
            moved += 1
    assert moved > 0


@one_of_a_kind
def test_validation_uses_the_same_settings(enabled, family):
    """The criterion that an EMA copy builds for itself has the same terms, at the same gamma and gain."""
    from ultralytics.utils.torch_utils import ModelEMA

    model = family.build(fl_gain=3.0)
    family.head_gradients(model, **family.changed, fl_gain=3.0)
    ema = ModelEMA(model)
    ema.update_attr(model, include=["args"])
    ours, theirs = ([term.config for term in terms_of(c)] for c in (model.criterion, ema.ema.init_criterion()))
    assert len(ours) >= len(family.branches) and all(config.gain == 3 for config in ours)
    if "visual" not in family.name:  # upstream's validation of visual prompts has a criterion of its own kind
        assert theirs == ours


@one_of_a_kind
def test_nothing_enters_the_state_dictionary(enabled, family):
    """Strict loading, EMA and resume compare it."""
    model = family.build(fl_gain=3.0)
    before = set(model.state_dict())
    family.head_gradients(model, **family.changed)
    assert set(model.state_dict()) == before


@one_of_a_kind
def test_the_start_line_says_what_runs(enabled, family):
    """It is read off the criterion, and names the branches of an end-to-end head."""
    line = start_line(family.build(focal=True).init_criterion())
    assert line.startswith("focal: ") and " -> " in line and "gamma=1.5" in line
    assert ("on one2many, one2one" in line) == (family.branches == E2E)
    assert start_line(family.build().init_criterion()) is None


def test_rtdetr_with_focal_loss_judges_hard_labels(enabled):
    """With gamma 0 and alpha off it is the mean over queries of BCE on hard labels, in batches without objects too."""
    model = by_name("RT-DETR").build(fl_gamma=0.0, fl_alpha=-1)
    criterion = model.init_criterion()
    logits, targets = torch.randn(2, 5, 3), torch.tensor([[0, 3, 3, 2, 3], [3, 3, 3, 3, 1]])
    one_hot = torch.nn.functional.one_hot(targets, 4)[..., :3].float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, one_hot, reduction="none").mean(1).sum()
    for objects in (3, 0):
        loss = criterion._get_loss_class(logits, targets, torch.rand(2, 5), objects)["loss_class"]
        torch.testing.assert_close(loss, expected * 5 / max(objects, 1))


def test_rtdetr_keeps_the_two_alphas_apart(enabled):
    """fl_vfl_alpha weighs negatives in batches with objects, fl_alpha positives in the focal loss of the others."""
    model = by_name("RT-DETR").build(fl_loss="vfl", fl_alpha=0.4, fl_vfl_alpha=0.6)
    criterion = model.init_criterion()
    assert (criterion.fl.config.loss, criterion.fl.config.alpha) == ("focal", 0.4)
    assert (criterion.vfl.config.loss, criterion.vfl.config.alpha) == ("vfl", 0.6)
    logits = torch.full((1, 1, 1), 2.0, requires_grad=True)
    negative = criterion.vfl(logits, torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))
    p = torch.tensor(2.0).sigmoid()
    torch.testing.assert_close(negative, 0.6 * p**1.5 * -(1 - p).log())


def test_rtdetr_uses_class_weights(enabled):
    """Upstream computes them for cls_pw and never looks at them; with this plugin they act."""
    model = by_name("RT-DETR").build(focal=True)
    plain = model.init_criterion().fl(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3))
    model.class_weights = torch.tensor([3.0, 3.0, 3.0])
    torch.testing.assert_close(model.init_criterion().fl(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)), 3 * plain)


def test_ignored_pixels_have_no_gradient(enabled):
    """Index 255 is left out of the sum."""
    criterion = by_name("semantic").build(focal=True).init_criterion()
    logits = torch.zeros(3, 3, requires_grad=True)
    criterion.ce(logits, torch.tensor([0, 255, 2])).backward()
    assert torch.equal(logits.grad[1], torch.zeros(3)) and (logits.grad[[0, 2]] != 0).all()


def test_no_class_of_a_classification_is_ignored(enabled):
    """Index 255 is a class of ImageNet, and no pixel to leave out."""
    model = by_name("classification").build(fl_gamma=0.0)
    logits, labels = torch.randn(3, 300), torch.tensor([255, 0, 255])
    loss, _ = model.init_criterion()(logits, {"cls": labels})
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, labels))


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        (
            "YOLO11",
            {"fl_loss": "softmax"},
            "fl_loss=softmax is for classes that exclude each other, but a DetectionModel",
        ),
        ("YOLO11", {"fl_branch": "one2one"}, "fl_branch=one2one needs an end-to-end head"),
        ("YOLO11", {"fl_vfl_alpha": 0.5}, "fl_vfl_alpha=0.5 cannot act: it belongs to RT-DETR with fl_loss=vfl"),
        ("YOLO11", {"fl_loss": "bce", "fl_warmup": 2}, "fl_warmup=2 cannot act: fl_loss=bce has no gamma"),
        ("YOLO11", {"fl_loss": "bce", "fl_gamma": 3.0}, "fl_gamma=3.0 cannot act: fl_loss=bce does not use it"),
        ("classification", {"fl_loss": "qfl"}, "fl_loss=qfl judges each class on its own, but the classes of a"),
        ("classification", {"fl_alpha": 0.5}, "fl_alpha=0.5 cannot act: the classes of a ClassificationModel exclude"),
        ("classification", {"fl_branch": "one2many"}, "but this model's Classify has a single branch"),
        ("semantic, binary", {"fl_alpha": [0.5, 0.5]}, "a binary semantic model has one logit for both classes"),
        ("YOLOE 26, text", {"fl_alpha": [0.5] * 3}, "the channels of a YOLOEModel are prompts, not classes"),
        ("YOLO11", {"fl_loss": "vfl", "fl_alpha": "auto"}, "in fl_loss=vfl alpha weighs negatives; give numbers, or"),
        ("RT-DETR", {"fl_loss": "mal", "fl_alpha": "auto"}, "in fl_loss=mal alpha weighs negatives; give numbers, or"),
        ("RT-DETR", {"fl_branch": "one2one"}, "but this model's RTDETRDecoder has a single branch"),
    ],
)
def test_a_setting_that_cannot_act_on_a_family_is_refused(enabled, name, given, expected):
    """With the value, the kind of model and the remedy."""
    model = by_name(name).build()
    with pytest.raises(ConfigError) as caught:
        check_family(model, read_config(given), given)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name, row in LOSSES.items() if row.elementwise and row.uses_alpha])
def test_auto_alpha_is_taken_where_alpha_favours_positives(enabled, name):
    """Of a loss whose larger alpha makes its negatives heavier it would hold the rare classes down."""
    logits = torch.zeros(2, 1)
    small, large = (
        LOSSES[name].make(gamma=1.0, alpha=alpha, reduction="none")(logits, torch.tensor([[1.0], [0.0]])).flatten()
        for alpha in (0.2, 0.4)
    )
    given = {"fl_loss": name, "fl_alpha": "auto"}
    refusal = pytest.raises(ConfigError, match="weighs negatives") if large[1] > small[1] else nullcontext()
    with refusal:
        check_family(by_name("YOLO11").build(), read_config(given), given)


def test_the_classes_of_a_classifier_are_the_folders_of_its_dataset(enabled, tmp_path):
    """A list of another length is refused before a training; what is not there yet is not counted."""
    model = by_name("classification").build()
    model.task = "classify"
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
    (tmp_path / "train" / "notes.txt").touch()
    for data, alpha in ((tmp_path, [0.5, 0.4]), (str(tmp_path / "absent"), [0.5] * 7), ("mnist160", [0.5] * 7)):
        check_training(model, {"data": data, "fl_alpha": alpha})
    with pytest.raises(ConfigError, match="fl_alpha has 3 numbers, but the dataset has 2 classes; give one number"):
        check_training(model, {"data": str(tmp_path), "fl_alpha": [0.5, 0.4, 0.3]})
    with pytest.raises(ConfigError, match="with one class: nothing is rarer"):
        check_training(model, {"data": str(tmp_path), "rare_sampling": "auto", "single_cls": True})


@pytest.mark.parametrize("masks", ["", "masks_dir: masks\n"])
@pytest.mark.parametrize("names", ["[a]", "[a, b]", "{0: a, 1: b, 2: c}"])
def test_a_semantic_model_is_judged_by_the_classes_it_will_have(enabled, tiny_data, tmp_path, names, masks):
    """Ultralytics builds it anew for the dataset, of polygons with the background as one class more."""
    from ultralytics.data.utils import add_polygon_background, check_det_dataset

    data = tmp_path / "data.yaml"
    data.write_text(f"path: {tiny_data.parent}\ntrain: images/train\nval: images/val\nnames: {names}\n{masks}")
    number = add_polygon_background(check_det_dataset(str(data)))["nc"]
    for model in (by_name("semantic").build(), by_name("semantic, binary").build()):
        model.task = "semantic"
        fits, other = ("qfl", "softmax") if number == 1 else ("softmax", "qfl")
        check_training(model, {"data": str(data), "fl_loss": fits})
        with pytest.raises(ConfigError, match=f"fl_loss={other} "):
            check_training(model, {"data": str(data), "fl_loss": other})
        with pytest.raises(ConfigError, match="fl_alpha=auto counts labelled boxes, which a Semantic"):
            check_training(model, {"data": str(data), "fl_alpha": "auto"})
        if number > 1:
            check_training(model, {"data": str(data), "fl_alpha": [0.5] * number})
            with pytest.raises(
                ConfigError, match=f"the dataset has {number} classes{'' if masks else ' with the back'}"
            ):
                check_training(model, {"data": str(data), "fl_alpha": [0.5] * (number - 1)})


def test_a_model_without_a_known_class_loss_is_refused_by_name(enabled):
    """Depth estimation has no classes at all, and a foreign module has none that the plugin knows."""
    from ultralytics.nn.tasks import DepthModel

    for model in (DepthModel("yolo26n-depth.yaml", verbose=False), torch.nn.Linear(2, 2)):
        with pytest.raises(
            UnsupportedModelError, match=f"focal cannot act on a {type(model).__name__}: it has no class"
        ):
            check_family(model, read_config({"focal": True}), {"focal": True})
