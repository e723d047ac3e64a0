"""The class criterion acts in every box task, on every branch, and on nothing else."""

import copy
import pickle

import pytest
import torch
from torch import nn

from tests.ultra.helpers import batch_of, build
from yolo_focal.arguments.focal import FocalConfig
from yolo_focal.errors import ConfigError, UnsupportedModelError
from yolo_focal.ultra.criteria.detection import ClassCriterion, box_criteria
from yolo_focal.ultra.families import start_line


def test_without_focal_the_criterion_is_stock(enabled):
    """The plugin being enabled does not touch a run with focal off."""
    criterion = build("yolo11n.yaml").init_criterion()
    assert type(criterion.bce) is nn.BCEWithLogitsLoss
    assert start_line(criterion) is None


@pytest.mark.parametrize("branch", ["one2many", "one2one"])
def test_one_branch_of_an_end_to_end_head_can_have_the_loss_alone(enabled, branch):
    """The other branch keeps BCE, and the start line names the one."""
    criterion = build("yolo26n.yaml", fl_branch=branch).init_criterion()
    acting = [name for name, inner in box_criteria(criterion).items() if isinstance(inner.bce, ClassCriterion)]
    assert acting == [branch]
    assert f" on {branch};" in start_line(criterion)


@pytest.mark.parametrize(("yaml", "task"), [("yolo11n.yaml", "detect"), ("yolo26n-obb.yaml", "obb")])
def test_class_weights_act_once(enabled, yaml, task):
    """With gamma 0, Ultralytics' class weights give the same loss inside the sum as outside of it."""
    weights = torch.tensor([0.5, 1.0, 3.0])
    losses = []
    for changes in ({}, {"fl_gamma": 0.0, "fl_alpha": -1}):
        model = build(yaml, **changes)
        model.class_weights = weights
        torch.manual_seed(1)
        losses.append(model.loss(batch_of(task=task))[1]["cls_loss"])
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-6)
    plain = build(yaml, fl_gamma=0.0, fl_alpha=-1).loss(batch_of(task=task))[1]["cls_loss"]
    assert not torch.isclose(plain, losses[1], rtol=1e-3)


def test_the_gain_is_a_factor_on_the_class_loss_alone(enabled):
    """fl_gain=8 makes the class loss eight times as large."""
    one = build("yolo11n.yaml", fl_gain=1.0).loss(batch_of())[1]
    eight = build("yolo11n.yaml", fl_gain=8.0).loss(batch_of())[1]
    torch.testing.assert_close(eight["cls_loss"], 8 * one["cls_loss"])
    torch.testing.assert_close(eight["box_loss"], one["box_loss"])


def test_one_alpha_per_class_weighs_each_class_by_its_own(enabled):
    """With alpha 1 for one class and 0.5 for the others, only the first's negatives stop counting."""
    model = build("yolo11n.yaml", fl_gamma=0.0, fl_alpha=[1.0, 0.5, 0.5], fl_gain=1.0)
    criterion = model.init_criterion()
    logits = torch.zeros(1, 7, 3, requires_grad=True)
    criterion.bce(logits, torch.zeros(1, 7, 3)).backward()
    assert torch.equal(logits.grad[..., 0], torch.zeros(1, 7))
    torch.testing.assert_close(logits.grad[..., 1:], torch.full((1, 7, 2), 0.25))


def test_a_list_of_the_wrong_length_is_refused_when_the_criterion_is_built(enabled):
    """The number of classes is known there at the latest."""
    with pytest.raises(ConfigError, match="fl_alpha has 2 numbers, but the dataset has 3 classes"):
        build("yolo11n.yaml", fl_alpha=[0.5, 0.5]).init_criterion()


def test_a_criterion_that_sums_the_class_loss_itself_is_refused(enabled):
    """It would take the sum for the elements; one that only adds a term of its own is trained."""
    from ultralytics.utils.loss import v8DetectionLoss

    class Weighted(v8DetectionLoss):
        """Weighs the elements."""

        def loss(self, preds, batch):
            """As it likes."""
            return self.bce(preds, batch).mul(2).sum()

    class Longer(v8DetectionLoss):
        """Has a term more."""

        def loss(self, preds, batch):
            """Beside those of Ultralytics."""
            return super().loss(preds, batch) + 1

    model = build("yolo11n.yaml", focal=True)
    with pytest.raises(UnsupportedModelError, match=r"Weighted\.loss computes the class loss from self\.bce"):
        Weighted(model)
    assert isinstance(Longer(model).bce, ClassCriterion)


@pytest.mark.parametrize("yaml", ["yolo11n.yaml", "yolo26n.yaml"])
def test_a_batch_without_objects_has_a_finite_loss(enabled, yaml):
    """Background alone still trains."""
    total, items = build(yaml, focal=True).loss(batch_of(objects=0))
    total.sum().backward()
    assert all(torch.isfinite(value).all() for value in items.values())
    assert items["cls_loss"] > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_and_targets_keep_their_gradient(dtype):
    """At YOLO's initial bias the gradient of an easy negative is representable and is not lost."""
    criterion = ClassCriterion(FocalConfig(gamma=1.5, alpha=None))
    logits = torch.full((1, 4, 3), -4.0, dtype=dtype, requires_grad=True)
    loss = criterion(logits, torch.zeros(1, 4, 3, dtype=dtype))
    loss.backward()
    assert loss.dtype == torch.float32
    assert (logits.grad > 0).all()


def test_the_criterion_can_be_copied_pickled_and_adds_no_state():
    """EMA deep-copies models, DDP pickles them, and strict loading compares state dictionaries."""
    criterion = ClassCriterion(FocalConfig(alpha=(0.2, 0.3, 0.4)))
    logits, targets = torch.randn(2, 5, 3), torch.rand(2, 5, 3)
    expected = criterion(logits, targets)
    for twin in (copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):
        torch.testing.assert_close(twin(logits, targets), expected)
    assert not criterion.state_dict() and not list(criterion.parameters())


def test_validation_builds_the_same_criterion(enabled):
    """The EMA copy has the settings of the model it follows."""
    from ultralytics.utils.torch_utils import ModelEMA

    model = build("yolo11n.yaml", fl_gamma=0.5, fl_loss="qfl")
    ema = ModelEMA(model)
    ema.update_attr(model, include=["args"])
    assert ema.ema.init_criterion().bce.config == model.init_criterion().bce.config == FocalConfig("qfl", 0.5)
