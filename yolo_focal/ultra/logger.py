"""Ultralytics' logger, which also says what this package has to say in a training."""

import contextlib
import logging
from collections.abc import Iterator

from yolo_focal.ultra import host

__all__ = ["LOGGER", "is_main_process", "silence", "warnings_only"]

LOGGER = logging.getLogger("ultralytics")


def is_main_process() -> bool:
    """Whether this is the process of a distributed training that speaks for all, or the only one."""
    return host.RANK in {-1, 0}


def warnings_only() -> contextlib.AbstractContextManager[None]:
    """Ultralytics' log and its own progress bars are silent inside the block; warnings are not."""
    return _from_level(logging.WARNING)


def silence() -> contextlib.AbstractContextManager[None]:
    """Ultralytics says nothing at all inside the block."""
    return _from_level(logging.CRITICAL + 1)


@contextlib.contextmanager
def _from_level(least: int) -> Iterator[None]:
    level = LOGGER.level
    LOGGER.setLevel(least)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
