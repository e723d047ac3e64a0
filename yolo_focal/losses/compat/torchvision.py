"""In place of `from torchvision.ops import sigmoid_focal_loss`."""

from torch import Tensor

from yolo_focal.losses.focal import sigmoid_focal_loss as focal

__all__ = ["sigmoid_focal_loss"]


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Tensor:
    """`torchvision.ops.sigmoid_focal_loss`: alpha is 0.25 where it is not given, and negative is off.

    Arguments, shapes and errors are those of `yolo_focal.losses.sigmoid_focal_loss`.
    """
    return focal(inputs, targets, alpha, gamma, reduction)
