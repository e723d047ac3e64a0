"""The objective is YOLOv5's, value for value and gradient for gradient."""

import pytest
import torch

from tests.detector import reference
from tests.detector.reference import Setting
from yolo_focal.detector.geometry import complete_iou
from yolo_focal.detector.objective import (
    Gains,
    anchor_objective,
    level_balance,
    next_balance,
    scaled_gains,
)
from yolo_focal.losses import LOSSES

ANCHORS = [
    [[1.25, 1.6], [2.0, 3.75], [4.1, 2.9]],
    [[1.9, 3.8], [3.9, 2.8], [3.7, 7.4]],
    [[3.6, 2.8], [4.9, 6.2], [11.6, 10.2]],
]
GRIDS = [(8, 8), (4, 4), (2, 2)]


def maps_of(seed, classes, batch=2, scale=2.0):
    """Random logits of three levels in float64."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(batch, 3, 5 + classes, *grid, generator=generator, dtype=torch.float64) * scale for grid in GRIDS
    ]


def targets_of(seed, number, classes, batch=2, spread=1.0):
    """Random targets; a small spread crowds them into the middle of the images."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.rand(number, 6, generator=generator, dtype=torch.float64)
    image = (numbers[:, 0] * batch).floor()
    cls = (numbers[:, 1] * classes).floor()
    centre = 0.5 + (numbers[:, 2:4] - 0.5) * spread
    size = 0.04 + numbers[:, 4:] * 0.5
    return torch.cat((image[:, None], cls[:, None], centre, size), 1)


def implemented(maps, targets, setting):
    """The package's terms under `setting`, in the dtype of `maps`."""
    loss = LOSSES["focal" if setting.gamma > 0 else "bce"]

    def criterion(pos_weight):
        positives = torch.tensor(pos_weight, dtype=maps[0].dtype)
        return loss.make(gamma=setting.gamma, alpha=setting.alpha, pos_weight=positives, reduction="mean")

    return anchor_objective(
        maps,
        targets,
        [torch.tensor(level) for level in ANCHORS],
        objectness_criterion=criterion(setting.obj_pw),
        class_criterion=criterion(setting.cls_pw),
        balance=setting.balance,
        anchor_t=setting.anchor_t,
        smoothing=setting.smoothing,
    )


def gradients(terms, maps):
    """Gradient of the sum of the three terms with respect to every logit."""
    total = terms[0] + terms[1] + terms[2]
    found = torch.autograd.grad(total, maps, allow_unused=True)
    return [torch.zeros_like(m) if g is None else g for g, m in zip(found, maps, strict=True)]


