"""The table of losses, what its rows build, and what the package exports."""

import copy
import inspect
import pickle

import pytest
import torch

import yolo_focal.losses
from yolo_focal.errors import ConfigError
from yolo_focal.losses import LOSSES, FocalLoss, SoftmaxFocalLoss, object_normalised_weights

ELEMENTWISE = [name for name, row in LOSSES.items() if row.elementwise]


def make(name: str, **kwargs):
    return LOSSES[name].make(**{"gamma": 1.5, "alpha": 0.25, **kwargs})


def test_all_is_sorted_and_complete():
    """`__all__` is sorted, and lists exactly the public names that the package binds."""
    names = yolo_focal.losses.__all__
    assert names == sorted(names)
    bound = {
        name
        for name, value in vars(yolo_focal.losses).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert bound == set(names)


@pytest.mark.parametrize("name", LOSSES)
def test_row_says_what_it_is(name):
    """A row's name is its key, and its texts are single lines without a full stop."""
    row = LOSSES[name]
    assert row.name == name
    for text in (row.summary, row.soft_minimiser):
        assert text and "\n" not in text and not text.endswith(".")


def test_only_softmax_is_not_elementwise():
    """Every loss but softmax can stand where a per-class BCE does."""
    assert [name for name in LOSSES if name not in ELEMENTWISE] == ["softmax"]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_flags_say_which_hyperparameters_act(name):
    """Both gamma and alpha change the loss exactly where the row says so."""
    x, t = torch.linspace(-3, 3, 12).view(3, 4), torch.tensor([0.0, 1.0, 0.3, 0.8]).expand(3, 4)
    row, plain = LOSSES[name], make(name)(x, t)
    assert row.uses_gamma != torch.equal(plain, make(name, gamma=3.0)(x, t))
    assert row.uses_alpha != torch.equal(plain, make(name, alpha=0.6)(x, t))


@pytest.mark.parametrize("name", LOSSES)
def test_criterion_keeps_nothing(name):
    """A criterion has no parameters and an empty state dict, and copies and pickles to an equal one."""
    criterion = make(name, alpha=torch.tensor([0.2, 0.7]), weight=torch.tensor([1.0, 3.0]))
    x = torch.tensor([[0.5, -2.0], [3.0, 1.0]])
    t = torch.tensor([[1.0, 0.0], [0.3, 0.9]]) if name != "softmax" else torch.tensor([1, 0])
    assert not list(criterion.parameters()) and not criterion.state_dict()
    expected = criterion(x, t)
    for clone in (copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):
        assert torch.equal(clone(x, t), expected)
        assert repr(clone) == repr(criterion)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_default_reduction_is_elementwise(name):
    """A row's criterion gives one value for each logit unless a reduction is asked for."""
    x = torch.randn(2, 3)
    assert make(name)(x, torch.zeros(2, 3)).shape == x.shape


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name].uses_gamma])
def test_gamma_is_read_at_every_call(name):
    """A criterion whose gamma is set to g equals one made with g."""
    x = torch.tensor([[0.5, -2.0], [3.0, 1.0]])
    t = torch.tensor([[1.0, 0.0], [0.3, 0.9]]) if name != "softmax" else torch.tensor([1, 0])
    criterion = make(name, gamma=0.0)
    criterion.gamma = 2.5
    assert torch.equal(criterion(x, t), make(name, gamma=2.5)(x, t))


def test_repr_names_the_loss_and_its_settings():
    """The repr of a criterion is what a start line can print."""
    assert repr(make("focal")) == "focal(gamma=1.5, alpha=0.25)"
    assert repr(make("qfl", alpha=-1)) == "qfl(gamma=1.5, alpha=off)"
    assert repr(make("bce")) == "bce"
    assert repr(make("asl")) == "asl(gamma_pos=0, gamma_neg=1.5, clip=0.05)"
    assert repr(make("vfl", alpha=[0.1, 0.2, 0.3, 0.4])) == "vfl(gamma=1.5, alpha=[0.1, 0.2, 0.3, ...])"


