"""Where the versions of the code come from: a git revision in a worktree of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lrbench.programs import run_program

CHECKOUT_S = 1800.0
"""Seconds that a checkout may take: of a large repository on a slow disk."""


@contextmanager
def checked_out(repository: Path, revision: str) -> Iterator[Path | str]:
    """A directory that holds a revision, removed afterwards; or a text that says why it is not available."""
    with TemporaryDirectory(prefix="lrbench-base-") as folder:
        root = Path(folder) / "base"
        reason = _refused(repository, "worktree", "add", "--detach", str(root), f"{revision}^{{commit}}")
        if reason:
            yield reason
            return
        try:
            yield root
        finally:
            _refused(repository, "worktree", "remove", "--force", str(root))


def commit_of(folder: Path) -> str:
    """The commit that a checkout stands at."""
    return run_program(["git", "rev-parse", "--short=12", "HEAD"], folder=folder).output


def repository_root(folder: Path) -> Path:
    """The top of the git repository that a folder is in; the folder itself when it is in none."""
    answer = run_program(["git", "rev-parse", "--show-toplevel"], folder=folder)
    return folder if answer.failure else Path(answer.output)


def _refused(repository: Path, *words: str) -> str:
    """Run git; give what it says when it fails, "" when it does not."""
    return run_program(["git", *words], folder=repository, limit_s=CHECKOUT_S).failure
