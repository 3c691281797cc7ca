"""Ten thousand inputs that no person would write: an answer, or one clear error. `test_fuzz_files` has as many more."""

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import samples
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lrbench.config.sections import SECTIONS
from lrbench.errors import InputError
from lrbench.lowrank.ranks import Candidate, RankRule
from lrbench.lowrank.rule_texts import format_rule, parse_rule
from lrbench.plan.spec import SweepSpec, load_spec, make_spec
from lrbench.plan.trials import build_untrained
from lrbench.report.advice.summary import breakeven_tables, timed_tables, trial_table
from lrbench.report.figures.draw import figure_tables
from lrbench.report.results import Results
from lrbench.results.columns import TABLES
from lrbench.results.records import from_line
from lrbench.results.tables import load_table

WORDS = [
    *("rank", "fraction", "energy", "params", "macs", "evbmf", "multiple", "max", "breakeven", "full", "=", " ", "-"),
    *("1", "8", "0", "0.5", "1e400", "nan", "inf", "9" * 30, "9" * 400, "_", "\x00", "²", "٣", "'", "[", "]", "*", "?"),
]
KEYS = [name.split(".")[0] for name in SECTIONS] + [
    key for section in SECTIONS.values() for key in section.model_fields
]
VALUES = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(WORDS), st.dates()),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=3),
    max_leaves=5,
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(KEYS),
    st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), VALUES, max_size=3) | VALUES,
    max_size=3,
)
pytestmark = pytest.mark.long  # thousands of inputs each

many = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)


def answer(work: Callable[[], object], kind: type[Exception] = InputError) -> object:
    """What a function returns, or the error of this kind that it raises."""
    try:
        return work()
    except kind as error:
        return error


@settings(many, max_examples=2500)
@given(
    document=DOCUMENTS, overrides=st.lists(st.text(max_size=8) | st.sampled_from([f"{k}=1" for k in KEYS]), max_size=2)
)
def test_any_document_is_a_spec_or_an_input_error(document: dict, overrides: list[str]) -> None:
    found = answer(lambda: make_spec(document, overrides, where="spec"))
    assert isinstance(found, SweepSpec) or str(found)


@settings(many, max_examples=1500)
@given(st.binary(max_size=60) | st.text(st.sampled_from("[]{}=.\"'\n#,1aé-:_")).map(str.encode))
@example(b"a = " + b"[" * 5000)
@example(b"[model]\nname = '''" + b"x" * 1000)
def test_any_bytes_are_a_spec_or_an_input_error(content: bytes) -> None:
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / f"lrbench-fuzz-{os.getpid()}.toml"
    path.write_bytes(content)
    found = answer(lambda: load_spec(path))
    path.unlink()
    assert isinstance(found, SweepSpec) or str(found).startswith(f"spec {path}")


@settings(many, max_examples=4000)
@given(st.text(max_size=20) | st.lists(st.sampled_from(WORDS), max_size=7).map("".join))
@example("rank=" + "9" * 400 + " multiple=16")
@example("rank=" + "9" * 5000)
def test_any_text_is_a_rank_rule_that_gives_a_rank_or_a_value_error(text: str) -> None:
    candidate = Candidate(
        max_rank=9,
        params_share=lambda rank: rank / 5,
        macs_share=lambda rank: rank / 7,
        energies=tuple(share / 9 for share in range(1, 10)),
        singular_values=tuple(range(9, 0, -1)),
        matrix=(9, 12),
    )
    rule = answer(lambda: parse_rule(text), ValueError)
    if isinstance(rule, RankRule):
        assert rule.rank(candidate) >= 1
        assert parse_rule(format_rule(rule)) == rule


TEXT = st.text(max_size=12) | st.text(st.sampled_from("*?[]!-.layer1conv"), max_size=12)


@settings(many, max_examples=2500)
@given(include=st.lists(TEXT, max_size=3), exclude=st.lists(TEXT, max_size=2))
@example(include=["*" * 60 + "x"], exclude=["[" * 100])
def test_any_patterns_select_layers_or_are_refused(include: list[str], exclude: list[str], chain: list) -> None:
    from lrbench.lowrank.layers import select

    chosen = select(chain, include=include, exclude=exclude, kinds=("conv", "linear"))
    assert set(chosen) <= set(chain)


@pytest.fixture(scope="module")
def chain() -> list:
    """The layers of a small model."""
    return list(build_untrained(make_spec({}, where="spec"), classes=10, seed=0).layers)


@settings(many, max_examples=500)
@given(
    st.text()
    | st.dictionaries(st.sampled_from(["schema", "kind", "trial"]) | st.text(), VALUES).map(
        lambda made: json.dumps(made, default=str)
    )
)
@example("[" * 100_000)
def test_any_line_is_a_record_or_a_value_error(line: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        from_line(line)


CELLS = st.one_of(
    *(
        st.text(max_size=6),
        st.sampled_from(["", "nan", "inf", "-1", "0", "1e308", "2", "True", "done", "dense", "a:b", "=x"]),
    ),
    *(st.integers().map(str), st.floats().map(str)),
)
FUZZED = ["trials", "layers", "latency", "architectures", "layer_latency"]
EDITS = st.lists(
    st.tuples(st.sampled_from(FUZZED), st.integers(0, 300), st.integers(0, 99), CELLS), min_size=1, max_size=3
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """The tables of a small folder, all cells as text."""
    log = [*samples.sweep()[:3], samples.failure(samples.trial("f")), samples.session({"a0": 0.5}, rounds=4)]
    folder = samples.folder_of(
        tmp_path_factory.mktemp("fuzz") / "r", [*log, samples.layer_session({("channel", 8): 0.5})]
    )
    return {name: pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False) for name in TABLES}


def edit(tables: dict[str, pd.DataFrame], edits: list, folder: Path) -> None:
    """Write tables with some cells changed."""
    changed = {name: frame.copy() for name, frame in tables.items()}
    for name, row, column, cell in edits:
        frame = changed[name]
        frame.iloc[row % len(frame), column % frame.shape[1]] = cell
    for name, frame in changed.items():
        frame.to_csv(folder / f"{name}.csv", index=False, errors="backslashreplace")


@settings(many, max_examples=300)
@given(edits=EDITS, name=st.sampled_from(FUZZED))
def test_a_table_edited_by_hand_is_read_or_refused(edits: list, name: str, tables: dict, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("edited")
    edit({name: tables[name]}, [(name, *place) for _, *place in edits], folder)
    found = answer(lambda: load_table(folder, name))
    assert isinstance(found, pd.DataFrame) or str(folder / f"{name}.csv") in str(found)
    shutil.rmtree(folder)


@settings(many, max_examples=30)
@given(edits=EDITS)
def test_a_folder_edited_by_hand_is_summed_up_or_refused(edits: list, tables: dict, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("edited")
    edit(tables, edits, folder)
    readers = (
        lambda: trial_table(Results(folder).summary),
        lambda: (Results(folder).front, Results(folder).failed),
        lambda: list(timed_tables(Results(folder))),
        lambda: list(breakeven_tables(Results(folder))),
        lambda: figure_tables(Results(folder)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numbers too large to divide are a stranger's, not ours
        for read in readers:
            found = answer(read)
            assert not isinstance(found, InputError) or str(folder) in str(found)
    shutil.rmtree(folder)