@pytest.mark.parametrize(
    ("criterion", "function"),
    [
        ("QualityFocalLoss", "quality_focal_loss"),
        ("VarifocalLoss", "varifocal_loss"),
        ("AsymmetricLoss", "asymmetric_loss"),
        ("MatchabilityAwareLoss", "matchability_aware_loss"),
        ("PolyLoss", "poly_loss"),
        ("EqualizedFocalLoss", "equalized_focal_loss"),
        ("SoftmaxFocalLoss", "softmax_focal_loss"),
    ],
)
def test_a_criterion_has_the_defaults_of_its_function(criterion, function):
    """Hyperparameters that are left out are the same in both; `FocalLoss` has those of YOLOv5's class instead."""
    of_both = [inspect.signature(getattr(yolo_focal.losses, name)).parameters for name in (criterion, function)]
    shared = (of_both[0].keys() & of_both[1].keys()) - {"reduction"}
    first, second = ({name: parameters[name].default for name in shared} for parameters in of_both)
    assert first == second


def test_focal_loss_leaves_the_wrapped_criterion_alone():
    """FocalLoss takes reduction, weight and pos_weight from a criterion, which stays as it was."""
    wrapped = torch.nn.BCEWithLogitsLoss(
        weight=torch.tensor([1.0, 2.0]), pos_weight=torch.tensor([3.0, 4.0]), reduction="sum"
    )
    before = copy.deepcopy(wrapped)
    focal = FocalLoss(wrapped, gamma=0, alpha=None)
    x, t = torch.tensor([[0.5, -2.0]]), torch.tensor([[1.0, 0.2]])
    torch.testing.assert_close(focal(x, t), wrapped(x, t))
    assert wrapped.reduction == before.reduction == "sum"
    assert wrapped.state_dict().keys() == before.state_dict().keys()
    assert all(torch.equal(value, before.state_dict()[key]) for key, value in wrapped.state_dict().items())


@pytest.mark.parametrize("power", [0.0, 0.25, 0.5, 1.0])
def test_object_normalised_weights_are_1_for_an_object_on_average(power):
    """n^-q sum(n) / sum(n^(1-q)), where the cap does not act."""
    counts = torch.tensor([100, 60, 25])
    n = counts.double()
    expected = n**-power * n.sum() / (n ** (1 - power)).sum()
    found = object_normalised_weights(counts, power).double()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close((found * n).sum() / n.sum(), torch.tensor(1.0, dtype=torch.float64), rtol=1e-6, atol=0)


def test_object_normalised_weights_are_capped():
    """A class of three boxes among thousands has five times the weight of the largest; one without any the smallest."""
    weights = object_normalised_weights(torch.tensor([9000, 3, 0]), 1.0)
    torch.testing.assert_close(weights[1] / weights[0], torch.tensor(5.0))
    assert weights[2] == weights[0]


@pytest.mark.parametrize(
    ("counts", "power", "message"),
    [
        ([1, 2], 1.5, "power must be in"),
        ([1, -2], 0.5, "counts must be finite"),
        ([0, 0], 0.5, "an object of some class"),
    ],
)
def test_object_normalised_weights_refuse(counts, power, message):
    """What cannot be weighed."""
    with pytest.raises(ConfigError, match=message):
        object_normalised_weights(torch.tensor(counts), power)


def test_the_defaults_of_yolov5_s_class_and_of_cross_entropy_s():
    """Gamma 1.5 and alpha 0.25; the mean, as `nn.CrossEntropyLoss` has it."""
    assert (FocalLoss().gamma, FocalLoss().alpha, FocalLoss().reduction) == (1.5, 0.25, "mean")
    assert SoftmaxFocalLoss().reduction == torch.nn.CrossEntropyLoss().reduction
