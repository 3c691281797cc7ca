"""The error type for a mistake of the user; the command line turns it into exit code 2."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something the user gave cannot be used: the text says what, where, and what is allowed."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Say what is allowed instead of `word`, the nearest spelling first.

    Returns: ``did you mean 'epochs'? allowed: batch_size, epochs, ...``.
    """
    names = sorted(allowed)
    close = get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(names)}"
