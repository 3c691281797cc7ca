"""The outcome of each trial, from which the rows of several tables are made."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lrbench.results.records import Failure, Measurement, Record

Outcome = Measurement | Failure


def outcomes(records: Sequence[Record]) -> list[Outcome]:
    """The last outcome of each trial: that of its last run, where it failed and was run again."""
    last = {record.trial.key: record for record in records if isinstance(record, Measurement | Failure)}
    return list(last.values())


def finished(records: Sequence[Record]) -> Iterator[Measurement]:
    """The outcomes of finished trials."""
    return (record for record in outcomes(records) if isinstance(record, Measurement))


def measured(read: Callable[[Measurement], Any]) -> Callable[[Outcome], Any]:
    """A cell of a finished trial; empty for a failed trial."""
    return lambda row: read(row) if isinstance(row, Measurement) else None


def failed(read: Callable[[Failure], Any]) -> Callable[[Outcome], Any]:
    """A cell of a failed trial; empty for a finished trial."""
    return lambda row: read(row) if isinstance(row, Failure) else None
