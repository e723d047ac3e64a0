"""The SSD loss: what is summed, what it is divided by, and which negatives are mined."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from yolo_focal.losses import MultiBoxLoss, softmax_focal_loss


def batch(positives: list[list[int]], images: int = 2, anchors: int = 30, classes: int = 4) -> tuple[Tensor, ...]:
    """Random predictions; `positives` has for each image the anchors that are matched."""
    generator = torch.Generator().manual_seed(4)
    offsets, targets = torch.randn(2, images, anchors, 4, generator=generator)
    logits = torch.randn(images, anchors, classes, generator=generator)
    labels = torch.zeros(images, anchors, dtype=torch.int64)
    for image, matched in enumerate(positives):
        labels[image, matched] = torch.arange(len(matched)) % (classes - 1) + 1
    return offsets.requires_grad_(), logits.requires_grad_(), targets, labels


def test_hard_negative_mining_is_the_loop_over_images():
    """Box and class loss equal a plain loop that picks each image's three hardest negatives a positive."""
    offsets, logits, targets, labels = batch([[0, 5, 6], [7]])
    box = cls = 0.0
    for image in range(2):
        positive = labels[image] > 0
        losses = F.cross_entropy(logits[image], labels[image], reduction="none")
        hardest = losses[~positive].sort(descending=True).values[: 3 * int(positive.sum())]
        box += F.smooth_l1_loss(offsets[image][positive], targets[image][positive], reduction="sum")
        cls += losses[positive].sum() + hardest.sum()
    found = MultiBoxLoss()(offsets, logits, targets, labels)
    torch.testing.assert_close(found.box, box / 4)
    torch.testing.assert_close(found.cls, cls / 4)
    torch.testing.assert_close(found.total, (box + cls) / 4)


def test_focal_judges_every_anchor():
    """The focal class loss sums over all anchors with 1 - alpha on the background, divided by the positives."""
    offsets, logits, targets, labels = batch([[0, 5, 6], [7]])
    found = MultiBoxLoss("focal", gamma=1.5, alpha=0.3)(offsets, logits, targets, labels)
    expected = softmax_focal_loss(logits.flatten(0, 1), labels.flatten(), [0.7, 0.3, 0.3, 0.3], 1.5, "sum") / 4
    torch.testing.assert_close(found.cls, expected)


@pytest.mark.parametrize("class_loss", ["hard_negative", "focal"])
def test_image_without_objects_gives_no_box_loss(class_loss):
    """Without positives in one image, or in all, box loss and gradients are finite, and 0 where nothing is matched."""
    for positives in ([[], [3]], [[], []]):
        offsets, logits, targets, labels = batch(positives)
        losses = MultiBoxLoss(class_loss)(offsets, logits, targets, labels)
        losses.total.backward()
        assert losses.total.isfinite() and not offsets.grad[0].any()
        assert offsets.grad.isfinite().all() and logits.grad.isfinite().all()
        assert (losses.box == 0) == (positives == [[], []])


def test_empty_images_are_mined_for_nothing_but_judged_by_focal():
    """An image without objects has no mined negatives; the focal loss still learns the background from it."""
    for class_loss, learns in (("hard_negative", False), ("focal", True)):
        offsets, logits, targets, labels = batch([[], [3]])
        MultiBoxLoss(class_loss)(offsets, logits, targets, labels).total.backward()
        assert bool(logits.grad[0].any()) == learns


def test_more_negatives_wanted_than_there_are():
    """Where three times the positives exceed the negatives, all negatives are taken once."""
    offsets, logits, targets, labels = batch([list(range(20)), list(range(30))])
    found = MultiBoxLoss()(offsets, logits, targets, labels)
    torch.testing.assert_close(found.cls, F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / 50)


def test_box_targets_of_unmatched_anchors_are_not_read():
    """Padding in the targets of unmatched anchors, even NaN, changes nothing."""
    offsets, logits, targets, labels = batch([[0, 5], [7]])
    expected = MultiBoxLoss()(offsets, logits, targets, labels).total
    targets[labels == 0] = torch.nan
    assert torch.equal(MultiBoxLoss()(offsets, logits, targets, labels).total, expected)


def test_no_anchors():
    """A batch without anchors or images has loss 0."""
    losses = MultiBoxLoss()(torch.zeros(0, 5, 4), torch.zeros(0, 5, 3), torch.zeros(0, 5, 4), torch.zeros(0, 5).long())
    assert losses.total == 0


def test_one_alpha_for_each_class_background_first():
    """As softmax focal loss has it; and gamma 2 with alpha 0.25 are the defaults."""
    predictions = batch([[0, 5, 6], [7]])
    _, logits, _, labels = predictions
    for loss, alphas in (
        (MultiBoxLoss("focal", 2.0, [0.7, 0.3, 0.2, 0.1]), [0.7, 0.3, 0.2, 0.1]),
        (MultiBoxLoss("focal"), [0.75, 0.25, 0.25, 0.25]),
    ):
        expected = softmax_focal_loss(logits.flatten(0, 1), labels.flatten(), alphas, 2.0, "sum") / 4
        torch.testing.assert_close(loss(*predictions).cls, expected)


def test_a_share_of_a_negative_is_none():
    """Half a negative for each of three positives is one, and for a single positive none."""
    offsets, logits, targets, labels = batch([[0, 5, 6], [7]])
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(2, 30)
    hardest = losses[0][labels[0] == 0].max()
    found = MultiBoxLoss(negative_ratio=0.5)(offsets, logits, targets, labels).cls
    torch.testing.assert_close(found, (losses[labels > 0].sum() + hardest) / 4)
