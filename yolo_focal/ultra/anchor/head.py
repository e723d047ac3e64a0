"""The anchor head on Ultralytics' engine: forward only. Assignment, loss and decoding are functions of tensors."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from yolo_focal.detector.anchors import LevelAnchors
from yolo_focal.detector.decode import BOX_AND_OBJECTNESS, decode_maps, objectness_and_class_start
from yolo_focal.ultra import host

__all__ = ["AnchorDetect", "anchor_head", "last_layer"]


class AnchorDetect(host.Detect):  # type: ignore[misc]
    """YOLOv5's head: for each cell and anchor a box, an objectness and a score per class.

    It is a `Detect` because Ultralytics asks `isinstance(head, Detect)` when it builds, moves, fuses, loads and exports
    a model. In training it returns `{"maps": logits per level, "feats": features}`, each map of shape (batch, anchors,
    5 + classes, rows, columns); in evaluation `(decoded, that dictionary)`, decoded of shape (batch, 4 + classes, N)
    in pixels; in export decoded alone.

    Args:
        nc: number of classes.
        anchors: sizes in pixels, the same number of anchors on each level.
        ch: channels of the features of each level.
    """

    def __init__(self, nc: int, anchors: LevelAnchors, ch: Sequence[int]):
        nn.Module.__init__(self)  # not Detect's: its branches would be built only to be thrown away
        self.nc = nc
        self.nl = len(ch)
        self.na = len(anchors[0])
        self.no = nc + BOX_AND_OBJECTNESS
        self.reg_max = 1
        self.stride = torch.zeros(self.nl)  # set by the model, moved with it
        self.pixels_per_cell: tuple[float, ...] = ()  # the same as plain numbers: exact, and free of device syncs
        self.anchor_pixels = anchors
        self.cv2 = nn.ModuleList()  # upstream iterates over it when loading and fusing
        self.m = nn.ModuleList(nn.Conv2d(channels, self.no * self.na, 1) for channels in ch)

    def forward(self, x: list[Tensor]) -> Any:
        """Logits of each level from its features; decoded boxes and scores too outside training."""
        maps = [self._by_anchor(conv(feature)) for conv, feature in zip(self.m, x, strict=True)]
        raw = {"maps": maps, "feats": x}
        if self.training:
            return raw
        decoded = decode_maps(maps, torch.tensor(self.anchor_pixels), self.pixels_per_cell, xyxy=bool(self.xyxy))
        return decoded if self.export else (decoded, raw)

    def _by_anchor(self, logits: Tensor) -> Tensor:
        batch, _, rows, columns = logits.shape  # by name: an export with dynamic axes keeps them free
        return logits.view(batch, self.na, self.no, rows, columns)

    def bias_init(self) -> None:
        """Start objectness and class biases near the truth; the model calls it once its strides are known."""
        self.pixels_per_cell = tuple(float(stride) for stride in self.stride)
        for conv, stride in zip(self.m, self.pixels_per_cell, strict=True):
            objectness, classes = objectness_and_class_start(stride, self.nc)
            assert isinstance(conv.bias, Tensor)
            bias = conv.bias.data.view(self.na, self.no)
            bias[:, BOX_AND_OBJECTNESS - 1] += objectness
            bias[:, BOX_AND_OBJECTNESS:] += classes

    def grid_anchors(self, device: torch.device) -> list[Tensor]:
        """Anchor sizes in cells: one tensor a level, shape (anchors, 2)."""
        return [
            torch.tensor(level, device=device) / stride
            for level, stride in zip(self.anchor_pixels, self.pixels_per_cell, strict=True)
        ]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle, and enable the plugin: a model with this head cannot be rebuilt for training without it."""
        super().__setstate__(state)
        from yolo_focal import enable

        enable()

    def __deepcopy__(self, memo: dict[int, Any]) -> "AnchorDetect":
        """Copy without `__setstate__`: a copy within a process must not enable a plugin that was disabled."""
        clone = type(self).__new__(type(self))
        memo[id(self)] = clone
        clone.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return clone


def anchor_head(model: Any) -> AnchorDetect | None:
    """The anchor head of a detection model; None where it has another head or no layers."""
    head = last_layer(model)
    return head if isinstance(head, AnchorDetect) else None


def last_layer(model: Any) -> Any:
    """The head of a model of layers; None where it has no layers."""
    layers = getattr(model, "model", None)
    return layers[-1] if isinstance(layers, nn.Sequential) and len(layers) else None
