"""Where the versions of the code come from: a git revision in a worktree of its own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


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
    words = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False).stdout.strip()


def repository_root(folder: Path) -> Path:
    """The top of the git repository that a folder is in; the folder itself when it is in none."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:
        return folder
    return Path(done.stdout.strip()) if done.returncode == 0 else folder


def _refused(repository: Path, *words: str) -> str:
    """Run git; give what it says when it fails, "" when it does not."""
    try:
        done = subprocess.run(["git", *words], cwd=repository, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"git cannot be run: {error}"
    return (done.stderr.strip().splitlines() or ["git failed"])[-1] if done.returncode else ""
