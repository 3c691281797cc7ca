"""The help text and the page about the keys of a spec, written on demand from the sections and the tables of words."""

from collections.abc import Mapping

from pydantic.fields import FieldInfo

from lrbench.config.choice import Choice
from lrbench.config.sections import SECTIONS
from lrbench.config.words import marks_of


def describe_spec() -> str:
    """Every key of a spec with its default, meaning and allowed words."""
    return describe_keys("Keys of a spec", SECTIONS)


def keys_page() -> str:
    """The page docs/keys.md."""
    return f"# The spec, key by key\n\nWritten by `python bench/write_tables.py`.\n\n{describe_spec()}\n"


def describe_keys(title: str, sections: Mapping[str, type[Choice]]) -> str:
    """Every key of some sections with its default and meaning, as a Markdown list under a title."""
    lines = [f"**{title}**, with defaults"]
    for name, section in sections.items():
        lines += ["", f"`[{name}]`", ""]
        lines += [f"- `{key} = {_default(field)}` {_meaning(field)}" for key, field in section.model_fields.items()]
    return "\n".join(lines)


def _meaning(field: FieldInfo) -> str:
    """The description of a key, and its allowed words where these are in a table."""
    return " ".join([field.description or "", *(f"({mark.explain()})" for mark in marks_of(field))])


def _default(field: FieldInfo) -> str:
    return "unset" if field.default is None else _toml(field.default)


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
