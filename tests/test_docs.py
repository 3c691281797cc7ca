"""What documents tell a user to write: specs that are valid, commands and options that exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from lrbench.cli import app
from lrbench.config.manual import keys_page
from lrbench.plan.spec import load_spec

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "results/README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(path.read_text(encoding="utf-8")) if kind == language]


SPECS = [(path, text) for path in DOCUMENTS for text in blocks(path, "toml") if "[sweep]" in text]
LINES = [
    (path, words)
    for path in DOCUMENTS
    for text in blocks(path, "sh")
    for line in text.replace("\\\n", " ").splitlines()
    if (words := shlex.split(line, comments=True))[:1] == ["lrbench"]
]


def test_there_are_specs_and_commands_to_look_at() -> None:
    assert len(SPECS) >= 2
    assert len(LINES) >= 25


@pytest.mark.parametrize(("path", "text"), SPECS, ids=lambda value: getattr(value, "name", ""))
def test_a_documented_spec_is_valid(path: Path, text: str, tmp_path: Path) -> None:
    spec = tmp_path / "my.toml"
    spec.write_text(text, encoding="utf-8")
    assert load_spec(spec).sweep.ranks


def unknown(words: list[str]) -> list[str]:
    """The words of a command line that the command does not know."""
    group = typer.main.get_command(app)
    command = group.commands.get(words[1])
    if command is None:
        return words[1:2]
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    return [word for word in words[2:] if word.startswith("-") and word.partition("=")[0] not in known]


@pytest.mark.parametrize(("path", "words"), LINES, ids=lambda value: "" if isinstance(value, Path) else value[1])
def test_a_documented_command_has_these_options(path: Path, words: list[str]) -> None:
    assert unknown(words) == []


def test_an_option_that_is_not_there_is_seen() -> None:
    assert unknown(["lrbench", "sweep", "my.toml", "--outt", "x"]) == ["--outt"]
    assert unknown(["lrbench", "sweeep", "my.toml"]) == ["sweeep"]


def test_the_page_of_keys_is_what_the_sections_say() -> None:
    kept = (ROOT / "docs/keys.md").read_text(encoding="utf-8")
    assert kept == keys_page(), "the keys have changed: python bench/write_tables.py renews docs/keys.md"