CASES = {
    "ordinary": (targets_of(1, 6, 4), 4),
    "no targets": (targets_of(2, 0, 4), 4),
    "one image empty": (targets_of(3, 4, 4) * torch.tensor([0.0, 1, 1, 1, 1, 1], dtype=torch.float64), 4),
    "one class": (targets_of(4, 6, 1), 1),
    "crowded": (targets_of(5, 9, 4, spread=0.05), 4),
    "at the borders": (torch.tensor([[0, 1, 0.01, 0.99, 0.2, 0.3], [1, 0, 0.999, 0.001, 0.3, 0.2]]).double(), 4),
}


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.5, 2.0])
@pytest.mark.parametrize("case", CASES)
def test_terms_and_gradients_are_those_of_the_plain_reference(case, gamma):
    """In float32 all three terms and their gradient agree with the float64 reference to 1e-5 relative."""
    targets, classes = CASES[case]
    setting = Setting(gamma=gamma, obj_pw=1.3, cls_pw=0.7, smoothing=0.1)
    maps = [m.requires_grad_() for m in maps_of(7, classes)]
    expected = reference.objective(maps, targets.tolist(), ANCHORS, setting)
    singles = [m.detach().float().requires_grad_() for m in maps]
    found = implemented(singles, targets.float(), setting)
    for name, term, wanted in zip(("box", "objectness", "classes"), found, expected, strict=False):
        assert term.dtype == torch.float32
        torch.testing.assert_close(term.double(), wanted, rtol=1e-5, atol=1e-7, msg=lambda m, n=name: f"{n}: {m}")
    for ours, wanted in zip(gradients(found[:3], singles), gradients(expected, maps), strict=True):
        torch.testing.assert_close(ours.double(), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


# One level of 2 x 2 cells with one 1 x 1 anchor, two classes, two targets that claim one cell: the logits of the four
# cells, then for each gamma the box, objectness and class term and the gradient of their sum in the third cell.
LITERAL_LOGITS = [
    [0.3, -0.5, 0.2, 0.8, -1.2, 0.6, -0.9],
    [-0.4, 0.1, -0.7, 0.5, 0.9, 1.4, -2.0],
    [1.1, -1.3, 0.4, -0.2, -3.0, 0.0, 0.7],
    [0.2, 0.6, -0.1, -0.8, 2.5, -1.1, 0.3],
]
LITERAL_TARGETS = [[0, 1, 0.3, 0.7, 0.5, 0.4], [0, 0, 0.35, 0.65, 0.6, 0.45]]
LITERAL_BOX_GRADIENT = [0.050300310, -0.090869015, -0.026764040, -0.049105620]
LITERAL = {
    0.0: ((1.041145981, 5.151138791, 0.674166510), [-0.285149624, 0.008333333, 0.033561499]),
    0.5: ((1.041145981, 3.080446604, 0.255734728), [-0.074265665, 0.018234473, 0.033892629]),
    1.5: ((1.041145981, 2.384072141, 0.146101639), [-0.010196397, 0.013666247, 0.032774373]),
    2.0: ((1.041145981, 2.175930179, 0.112417411), [-0.002988841, 0.011271814, 0.030882146]),
}


@pytest.mark.parametrize("gamma", LITERAL)
def test_literal_numbers(gamma):
    """A small batch in float32 gives the numbers written here."""
    maps = [torch.tensor(LITERAL_LOGITS).T.reshape(1, 1, 7, 2, 2).requires_grad_()]
    positives = {"objectness": torch.tensor(1.5), "classes": torch.tensor(0.8)}
    made = {
        name: LOSSES["focal" if gamma else "bce"].make(gamma=gamma, alpha=0.25, pos_weight=weight, reduction="mean")
        for name, weight in positives.items()
    }
    found = anchor_objective(
        maps,
        torch.tensor(LITERAL_TARGETS),
        [torch.tensor([[1.0, 1.0]])],
        objectness_criterion=made["objectness"],
        class_criterion=made["classes"],
        balance=(4.0,),
        smoothing=0.1,
    )
    terms, gradient = LITERAL[gamma]
    assert [term.item() for term in found[:3]] == pytest.approx(terms, rel=1e-5)
    (ours,) = torch.autograd.grad(found.box + found.objectness + found.classes, maps)
    third = ours.reshape(7, 4)[:, 2].tolist()
    assert third == pytest.approx(LITERAL_BOX_GRADIENT + gradient, rel=1e-5, abs=1e-8)


def test_one_target_by_hand():
    """All logits 0, one target that fills its anchor at a cell's centre: every term follows with pencil and paper."""
    targets = torch.tensor([[0.0, 1.0, 0.4375, 0.4375, 0.25, 0.46875]])  # x = y = 3.5 cells, 2 x 3.75 cells: anchor 1
    maps = [torch.zeros(1, 3, 7, *grid) for grid in GRIDS]
    narrow = Setting(anchor_t=1.01)
    found = implemented(maps, targets, narrow)
    # Decoded: centre 0.5, size 1 anchor, so CIoU is 1, the box term 0 and the objectness target 1 in one cell of 192.
    ln2 = 0.6931471805599453
    assert found.box.item() == pytest.approx(0, abs=1e-6)
    assert found.objectness.item() == pytest.approx((4.0 + 1.0 + 0.4) * ln2, rel=1e-6)
    assert found.classes.item() == pytest.approx(ln2, rel=1e-6)


def test_half_precision_logits_are_judged_in_float32():
    """bfloat16 logits give the loss of the same numbers in float32, and a float32 result."""
    targets, classes = CASES["ordinary"]
    halves = [m.bfloat16() for m in maps_of(7, classes)]
    found = implemented(halves, targets.float(), Setting(gamma=1.5))
    expected = implemented([m.float() for m in halves], targets.float(), Setting(gamma=1.5))
    for ours, wanted in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, wanted)


