"""Marks of keys whose words are in a table; the table is looked up when a text is checked or help is printed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from lrbench.config.axes import Words
from lrbench.config.names import in_a_row
from lrbench.errors import nearest


@dataclass(frozen=True)
class OneOf:
    """A text that must be a word of a table: `Annotated[str, OneOf("optimizer", lambda: OPTIMIZERS)]`.

    `own` describes what else is allowed, any text with a colon; empty: nothing. Words may be joined by `joint`.
    """

    noun: str
    words: Callable[[], Words]
    own: str = ""
    joint: str = ""

    def check(self, word: str) -> str:
        """The word itself.

        Raises: ValueError with the nearest word and all that are allowed, when the table does not have it.
        """
        words = self.words()
        parts = word.split(self.joint) if self.joint else [word]
        if (set(parts) <= words.keys() and len(set(parts)) == len(parts)) or (self.own and ":" in word):
            return word
        beside = f", or {self.own}" if self.own else ""
        unknown = next((part for part in parts if part not in words), word)
        raise ValueError(f"unknown {self.noun} {unknown!r}: {nearest(unknown, words)}{beside}")

    def explain(self) -> str:
        """Every word with its meaning."""
        return in_a_row(self.words()) + (f"; or `{self.own}`" if self.own else "")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic checks a text with this mark."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True)
class Written:
    """A text whose form `explain` describes; it is checked elsewhere."""

    explain: Callable[[], str]


def marks_of(field: FieldInfo) -> Iterator[OneOf | Written]:
    """The marks of a key, or of its members when it holds several values."""
    for mark in (*field.metadata, *_inside(field.annotation)):
        if isinstance(mark, OneOf | Written):
            yield mark


def _inside(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        yield from _inside(part)
