"""Drop-in means drop-in: signature, defaults and values of the functions whose import is replaced."""

import inspect

import pytest
import torch
import torchvision.ops as torchvision_ops

from yolo_focal.losses.compat import fvcore, torchvision

PLACES = {"gamma": 2, "reduction": "none"}


def operands(dtype=torch.float32):
    """Logits and hard targets."""
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(6, 5, generator=generator) < 0.3).to(dtype)
    return torch.randn(6, 5, generator=generator).to(dtype), targets


def arguments_of(function):
    """Names and defaults in order."""
    return [(each.name, each.default) for each in inspect.signature(function).parameters.values()]


def test_torchvision():
    """The peer is installed with Ultralytics."""
    peer = torchvision_ops.sigmoid_focal_loss
    assert arguments_of(torchvision.sigmoid_focal_loss) == arguments_of(peer)
    x, t = operands()
    for changes in ({}, {"alpha": -1}, {"gamma": 3.0}, {"reduction": "mean"}, {"reduction": "sum"}):
        torch.testing.assert_close(torchvision.sigmoid_focal_loss(x, t, **changes), peer(x, t, **changes))


def test_fvcore():
    """Its signature as of 0.1.5; its alpha is off by default, which a positive feels by a factor of four."""
    expected = [("inputs", inspect.Parameter.empty), ("targets", inspect.Parameter.empty)]
    assert arguments_of(fvcore.sigmoid_focal_loss) == [*expected, ("alpha", -1), *PLACES.items()]
    x, t = operands(torch.float64)
    p = torch.sigmoid(x)
    plain = -(t * (1 - p) ** 2 * p.log() + (1 - t) * p**2 * (1 - p).log())
    torch.testing.assert_close(fvcore.sigmoid_focal_loss(x, t).double(), plain, rtol=1e-5, atol=1e-7)
    balanced = (t * 0.25 + (1 - t) * 0.75) * plain
    torch.testing.assert_close(fvcore.sigmoid_focal_loss(x, t, 0.25).double(), balanced, rtol=1e-5, atol=1e-7)
    positives = t > 0
    ratio = fvcore.sigmoid_focal_loss(x, t)[positives] / torchvision.sigmoid_focal_loss(x, t)[positives]
    torch.testing.assert_close(ratio.double(), torch.full_like(ratio, 4).double(), rtol=1e-5, atol=0)


def test_the_installed_fvcore():
    """Where it is installed."""
    peer = pytest.importorskip("fvcore.nn").sigmoid_focal_loss
    assert arguments_of(fvcore.sigmoid_focal_loss) == arguments_of(peer)
    x, t = operands()
    torch.testing.assert_close(fvcore.sigmoid_focal_loss(x, t), peer(x, t))
