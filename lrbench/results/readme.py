"""The part of results/README.md that explains each column, written from the declarations of the columns."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from lrbench.results import columns
from lrbench.results.columns.column import Table

BEGIN, END = "<!-- from lrbench/results/columns: begin -->\n", "<!-- from lrbench/results/columns: end -->\n"


def tables_markdown() -> str:
    """Each table with its columns and their meanings, in Markdown."""
    return "\n".join("\n".join(_section(name, table)) + "\n" for name, table in columns.TABLES.items())


def renewed(readme: str) -> str:
    """A README with the text between its marks `BEGIN` and `END` replaced; the rest stays.

    Raises: ValueError when it does not have each mark once, in this order.
    """
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{tables_markdown()}\n{END}{after}"


def _section(name: str, table: Table[Any]) -> Iterator[str]:
    yield f"### {name}.csv: {table.meaning}"
    yield ""
    if table.note:
        yield table.note
        yield ""
    yield "| column | meaning |"
    yield "|---|---|"
    for meaning, group in groupby(table.columns, lambda column: column.meaning):
        yield f"| {', '.join(f'`{column.name}`' for column in group)} | {meaning} |"
