"""Recorded benchmarks: times are kept for people to read, but none may vanish."""

from collections.abc import Iterator

from lrbench.gate.folders import Folder
from lrbench.gate.verdicts import Verdict, Word


def judge_benchmarks(base: Folder, current: Folder) -> Iterator[Verdict]:
    """Judge whether every benchmark of either side is there; its seconds are shown, never judged.

    Args:
        base: what is judged against.
        current: what is judged.
    """
    old, new = base.benchmarks, current.benchmarks
    for name in dict.fromkeys((*old, *new)):
        word: Word = "missing" if name not in new else "new" if name not in old else "ok"
        reasons = {"missing": f"deleted, renamed or disabled in {current.path}", "new": f"not in {base.path}"}
        yield Verdict(
            name=name,
            tier="exact",
            figure="benchmark",
            verdict=word,
            baseline=old.get(name),
            current=new.get(name),
            reason=reasons.get(word, "still there; its time is recorded, not judged"),
        )
