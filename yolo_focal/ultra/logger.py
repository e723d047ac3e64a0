"""Ultralytics' logger, which also says what this package has to say in a training."""

import contextlib
import logging
from collections.abc import Iterator

from yolo_focal.ultra import host

__all__ = ["LOGGER", "is_main_process", "warnings_only"]

LOGGER = logging.getLogger("ultralytics")


def is_main_process() -> bool:
    """Whether this is the process of a distributed training that speaks for all, or the only one."""
    return host.RANK in {-1, 0}


@contextlib.contextmanager
def warnings_only() -> Iterator[None]:
    """Ultralytics' log and its own progress bars are silent inside the block; warnings are not."""
    level = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
