"""What the `yolo` command knows as its first word; it says itself what it does not know."""

__all__ = ["SPECIAL", "VERBS", "YOLO_WORDS"]

VERBS = ("train", "val", "predict", "export", "track", "benchmark")
SPECIAL = ("checks", "version", "settings", "cfg", "copy-cfg", "login", "logout", "solutions")  # without a model
YOLO_WORDS = (*VERBS, "detect", "segment", "semantic", "classify", "pose", "obb", *SPECIAL, "help")
