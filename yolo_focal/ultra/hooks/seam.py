"""How a patch is put in, recognised and taken back; what is patched stands in the other modules of this folder."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from yolo_focal.ultra import host

__all__ = ["MARK", "Patch", "Seam", "seam", "takes"]

MARK = "__yolo_focal_original__"


class Patch(Protocol):
    """Something that `enable()` puts in and `disable()` takes back."""

    def missing(self) -> str | None:
        """The upstream fact that does not hold in the installed Ultralytics, or None where all is there."""

    def install(self) -> None:
        """Put the patch in; a second call changes nothing."""

    def uninstall(self) -> None:
        """Take the patch back; without a patch this changes nothing."""


def _always(_: Any) -> bool:
    return True


def takes(*parameters: str, uses: tuple[str, ...] = ()) -> Callable[[Any], bool]:
    """The `holds` of a seam: a function has exactly these parameters, and its code names all of `uses`."""

    def holds(function: Any) -> bool:
        exactly = tuple(inspect.signature(function).parameters) == parameters
        return exactly and all(name in function.__code__.co_names for name in uses)

    return holds


@dataclass(frozen=True)
class Seam:
    """A function of Ultralytics that is replaced by a wrapper around itself.

    Attributes:
        owner: the name, in `host.NAMES`, of the module or class that holds the function under `name`, and through which
            upstream looks it up.
        name: the function's name there.
        fact: the upstream fact relied on, as a sentence; it is what the user reads when it does not hold.
        wrap: makes the replacement from the original.
        holds: whether the fact holds for the original.
    """

    owner: str
    name: str
    fact: str
    wrap: Callable[[Any], Any]
    holds: Callable[[Any], bool] = _always

    def missing(self) -> str | None:
        """See `Patch`."""
        try:
            current = getattr(host.take(self.owner), self.name)
            return None if self.holds(getattr(current, MARK, current)) else self._sentence()
        except (ImportError, AttributeError):
            return self._sentence()

    def install(self) -> None:
        """See `Patch`."""
        owner = host.take(self.owner)
        original = getattr(owner, self.name)
        if not hasattr(original, MARK):
            replacement = self.wrap(original)
            setattr(replacement, MARK, original)
            self._set(owner, replacement)

    def uninstall(self) -> None:
        """See `Patch`."""
        owner = host.take(self.owner)
        current = getattr(owner, self.name)
        if hasattr(current, MARK):
            self._set(owner, getattr(current, MARK))

    def _set(self, owner: Any, function: Any) -> None:
        static = isinstance(inspect.getattr_static(owner, self.name), staticmethod)
        setattr(owner, self.name, staticmethod(function) if static else function)

    def _sentence(self) -> str:
        return f"{host.NAMES[self.owner].dotted}.{self.name}: {self.fact}"


def seam(place: str, fact: str, holds: Callable[[Any], bool] = _always) -> Callable[[Callable[..., Any]], Seam]:
    """Makes a seam of a function that replaces another, and is called with the original before its own arguments.

    Args:
        place: owner and name of the other, as in `Model.train`.
        fact: see `Seam`.
        holds: see `Seam`.
    """
    owner, name = place.split(".")

    def made(replacement: Callable[..., Any]) -> Seam:
        def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return replacement(original, *args, **kwargs)

            return wrapper

        return Seam(owner, name, fact, wrap, holds)

    return made
