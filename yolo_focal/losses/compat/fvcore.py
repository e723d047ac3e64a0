"""In place of `from fvcore.nn import sigmoid_focal_loss, sigmoid_focal_loss_jit`."""

from torch import Tensor

from yolo_focal.losses.focal import sigmoid_focal_loss as focal

__all__ = ["sigmoid_focal_loss", "sigmoid_focal_loss_jit"]


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = -1, gamma: float = 2, reduction: str = "none"
) -> Tensor:
    """`fvcore.nn.sigmoid_focal_loss`: alpha is off where it is not given, which is not torchvision's 0.25.

    Arguments, shapes and errors are those of `yolo_focal.losses.sigmoid_focal_loss`.
    """
    return focal(inputs.float(), targets.float(), alpha, gamma, reduction)


sigmoid_focal_loss_jit = sigmoid_focal_loss
"""fvcore's scripted twin; here both are the same function."""
