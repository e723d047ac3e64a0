"""Every place of Ultralytics that the plugin reaches, and the switch that puts all patches in or takes them back."""

from yolo_focal.errors import UnsupportedUltralyticsError
from yolo_focal.ultra import host, training, training_log
from yolo_focal.ultra.anchor import registration
from yolo_focal.ultra.criteria import class_weights, detection, rtdetr, softmax
from yolo_focal.ultra.hooks import arguments, checkpoints, child_processes, empty_predictions, nms
from yolo_focal.ultra.hooks.seam import Patch
from yolo_focal.ultra.sampling import training_images

__all__ = ["PATCHES", "install", "missing_seams", "uninstall"]

PATCHES: tuple[Patch, ...] = (
    *arguments.PATCHES,
    *class_weights.SEAMS,
    *detection.SEAMS,
    *rtdetr.SEAMS,
    *softmax.SEAMS,
    *training.SEAMS,
    *training_log.SEAMS,
    *training_images.SEAMS,
    *checkpoints.SEAMS,
    *nms.SEAMS,
    *empty_predictions.SEAMS,
    *registration.PATCHES,
    *child_processes.PATCHES,
)


def missing_seams() -> list[str]:
    """One sentence for every upstream fact the plugin relies on that the installed Ultralytics does not meet."""
    missing = [sentence for patch in PATCHES if (sentence := patch.missing()) is not None]
    return list(dict.fromkeys([*host.missing_names(), *missing]))


def install() -> None:
    """Put every patch in, or none.

    Raises:
        UnsupportedUltralyticsError: with the list of missing seams.
    """
    if missing := missing_seams():
        raise UnsupportedUltralyticsError(
            f"ultralytics {host.version()} lacks what yolo_focal has to reach: {'; '.join(missing)}; "
            f"install a supported one: pip install '{host.SUPPORTED}'"
        )
    for patch in PATCHES:
        patch.install()


def uninstall() -> None:
    """Take every patch back."""
    for patch in reversed(PATCHES):
        patch.uninstall()