def test_every_logit_of_a_level_takes_part_in_objectness():
    """Without targets the gradient reaches all objectness logits and nothing else."""
    maps = [m.requires_grad_() for m in maps_of(3, 4)]
    found = implemented(maps, torch.zeros(0, 6), Setting())
    for gradient in gradients(found[:3], maps):
        assert (gradient[:, :, 4] != 0).all()
        assert gradient[:, :, :4].abs().sum() == gradient[:, :, 5:].abs().sum() == 0


def test_gains_scale_with_levels_classes_and_image_size():
    """The gains become box * 3/nl, cls * nc/80 * 3/nl, obj * (imgsz/640)^2 * 3/nl."""
    gains = scaled_gains(Gains(0.05, 1.0, 0.5), levels=4, number_of_classes=20, imgsz=1280)
    assert gains.box == pytest.approx(0.05 * 0.75)
    assert gains.objectness == pytest.approx(4 * 0.75)
    assert gains.classes == pytest.approx(0.5 * 0.25 * 0.75)


def test_automatic_balance_follows_the_formula():
    """Each weight becomes 0.9999 b + 0.0001 / loss, then divided by the reference level's."""
    moved = next_balance((4.0, 1.0, 0.4), (0.01, 0.02, 0.05), reference_level=1)
    raw = [0.9999 * 4 + 0.01, 0.9999 * 1 + 0.005, 0.9999 * 0.4 + 0.002]
    assert moved == pytest.approx([value / raw[1] for value in raw])
    assert moved[1] == 1


def test_automatic_balance_stays_a_number_where_a_loss_is_0():
    """As a large gamma makes it without targets."""
    moved = next_balance((4.0, 1.0, 0.4), (0.0, 0.02, 0.0), reference_level=1)
    assert all(0 < value < float("inf") for value in moved) and moved[1] == 1


@pytest.mark.parametrize(("levels", "balance"), [(3, (4.0, 1.0, 0.4)), (4, (4.0, 1.0, 0.25, 0.06))])
def test_balance_by_number_of_levels(levels, balance):
    """P5 and P6 models start from YOLOv5's weights."""
    assert level_balance(levels) == balance


def test_an_overlap_that_rounding_lifts_above_one_is_a_target_of_one():
    """A confident prediction of the very box would otherwise have a factor below 0, whose root is NaN."""
    sizes = 0.1 + 3 * torch.rand(4000, 2, generator=torch.Generator().manual_seed(0))
    boxes = torch.cat((torch.full_like(sizes, 0.5), sizes), 1)
    overlap, place = complete_iou(boxes, boxes).max(0)
    assert overlap > 1
    logits = torch.zeros(1, 1, 7, 4, 4)  # the centre of the cell, and the size of the anchor
    logits[:, :, 4] = 30.0
    targets = torch.tensor([[0.0, 0.0, 1.5 / 4, 1.5 / 4, *(sizes[place] / 4).tolist()]])
    seen = []

    def criterion(x, t):
        seen.append(t)
        return LOSSES["focal"].make(gamma=1.5, alpha=0.25, reduction="mean")(x, t)

    made = anchor_objective(
        [logits], targets, [sizes[place][None]], objectness_criterion=criterion, class_criterion=criterion, balance=(1,)
    )
    assert seen[-1].max() == 1 and made.objectness.isfinite()
