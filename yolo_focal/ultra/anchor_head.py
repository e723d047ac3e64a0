"""The class path in checkpoints of version 0.1, which name the head by the module it was in then."""

from yolo_focal.ultra.anchor.head import AnchorDetect

__all__ = ["AnchorDetect"]
