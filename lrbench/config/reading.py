"""Read a user's TOML into a frozen choice; every mistake becomes one clear error."""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lrbench.config.choice import Choice
from lrbench.errors import InputError, nearest

C = TypeVar("C", bound=Choice)


def read_toml(path: Path, *, what: str) -> dict[str, Any]:
    """The document in a TOML file; errors call it `what`.

    Raises: InputError when the file cannot be read or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{what} {path} is not valid TOML: {error}") from error


def validate(choice: type[C], document: Mapping[str, Any], *, where: str) -> C:
    """A document as a choice; errors name `where` it came from.

    Raises: InputError with each wrong key and what is allowed.
    """
    try:
        return choice.model_validate_json(json.dumps(document, default=_plain))
    except ValidationError as error:
        mistakes = "; ".join(_explain(detail, choice) for detail in _roots(error.errors()))
        raise InputError(f"{where}: {mistakes}") from error


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
    return f"{key}: {message}, got {json.dumps(got, default=_plain)}"


def _keys(choice: Any, path: Sequence[str]) -> Iterable[str]:
    """The keys of a section, which may be one of many (`layer_sets.NAME`)."""
    for part in path:
        of_many = get_args(choice)
        choice = of_many[-1] if of_many else choice.model_fields[part].annotation
    return list(choice.model_fields)
