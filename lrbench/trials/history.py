"""What a log holds and what a run adds to it, so that each attempt is numbered and nothing is written twice."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lrbench.results.records import Failure, Measurement, Record, Spectra
from lrbench.results.sessions import Environment


class History:
    """The records of a log, and those of a run since: its own list, in the order in which they were made."""

    def __init__(self, held: Iterable[Record]) -> None:
        """Take over what is there."""
        self._records: list[Record] = []
        self._attempts: Counter[str] = Counter()
        self._spectra: set[tuple[str, str | None, str, str]] = set()
        self._environments: set[str] = set()
        for record in held:
            self._note(record)

    @property
    def records(self) -> tuple[Record, ...]:
        """All of them up to now."""
        return tuple(self._records)

    def new(self, records: Iterable[Record]) -> Iterator[Record]:
        """Records as they are to be written: attempts numbered, of environments and spectra what is not there yet."""
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
