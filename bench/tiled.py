"""A log of as many trials as wanted, made from a real one: its trials again and again, under other names.

None of it is a measurement. Copies keep what a trial's record holds (layers, epochs, answers), so that sizes are those
of real sweeps, and their architectures, as other seeds and recipes would; their answers differ a little.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from typing import Any

import numpy as np

from lrbench.results.keys import digest
from lrbench.results.records import Accuracy, Measurement, Record

FLIPPED = 0.01
"""Share of the answers that a copy changes."""

STAGES = ("truncated", "recalibrated", "finetuned", "search")
"""Accuracies of a record that have answers."""

SEEDS = 3
"""Of a point: every third copy has another layer set."""


def tiled(records: Sequence[Record], trials: int) -> Iterator[Record]:
    """The records of a log with its first finished trials, then copies of these, up to so many."""
    done = [record for record in records if isinstance(record, Measurement)]
    kept = {record.trial.key for record in done[:trials]}
    yield from (record for record in records if not isinstance(record, Measurement) or record.trial.key in kept)
    cut = [record for record in done if record.trial.scheme != "dense"]
    yield from islice((copied(record, number) for number in count(1) for record in cut), max(0, trials - len(done)))


def copied(record: Measurement, number: int) -> Measurement:
    """A trial's copy of this number."""
    random = np.random.default_rng([number, int(record.trial.key, 16) % 2**32])
    trial = replace(
        record.trial,
        key=digest([record.trial.key, number]),
        layer_set=f"{record.trial.layer_set} {number // SEEDS}",
        seed=record.trial.seed + number % SEEDS,
    )
    answers: dict[str, Any] = {
        name: flipped(seen, random) for name in STAGES if (seen := getattr(record, name)) is not None
    }
    return replace(record, trial=trial, **answers)


def flipped(seen: Accuracy, random: np.random.Generator) -> Accuracy:
    """Answers, some of them changed."""
    right = np.unpackbits(np.frombuffer(bytes.fromhex(seen.right), np.uint8), count=seen.samples)
    right ^= random.random(seen.samples) < FLIPPED
    return replace(seen, correct=int(right.sum()), right=np.packbits(right).tobytes().hex())


def lean(records: Sequence[Record], trials: int) -> Iterator[Record]:
    """So many trials without layers, epochs and answers: what a log of very many records can be."""
    first = next(record for record in records if isinstance(record, Measurement))
    seen: dict[str, Any] = {name: bare_of(getattr(first, name)) for name in ("dense", *STAGES)}
    bare = replace(first, layers=(), epochs=(), **seen)
    for number in range(trials):
        yield replace(bare, trial=replace(bare.trial, key=digest([bare.trial.key, number]), seed=number % 1000))


def bare_of(seen: Accuracy | None) -> Accuracy | None:
    """An accuracy without its answers."""
    return None if seen is None else replace(seen, right="")
