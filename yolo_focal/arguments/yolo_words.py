"""What the `yolo` command knows as its first word; it says itself what it does not know."""

__all__ = ["VERBS", "YOLO_WORDS"]

VERBS = ("train", "val", "predict", "export", "track", "benchmark")
YOLO_WORDS = (
    *VERBS,
    *("detect", "segment", "semantic", "classify", "pose", "obb", "checks", "version", "settings", "cfg", "copy-cfg"),
    *("login", "logout", "solutions", "help"),
)
