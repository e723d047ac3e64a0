"""One loss term that the plugin put in the place of a stock one, in whatever task."""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from yolo_focal.arguments.focal import AUTO, FocalConfig
from yolo_focal.ultra.criteria.schedule import GainMeter, Progress

__all__ = ["FocalTerm", "gradient"]


class FocalTerm(nn.Module):
    """A loss whose gamma follows the epochs of a training, times a gain which that training may measure.

    Args:
        config: its settings.
        loss: the loss at full gamma, from logits and targets; its `gamma` can be changed.
        stock: what stood in its place, with the same reduction; fl_gain=auto compares against its gradient.
        progress: the training it belongs to; None for one outside of any.
    """

    def __init__(self, config: FocalConfig, loss: nn.Module, stock: nn.Module, progress: Progress | None = None):
        super().__init__()
        self._config = config
        self.progress = progress or Progress(config)
        self.loss: Any = loss
        self.stock = stock

    @property
    def config(self) -> FocalConfig:
        """The settings, with the gain as a number once it has been measured."""
        measuring = self._config.gain == AUTO and self.progress.meter is not None
        return self._config if measuring else dataclasses.replace(self._config, gain=self.progress.gain)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Gain times the loss of `logits` against `targets`."""
        if self.progress.meter is not None and torch.is_grad_enabled():
            self.loss.gamma = self._config.gamma
            self.measure(self.progress.meter, logits.detach(), targets)
        self.loss.gamma = self._config.gamma_at(self.progress.epoch)
        loss: Tensor = self.loss(logits, targets)
        return loss * self.progress.gain

    def measure(self, meter: GainMeter, logits: Tensor, targets: Tensor) -> None:
        """Give `meter` both losses' gradients at every entry of `logits` (..., classes) with a target above 0."""
        has_positive = (targets > 0).any(-1)
        logits, targets = logits[has_positive].float(), targets[has_positive].float()
        meter.observe(*(gradient(loss, logits, targets)[targets > 0] for loss in (self.stock, self.loss)))


def gradient(loss: nn.Module, logits: Tensor, targets: Tensor) -> Tensor:
    """Derivative by `logits` of the summed `loss`."""
    variable = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(variable, targets).sum(), variable)[0]
