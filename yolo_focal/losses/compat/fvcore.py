"""In place of `from fvcore.nn import sigmoid_focal_loss, sigmoid_focal_loss_jit`."""

from torch import Tensor

from yolo_focal.losses.focal import sigmoid_focal_loss as focal

__all__ = ["sigmoid_focal_loss", "sigmoid_focal_loss_jit"]


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = -1, gamma: float = 2, reduction: str = "none"
) -> Tensor:
    """`fvcore.nn.sigmoid_focal_loss`: alpha is off where it is not given, which is not torchvision's 0.25.

    Args:
        inputs: logits of any shape.
        targets: in [0, 1], of the same shape.
        alpha: weight of positives in [0, 1], negatives having 1 - alpha; a negative number is off.
        gamma: focusing exponent, >= 0.
        reduction: none, mean or sum.

    Raises:
        ConfigError: an argument is out of range, or the shapes differ.
    """
    return focal(inputs.float(), targets.float(), alpha, gamma, reduction)


sigmoid_focal_loss_jit = sigmoid_focal_loss
"""fvcore's scripted twin; here both are the same function."""
