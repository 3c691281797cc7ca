"""Read a user's TOML into a frozen choice; every mistake becomes one clear error."""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lrbench.config.choice import Choice
from lrbench.errors import InputError, nearest, reading
from lrbench.shown import LONGEST, shown

C = TypeVar("C", bound=Choice)

LISTED = 20
"""Mistakes of a document that are told at most."""


def read_toml(path: Path, *, what: str) -> dict[str, Any]:
    """The document in a TOML file; errors call it `what`.

    Raises: InputError when the file cannot be read or is not valid TOML.
    """
    with reading(f"{what} {path}", "is not valid TOML"):
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))


def validate(choice: type[C], document: Mapping[str, Any], *, where: str) -> C:
    """A document as a choice; errors name `where` it came from.

    Raises: InputError with each wrong key and what is allowed.
    """
    with reading(where, "cannot be used"):
        text = json.dumps(document, default=_plain, ensure_ascii=False)
        try:
            return choice.model_validate_json(text.encode())
        except UnicodeEncodeError as error:
            place = shown(text[max(0, error.start - 40) : error.end + 10])
            raise InputError(f"{where}: texts must be valid UTF-8, got {place}") from error
        except ValidationError as error:
            mistakes = [_explain(detail, choice) for detail in _roots(error.errors())]
            more = [f"and {len(mistakes) - LISTED} more"] if len(mistakes) > LISTED else []
            raise InputError(f"{where}: {'; '.join([*mistakes[:LISTED], *more])}") from error


def _plain(value: Any) -> Any:
    """A value that JSON lacks: a number of numpy or torch as a number, anything else as a text."""
    return value.item() if hasattr(value, "item") else str(value)


def _roots(errors: Sequence[ErrorDetails]) -> Iterable[ErrorDetails]:
    """The errors without those about a whole that follow from an error in one of its parts."""
    places = [error["loc"] for error in errors]
    return (e for e in errors if not any(p != e["loc"] and p[: len(e["loc"])] == e["loc"] for p in places))


def _explain(error: ErrorDetails, choice: type[Choice]) -> str:
    """One mistake: the key, what is allowed, what was given."""
    path = [str(part) for part in error["loc"]]
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}: {nearest(path[-1], _keys(choice, path[:-1]))}"
    message = error["msg"].removeprefix("Value error, ")
    got = error["input"]
    if error["type"] == "value_error" or isinstance(got, Mapping):
        return f"{key}: {message}" if key else message
    given = json.dumps(got, default=_plain)
    return f"{key}: {message}, got {given if len(given) <= LONGEST else f'{given[:LONGEST]}...'}"


def _keys(choice: Any, path: Sequence[str]) -> Iterable[str]:
    """The keys of a section, which may be one of many (`layer_sets.NAME`, a table of `sweep.grid`)."""
    for part in path:
        of_many = [kind for kind in get_args(choice) if kind is not Ellipsis]
        choice = of_many[-1] if of_many else choice.model_fields[part].annotation
    return list(choice.model_fields)
