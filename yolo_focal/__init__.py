"""Focal-family losses and rare-class sampling for Ultralytics YOLO.

Importing this package changes nothing and imports neither Ultralytics nor torch. `enable()` switches the plugin on for
stock `ultralytics.YOLO`; `disable()` takes every patch back. The other functions are the commands of `yolo-focal`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yolo_focal.api import calibrate, compare, convert, doctor, evaluate, subset, tune

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "calibrate",
    "compare",
    "convert",
    "disable",
    "doctor",
    "enable",
    "evaluate",
    "subset",
    "tune",
]


def enable() -> None:
    """Teach Ultralytics, in this process, the training arguments of this plugin. Calling it twice is the same as once.

    Raises:
        UnsupportedUltralyticsError: the installed Ultralytics lacks a place that the plugin has to reach;
            the message lists every missing one.
    """
    from yolo_focal.ultra import plugin

    plugin.install()


def disable() -> None:
    """Take back everything `enable()` changed. Criteria that already exist keep the loss they were built with."""
    from yolo_focal.ultra import plugin

    plugin.uninstall()


def __getattr__(name: str) -> Any:
    if name in __all__:
        from yolo_focal import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
