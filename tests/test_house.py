"""The house: how large files and functions may be, and that each room says what is in it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lrbench"
LONGEST_FILE, LONGEST_FUNCTION = 250, 40
"""Lines; of a function without its docstring."""

LONG = {
    "results/records.py": "one flat list of records",
    "cli/export.py::export": "the options of a command",
    "cli/gate.py::regress": "the options of a command",
    "learn/train.py::train_": "what a training is made of",
    "report/figures/accuracy_cost.py::accuracy_cost_figure": "one drawing",
    "report/figures/accuracy_stages.py::draw": "one drawing",
    "timing/layers.py::time_layer": "one record of many fields",
    "trials/trial.py::run_trial": "one record of many fields",
}
"""What may be longer, and why."""


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(function.body) > 1
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def too_long() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name, source = str(path.relative_to(PACKAGE)), path.read_text()
        if source.count("\n") > LONGEST_FILE:
            yield name
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > LONGEST_FUNCTION:
                yield f"{name}::{node.name}"


def test_files_and_functions_are_short_or_have_a_reason() -> None:
    assert set(too_long()) == set(LONG)


@pytest.mark.parametrize(
    "room",
    [
        str(path.parent.relative_to(PACKAGE))
        for path in sorted([*PACKAGE.glob("*/__init__.py"), *PACKAGE.glob("report/*/__init__.py")])
    ],
)
def test_a_room_says_what_is_in_it(room: str) -> None:
    said = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or ""
    named = set(re.findall(r"`([a-z_]+)`", said))
    files = {path.stem for path in (PACKAGE / room).iterdir()}
    assert len(said) > 60
    assert named & files or room == "cli", "it names its files"
    assert {name for name in named if not (name in files or name == "lrbench")} == set(), (
        "and no file that is not there"
    )
