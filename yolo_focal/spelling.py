"""The known word that was likely meant by one that is not known."""

import difflib
from collections.abc import Iterable

__all__ = ["closest", "did_you_mean"]


def closest(word: str, known: Iterable[str]) -> str | None:
    """The word of `known` most like `word`; None where none is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean 'epochs'?`, or `otherwise` where no word of `known` is near."""
    close = closest(word, known)
    return f"did you mean '{close}'?" if close else otherwise
