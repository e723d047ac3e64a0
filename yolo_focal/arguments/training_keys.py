"""Every training argument of this plugin, whoever reads it."""

from yolo_focal.arguments.anchor import ANCHOR_KEYS
from yolo_focal.arguments.focal import KEYS
from yolo_focal.arguments.key import Key
from yolo_focal.arguments.rare import RARE_KEYS

__all__ = ["TRAINING_KEYS"]

TRAINING_KEYS: dict[str, Key] = {**KEYS, **ANCHOR_KEYS, **RARE_KEYS}
