"""The error type for a mistake of the user, which the command line turns into exit code 2, and what becomes one."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from lrbench.shown import said

ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""What ends a program or a generator; it is nobody's mistake."""


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


@contextmanager
def reading(what: object, bad: str = "cannot be read", *, hint: str = "") -> Iterator[None]:
    """Turn whatever is raised while something foreign is read into an InputError: `WHAT is not valid TOML: why. HINT`.

    No list of exceptions is complete here: a library may raise anything over a file, and its own libraries too. What
    is an InputError already stays as it is; of an error of the system only its reason is told.

    Args:
        what: the file, program or value.
        bad: what is wrong with it.
        hint: what to do about it.
    """
    try:
        yield
    except (InputError, *ENDS):
        raise
    except BaseException as error:  # libraries in Rust panic beside Exception
        wrong = "cannot be read" if isinstance(error, OSError) and error.strerror else bad
        raise InputError(f"{what} {wrong}: {said(error)}{f'. {hint}' if hint else ''}") from error
