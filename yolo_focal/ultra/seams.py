"""Every place of Ultralytics that the plugin reaches, and the switch that puts all patches in or takes them back."""

from yolo_focal.errors import UnsupportedUltralyticsError
from yolo_focal.ultra import (
    anchor_registration,
    children,
    criterion,
    families_rtdetr,
    families_softmax,
    keys,
    saving,
    training,
    validation,
)
from yolo_focal.ultra.patching import Patch

__all__ = ["PATCHES", "install", "missing_seams", "uninstall"]

PATCHES: tuple[Patch, ...] = (
    *keys.PATCHES,
    *criterion.SEAMS,
    *families_rtdetr.SEAMS,
    *families_softmax.SEAMS,
    *training.SEAMS,
    *saving.SEAMS,
    *validation.SEAMS,
    *anchor_registration.PATCHES,
    *children.PATCHES,
)


def missing_seams() -> list[str]:
    """One sentence for every upstream fact the plugin relies on that the installed Ultralytics does not meet."""
    return [sentence for patch in PATCHES if (sentence := patch.missing()) is not None]


def install() -> None:
    """Put every patch in, or none.

    Raises:
        UnsupportedUltralyticsError: with the list of missing seams.
    """
    if missing := missing_seams():
        import ultralytics

        raise UnsupportedUltralyticsError(
            f"ultralytics {ultralytics.__version__} lacks what yolo_focal has to reach: {'; '.join(missing)}; "
            "install a supported one: pip install 'ultralytics>=8.4.104'"
        )
    for patch in PATCHES:
        patch.install()


def uninstall() -> None:
    """Take every patch back."""
    for patch in reversed(PATCHES):
        patch.uninstall()
