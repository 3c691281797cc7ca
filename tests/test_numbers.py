"""The page that makes two numbers by hand: it prints what it says, which is what lrbench says."""

import math
import shlex
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from test_docs import blocks

from lrbench.report.results import Results

ROOT = Path(__file__).parents[1]
TRIAL, ENVIRONMENT = "75bd0fcce87a839e", "4a159830c1e6"


CODE = "\n".join(blocks(ROOT / "docs/numbers.md", "python"))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page's code leaves behind, run from the repository, and what it `printed`."""
    monkeypatch.chdir(ROOT)
    left: dict[str, Any] = {}
    with redirect_stdout(StringIO()) as printed:
        exec(CODE, left)
    return left | {"printed": printed.getvalue().splitlines()}


def test_the_page_prints_what_it_says(made: dict[str, Any]) -> None:
    said = [line.partition(")  # ")[2] for line in CODE.splitlines() if line.startswith("print(")]
    assert made["printed"] == said
    assert len(said) == 6


def test_both_numbers_are_what_lrbench_draws(made: dict[str, Any]) -> None:
    results = Results(ROOT / "results/imagenette")
    timed = results.latency_ratios.query("environment == @ENVIRONMENT and batch_size == 1").set_index("architecture")
    judged = results.losses.set_index("trial").loc[TRIAL]
    ratio = timed.loc[judged["architecture"]]
    assert made["ratio"] == pytest.approx(ratio["ratio"])
    assert made["ratio"] * math.exp(made["reach"]) == pytest.approx(ratio["ratio_high"])
    assert (made["points"], made["low"], made["high"]) == pytest.approx(
        tuple(-100 * judged[name] for name in ("loss", "loss_high", "loss_low")), abs=1e-3
    )


@pytest.mark.long
def test_the_commands_of_the_page_print_both(monkeypatch: pytest.MonkeyPatch, lrbench) -> None:
    monkeypatch.chdir(ROOT)
    table, code = (shlex.split(line) for line in blocks(ROOT / "docs/numbers.md", "sh")[0].splitlines())
    rows = lrbench(*table[1:]).output.splitlines()
    assert [row for row in rows if row.startswith(f"| {TRIAL[:8]} ") and "| 0.578 (0.553-0.604) |" in row]
    assert code[:2] == ["python", "-c"]
    with redirect_stdout(StringIO()) as printed:
        exec(code[2], {})
    assert "0.0015" in printed.getvalue()
