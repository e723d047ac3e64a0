"""In place of `from torchvision.ops import sigmoid_focal_loss`."""

from torch import Tensor

from yolo_focal.losses.focal import sigmoid_focal_loss as focal

__all__ = ["sigmoid_focal_loss"]


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Tensor:
    """`torchvision.ops.sigmoid_focal_loss`: alpha is 0.25 where it is not given, and negative is off.

    Args:
        inputs: logits of any shape.
        targets: in [0, 1], of the same shape.
        alpha: weight of positives in [0, 1], negatives having 1 - alpha; a negative number is off.
        gamma: focusing exponent, >= 0.
        reduction: none, mean or sum.

    Raises:
        ConfigError: an argument is out of range, or the shapes differ.
    """
    return focal(inputs, targets, alpha, gamma, reduction)
