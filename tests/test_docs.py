"""What documents tell a user to write: specs that are valid, commands and options that exist."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

import lrbench
from lrbench.cli import app
from lrbench.config.manual import keys_page
from lrbench.plan.spec import load_spec

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?<=\n\n)(?: {4}\S.*\n)+")
INLINE = re.compile(r"`((?:lrbench|make) [a-z][^`]*)`")
PLACEHOLDERS = re.compile(r"\.\.\.|<|\bDIR\b")


def blocks(path: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(path.read_text(encoding="utf-8")) if kind == language]


def commands(path: Path) -> Iterator[list[str]]:
    """The command lines of a document's blocks, word by word, without prompts and comments."""
    text = path.read_text(encoding="utf-8")
    prompted = (line[2:] for block in blocks(path, "") for line in block.splitlines() if line.startswith("$ "))
    for block in (*blocks(path, "sh"), *INDENTED.findall(text), *prompted):
        for line in block.replace("\\\n", " ").splitlines():
            if line.split()[:1] in (["lrbench"], ["make"]):
                yield shlex.split(line, comments=True)


def mentioned(path: Path) -> Iterator[list[str]]:
    """The commands named within a sentence, but for those that only show where something else would stand."""
    for text in INLINE.findall(BLOCK.sub("", path.read_text(encoding="utf-8"))):
        if not PLACEHOLDERS.search(text):
            yield shlex.split(text)


SPECS = [(path, text) for path in DOCUMENTS for text in blocks(path, "toml")]
LINES = [(path, words) for path in DOCUMENTS for words in commands(path) if words[0] == "lrbench"]
NAMED = [*LINES, *((path, words) for path in DOCUMENTS for words in mentioned(path) if words[0] == "lrbench")]
TARGETS = {words[1] for path in DOCUMENTS for words in (*commands(path), *mentioned(path)) if words[0] == "make"}


def test_there_are_specs_and_commands_to_look_at() -> None:
    assert len(SPECS) >= 5
    assert len(LINES) >= 50
    assert len(NAMED) >= len(LINES) + 20


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
    known = {"--help", *(name for param in command.params for name in (*param.opts, *param.secondary_opts))}
    return [word for word in words[2:] if word.startswith("-") and word.partition("=")[0] not in known]


@pytest.mark.parametrize(("path", "words"), NAMED, ids=lambda value: "" if isinstance(value, Path) else value[1])
def test_a_documented_command_has_these_options(path: Path, words: list[str]) -> None:
    assert unknown(words) == []


def test_a_documented_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"sweep", "test", "claims"} <= TARGETS
    assert TARGETS - targets == set()


PYTHON = [(path, text) for path in DOCUMENTS for text in blocks(path, "python")]


@pytest.mark.parametrize(("path", "text"), PYTHON, ids=lambda value: getattr(value, "name", ""))
def test_documented_python_is_python_and_asks_lrbench_for_what_it_offers(path: Path, text: str) -> None:
    asked = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)]
    names = {node.attr for node in asked if isinstance(node.value, ast.Name) and node.value.id == "lrbench"}
    assert names - set(lrbench.__all__) == set()


def test_documented_workflows_are_yaml_whose_commands_exist() -> None:
    workflows = [yaml.safe_load(text) for path in DOCUMENTS for text in blocks(path, "yaml")]
    steps = [step.get("run", "") for flow in workflows for job in flow["jobs"].values() for step in job["steps"]]
    lines = [line.partition("|")[0] for text in steps for line in text.splitlines() if line.startswith("lrbench ")]
    assert lines
    assert [unknown(shlex.split(line)) for line in lines] == [[]] * len(lines)


def test_an_option_that_is_not_there_is_seen() -> None:
    assert unknown(["lrbench", "sweep", "my.toml", "--outt", "x"]) == ["--outt"]
    assert unknown(["lrbench", "sweeep", "my.toml"]) == ["sweeep"]


def test_the_page_of_keys_is_what_the_sections_say() -> None:
    kept = (ROOT / "docs/keys.md").read_text(encoding="utf-8")
    assert kept == keys_page(), "the keys have changed: python bench/write_tables.py renews docs/keys.md"
