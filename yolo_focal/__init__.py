"""Focal-family losses for Ultralytics YOLO.

Importing this package changes nothing and does not import Ultralytics. `enable()` switches the plugin on for
stock `ultralytics.YOLO`; `disable()` takes every patch back.
"""

__version__ = "0.1.0"
__all__ = ["__version__", "disable", "enable"]


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
