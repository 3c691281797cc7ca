"""Text from strangers only shows: on a terminal, in Markdown, in pictures and on the page."""

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from lrbench.fitted import table
from lrbench.report.texts import TextTable, markdown, plain_markdown
from lrbench.screen import Screen, console
from lrbench.shown import shown

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
NASTY = "\x1b[2J\x1b]0;title\x07 \x9b31m \r\b\u202e\u2066 caf\udce9 [red]x[/red] \x00"


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_shown_steers_nothing_and_can_be_written_anywhere(text: str) -> None:
    assert not CONTROLS.search(shown(text))
    shown(text).encode()
    assert shown(shown(text)) == shown(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])) | st.just("tab\tand line\nstay, ä 漢 🎉"))
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text


def test_a_byte_that_is_no_text_is_shown_as_that_byte() -> None:
    assert shown("caf\udce9 \x1b \u202e") == r"caf\xe9 \x1b \u202e"


@pytest.mark.parametrize("stderr", [False, True])
def test_a_console_shows_controls_in_lines_tables_titles_and_progress(stderr: bool) -> None:
    written, terminal = io.StringIO(), console(stderr=stderr)
    terminal.file = written
    terminal.print(NASTY, markup=False)
    terminal.print(table(TextTable(title=NASTY, heads=[NASTY], rows=[[NASTY]])))
    Screen(terminal, (), epochs={}).progress(NASTY, NASTY, 1, 1)
    assert not CONTROLS.search(written.getvalue())
    assert written.getvalue().count("[red]x[/red]") >= 4, "nor is it taken for markup"
    assert r"\x1b[2J" in written.getvalue()


def test_a_terminal_keeps_its_own_colours_and_gets_no_others() -> None:
    from rich.console import Console

    from lrbench.screen import _Console

    written = io.StringIO()
    terminal: Console = _Console(file=written, force_terminal=True, color_system="standard", width=80)
    terminal.print("a\x1b[31mb", style="bold", markup=False, highlight=False)
    assert written.getvalue() == "\x1b[1ma\\x1b[31mb\x1b[0m\n"


MARKUP = [
    *("*a*", "_a_", "__a__", "`a`", "~~a~~", "[a](b)", "![a](b)", "<b>", "a|b", "a\nb", "&lt;", "\\", "$a$", "@user"),
    *("https://evil", "www.evil.com", "#1", "<script>alert(1)</script>", "a\u2028b", NASTY),
]


@pytest.mark.parametrize("text", MARKUP)
def test_markdown_takes_a_text_for_nothing_but_text(text: str) -> None:
    cell = plain_markdown(text)
    assert "\n" not in cell
    assert not re.search(r"(?<!\\)[*`\[\]|~$@]|<|>|(?<!\\)://|(?<!\\)\bwww\.|&(?!amp;|lt;|gt;)", cell)
    assert markdown(["name"], [[text]]).splitlines()[-1] == f"| {cell} |"


def test_usual_names_need_no_escapes_in_markdown() -> None:
    for name in ("layer1.0.conv1", "knapsack latency=0.5", "layer_set", "seed 0", "12+1 epochs", "a:b", "-3.2 %"):
        assert plain_markdown(name) == name


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    """A results folder whose names hold controls."""
    names = {"layer_set": NASTY, "rank_rule": "\x1b[31mrank=1", "data": "d\x9b1m\u202e", "model": "m\x07"}
    plain = {key: value.encode("utf-8", "ignore").decode() for key, value in names.items()}
    control = {"scheme": "dense"}
    records = [
        samples.measurement(samples.trial("d", **{**plain, **control}), macs=100, arch="dense"),
        samples.measurement(samples.trial("t", **plain), arch="a"),
        samples.failure(samples.trial("f", **plain), reason="why\x1b[2J"),
        samples.spectra(),
        samples.session({"a": 0.5}),
    ]
    return samples.folder_of(tmp_path / "strange", records)


@pytest.mark.long
def test_every_command_that_reads_shows_what_a_strangers_folder_holds(nasty: Path, tmp_path: Path, lrbench) -> None:
    commands = [
        ("table", nasty),
        ("recommend", nasty, "--macs", "0.9"),
        ("recommend", nasty, "--macs", "0.9", "--format", "json"),
        ("audit", nasty),
        ("plots", nasty),
        ("report", nasty),
        ("history", nasty, nasty, "--figure", "macs", "--out", tmp_path / "history.svg"),
        *(("check", nasty, nasty, "--format", form) for form in ("table", "json", "markdown", "junit", "github")),
        ("time", nasty),
        ("export", nasty, "x", "--to", tmp_path / "out"),
    ]
    for words in commands:
        result = lrbench(*words)
        assert not CONTROLS.search(result.output), words
        assert "Traceback" not in result.output, words
        assert result.exit_code in (0, 1, 2, 3), (words, result.output)
    for path in [*(nasty / "figures").glob("*.svg"), tmp_path / "history.svg"]:
        ElementTree.parse(path)
    assert len(list((nasty / "figures").glob("*.svg"))) >= 3
    assert not CONTROLS.search(re.sub(r"<script.*?</script>", "", (nasty / "report.html").read_text(), flags=re.DOTALL))


@pytest.mark.long
def test_a_folder_whose_name_is_no_text_is_read_reported_and_named(tmp_path: Path, lrbench) -> None:
    folder = samples.folder_of(tmp_path / "caf\udce9", samples.sweep())
    for words in (("table", folder), ("plots", folder), ("report", folder), ("check", folder, folder)):
        result = lrbench(*words)
        assert result.exit_code == 0, result.output
        assert "\udce9" not in result.output
    assert r"caf\xe9" in lrbench("plots", folder).output
    assert r"caf\xe9" in lrbench("table", folder / "nowhere").output
