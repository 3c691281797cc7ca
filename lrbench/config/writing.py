"""Write a choice as TOML that reads back to it: every key with its value, defaults included."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lrbench.config.choice import Choice


def to_toml(spec: Choice) -> str:
    """A spec, whose fields are sections or named sections of one kind, as a TOML document.

    TOML has no empty value, so a key that is unset is left out, which reads back as unset.
    """
    return "\n\n".join("\n".join(_section(name, choice)) for name, choice in _sections(spec)) + "\n"


def _sections(spec: Choice) -> Iterator[tuple[str, Choice]]:
    for name, choice in spec:
        if isinstance(choice, Mapping):
            yield from ((f"{name}.{_key(part)}", of_many) for part, of_many in choice.items())
        else:
            yield name, choice


def _section(name: str, choice: Choice) -> Iterator[str]:
    yield f"[{name}]"
    yield from (f"{key} = {written(value)}" for key, value in choice if value is not None)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else written(name)


def written(value: Any) -> str:
    """As in JSON, but for one character that JSON lets stand; a table in one line."""
    if isinstance(value, Choice):
        return "{ " + ", ".join(f"{key} = {written(part)}" for key, part in value if part is not None) + " }"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(written, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
