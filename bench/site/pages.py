"""The pages of the site that are written from the code as it is built."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

import lrbench
from lrbench.cli import app
from lrbench.results.readme import tables_markdown

PACKAGE = Path(lrbench.__file__).parent


def commands_page() -> str:
    """Every command with its arguments and options, as typer writes it, but listed with the whole of its first line."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    text = get_docs_for_click(obj=group, ctx=typer.Context(group, info_name="lrbench"), name="lrbench")
    lines = {name: (command.help or "").split("\n\n")[0] for name, command in group.commands.items()}
    listed = re.sub(r"^\* `(\w+)`: .*$", lambda row: _listed(row[1], lines), text, flags=re.MULTILINE)
    return listed.replace("# `lrbench`", "# Commands", 1)


def _listed(name: str, lines: Mapping[str, str]) -> str:
    return f"* [`{name}`](#lrbench-{name}): {lines[name]}"


def columns_page() -> str:
    """Every column of every table, from where it is declared."""
    return f"# Columns of the tables\n\nThe files of a results folder. {SAME}\n\n{tables_markdown()}".replace(
        "\n### ", "\n## "
    )


SAME = "[results/README.md](../../results/README.md) has the same below its studies."


def api_page() -> str:
    """The names that `import lrbench` offers, by their docstrings."""
    names = [f"## lrbench.{name}\n\n```{{eval-rst}}\n{_directive(name)}\n```" for name in lrbench.__all__]
    return "\n\n".join(
        ["# API", "What `import lrbench` offers; how it goes together: [As a library](../../docs/library.md).", *names]
    )


def _directive(name: str) -> str:
    if not isinstance(getattr(lrbench, name), type):
        return f".. autofunction:: lrbench.{name}"
    return f".. autoclass:: lrbench.{name}\n   :members:"


def house_page() -> str:
    """The rooms of the package, each as its `__init__.py` describes it."""
    floors = "Who may import whom: [Working on lrbench](../../CONTRIBUTING.md#rooms). What is in each room:"
    return "\n\n".join(["# Map of the house", floors, *_rooms()])


def _rooms() -> Iterator[str]:
    for file in sorted(PACKAGE.glob("**/__init__.py")):
        if (text := _docstring(file)) and file.parent != PACKAGE:
            yield f"## {file.parent.relative_to(PACKAGE.parent).as_posix()}\n\n{text}"


def _docstring(file: Path) -> str:
    found = re.match(r'"""(.*?)"""', file.read_text(encoding="utf-8"), re.DOTALL)
    return found[1].strip() if found else ""


PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "commands": commands_page,
        "columns": columns_page,
        "api": api_page,
        "house": house_page,
    }
)
"""The pages under docs/made/, by name."""
