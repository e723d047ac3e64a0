"""The progress bar of the data tools: Ultralytics' own, so that a whole run looks the same."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["progress_bar"]

T = TypeVar("T")


def progress_bar(items: Iterable[T], label: str, *, total: int | None = None, show: bool = True) -> Iterator[T]:
    """Iterate over `items` with a progress bar called `label`; silent where `show` is False."""
    if not show:
        return iter(items)
    from ultralytics.utils import TQDM  # lazily: reading and drawing data must not cost this import

    return iter(TQDM(items, desc=label, total=total))
