"""Tables fit the terminal: no line is too long, no number is cut, and what has no room is named."""

from io import StringIO

import pytest
from rich.console import Console

from lrbench.errors import InputError
from lrbench.fitted import table
from lrbench.report.rows import chosen_columns, sorted_rows, written
from lrbench.report.texts import TextTable

HEADS = ("trial", "layer", "#params", "#MACs", "#latency ratio, 99 %", "#test accuracy, 95 %", "why dense")
ROWS = [
    (
        f"{number:08x}",
        f"layer{number}.0.downsample.0",
        f"{10**number:,}",
        f"{7 * 10**number:,}",
        "0.527 (0.500-0.550)",
        "80.1%",
        "kept",
    )
    for number in range(9)
]


def printed(texts: TextTable, width: int) -> str:
    text = StringIO()
    Console(file=text, width=width, soft_wrap=True).print(table(texts))
    return text.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_what_is_shown_is_whole(width: int, count: int) -> None:
    texts = TextTable(
        title="A title of many words that is longer than a line of a terminal of 80 columns is",
        heads=HEADS,
        rows=ROWS[:count],
    )
    text = printed(texts, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    _, _, left_out = text.partition("columns for: ")
    for place, head in enumerate(HEADS):
        shown = head.removeprefix("#") not in " ".join(left_out.split())
        if shown and head in ("#params", "#MACs", "trial"):
            assert all(row[place] in text for row in ROWS[:count]), head


def test_a_short_table_that_is_too_wide_stands_on_its_side() -> None:
    text = printed(TextTable(title="", heads=HEADS, rows=ROWS[:2]), 70)
    assert "why dense" in text
    assert "columns for" not in text


def test_columns_are_chosen_and_rows_sorted_by_size() -> None:
    texts = TextTable(title="", heads=HEADS, rows=ROWS)
    chosen = chosen_columns(sorted_rows(texts, "-params"), "trial,params")
    assert chosen.heads == ["trial", "#params"]
    assert [row[1] for row in chosen.rows] == [f"{10**number:,}" for number in reversed(range(9))]
    assert written(chosen, "csv").splitlines()[:2] == ["trial,params", '00000008,"100,000,000"']
    assert written(chosen, "json").startswith('[\n  {\n    "trial": "00000008"')
    assert written(chosen, "md").splitlines()[0] == "| trial | params |"


def test_a_wrong_column_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match="no column 'speed'; there are: trial, layer, params"):
        chosen_columns(TextTable(title="", heads=HEADS, rows=ROWS), "trial,speed")


def test_the_help_lists_every_command_by_purpose_and_the_version_is_told(lrbench) -> None:
    from importlib.metadata import version

    from lrbench.cli.commands import app
    from lrbench.cli.shared import GROUPS

    named = [name for names in GROUPS.values() for name in names]
    there = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert sorted(named) == sorted(there)
    assert lrbench("--version").output == f"lrbench {version('lrbench')}\n"
    helped = lrbench("--help").output
    places = [helped.index(f"│ {name} ") for name in named]
    assert places == sorted(places)
