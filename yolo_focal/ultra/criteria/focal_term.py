"""One loss term that the plugin put in the place of a stock one, in whatever task."""

from typing import Any

import torch
from torch import Tensor, nn

from yolo_focal.arguments.focal import AUTO, FocalConfig
from yolo_focal.losses import EqualizedFocalLoss
from yolo_focal.ultra.criteria.schedule import Schedule

__all__ = ["FocalTerm"]


class FocalTerm(nn.Module):
    """A loss whose gamma follows the epochs of a training, times its gain.

    With fl_gain=auto the gain is found anew in each call, in the pass that computes the loss, so that the sum of
    |derivative| over all logits of the call is that of the cross-entropy it replaces: the loss only redistributes that
    gradient, at any stage of a training. A validation loss is made by the same rule.

    Args:
        config: its settings.
        loss: the loss at full gamma, from logits and targets; its `gamma` can be changed.
        schedule: that of the training it belongs to; None for one outside of any.
        name: of the term among those of its criterion; an equalized focal loss shares what it remembers with all terms
            of this name in the training.

    Attributes:
        gain: that of the latest call, a detached scalar; None before the first.
    """

    def __init__(self, config: FocalConfig, loss: nn.Module, schedule: Schedule | None = None, name: str = "class"):
        super().__init__()
        self.config = config
        self.schedule = schedule or Schedule()
        self.loss: Any = loss
        self.gain: Tensor | None = None
        self.name = name

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Gain times the loss of `logits` against `targets`."""
        self.loss.gamma = self.schedule.gamma(self.config)
        if isinstance(self.loss, EqualizedFocalLoss):  # terms of this name share what they remember, copies included
            self.loss.gradients = self.schedule.gradients_of(self.name)
            self.loss.commits = self.schedule.config is None  # a training does that after each batch
        if self.config.gain != AUTO:
            self.gain = torch.tensor(self.config.gain)
            loss: Tensor = self.loss(logits, targets)
            return loss * self.config.gain
        measured = self.loss.measured(logits, targets)
        self.gain = measured.gain
        gained: Tensor = measured.times(self.gain)
        return gained
