"""Other programs: run, waited for as long as is stated, and what they say as text."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrbench.shown import said

LIMIT_S = 120.0
"""Seconds that a program may take unless it is said otherwise."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a program said: its output without the last line's end, and why it failed, "" when it did not."""

    output: str
    failure: str = ""


def run_program(words: Sequence[str], *, folder: Path, limit_s: float = LIMIT_S) -> Answer:
    """Run a program in a folder, without input. A program that is absent, slow or fails is an answer, not an error.

    File names in its output that are not valid UTF-8 are kept as Python keeps them.
    """
    try:
        done = subprocess.run(
            list(words), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=limit_s
        )
    except subprocess.TimeoutExpired:
        return Answer(output="", failure=f"{words[0]} did not end within {limit_s:g} s")
    except (OSError, ValueError) as error:
        return Answer(output="", failure=f"{words[0]} cannot be run: {said(error)}")
    output, errors = (text.decode("utf-8", "surrogateescape").rstrip("\n") for text in (done.stdout, done.stderr))
    if done.returncode == 0:
        return Answer(output=output)
    return Answer(output=output, failure=(errors.strip().splitlines() or [f"{words[0]} failed"])[-1])
