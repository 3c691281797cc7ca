"""The records of a log and those that a run adds, so that attempts are numbered and nothing is written twice."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lrbench.results.environment import Environment
from lrbench.results.records import Failure, Measurement, Record, Spectra


class History:
    """The records of a log and those of the run since, in the order in which they were made."""

    def __init__(self, held: Iterable[Record]) -> None:
        """Start with the records of the log."""
        self._records: list[Record] = []
        self._attempts: Counter[str] = Counter()
        self._spectra: set[tuple[str, str | None, str, str]] = set()
        self._environments: set[str] = set()
        for record in held:
            self._note(record)

    @property
    def records(self) -> tuple[Record, ...]:
        """All records up to now."""
        return tuple(self._records)

    def new(self, records: Iterable[Record]) -> Iterator[Record]:
        """Records as they are written: attempts numbered, without environments and spectra that the log has already."""
        for record in records:
            if (fresh := self._fresh(record)) is not None:
                self._note(fresh)
                yield fresh

    def _fresh(self, record: Record) -> Record | None:
        if isinstance(record, Measurement | Failure):
            return replace(record, attempt=self._attempts[record.trial.key] + 1)
        if isinstance(record, Spectra):
            place = (record.baseline, record.trial, record.scheme)
            layers = tuple(layer for layer in record.layers if (*place, layer.layer) not in self._spectra)
            return replace(record, layers=layers) if layers else None
        if isinstance(record, Environment):
            return None if record.key in self._environments else record
        return record

    def _note(self, record: Record) -> None:
        self._records.append(record)
        if isinstance(record, Measurement | Failure):
            self._attempts[record.trial.key] += 1
        elif isinstance(record, Spectra):
            place = (record.baseline, record.trial, record.scheme)
            self._spectra.update((*place, layer.layer) for layer in record.layers)
        elif isinstance(record, Environment):
            self._environments.add(record.key)
