"""The progress bar of this package: a bar on a terminal, and a plain line for every tenth anywhere else."""

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

from yolo_focal.console import is_quiet

__all__ = ["open_bar", "progress_bar"]

T = TypeVar("T")


class _Lines(tqdm):  # type: ignore[type-arg]
    """What a log file or a pipe gets: no control codes, ten lines at most."""

    tenths = 0

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        tenths = int(10 * self.n / self.total) if self.total else 0
        if tenths > self.tenths:
            self.tenths = tenths
            self.fp.write(f"{self}\n")

    def close(self) -> None:
        self.display()
        self.fp = io.StringIO()  # for the empty line that ends a bar on a terminal
        super().close()


def open_bar(
    total: int | None, label: str, *, initial: int = 0, unit: str = "it", items: Iterable[Any] | None = None
) -> Any:
    """A bar to be moved by `update(n)`, renamed by `set_description` and closed by `close()`, on stderr.

    Args:
        total: steps in all; None where that is not known, or told by the length of `items`.
        label: in front of it.
        initial: steps that are done already.
        unit: of a step.
        items: each is a step, of a loop over the bar.
    """
    kind = tqdm if sys.stderr.isatty() or is_quiet() else _Lines
    return kind(items, label, total, initial=initial, unit=unit, mininterval=0.2, disable=is_quiet(), **_width())


def _width() -> dict[str, Any]:
    """The terminal's, followed when it changes; some, as those of containers, say that it is 0."""
    with contextlib.suppress(OSError, ValueError):  # no terminal
        if os.get_terminal_size(sys.stderr.fileno()).columns == 0:
            return {"ncols": 80, "nrows": 24}
    return {"dynamic_ncols": True}


def progress_bar(items: Iterable[T], label: str, *, total: int | None = None) -> Iterator[T]:
    """Iterate over `items` with a progress bar called `label`; `total` where they have no length."""
    return iter(open_bar(total, label, items=items))
