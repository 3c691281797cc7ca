"""What is computed from tables: fronts, latency ratios, and clear errors for tables that are none."""

from pathlib import Path

import numpy as np
import pytest
import samples

from lrbench.errors import InputError
from lrbench.report.advice.summary import HEADS, trial_table
from lrbench.report.frames.latency import latency_ratios
from lrbench.report.results import Results
from lrbench.report.texts import markdown
from lrbench.results.sessions import Session
from lrbench.results.tables import build_tables, load_table


def test_a_ratio_is_the_median_of_pairs_and_not_moved_by_slow_minutes() -> None:
    random = np.random.default_rng(0)
    minute = random.choice([1.0, 2.5], 400)  # the machine's fast and slow states
    rows = build_tables([samples.session({"a0": 0.8}, rounds=400, noise=0.1)])["latency"].infer_objects()
    mine = rows["architecture"] == "a0"
    slow = rows.assign(latency_s=rows["latency_s"].astype(float), dense_latency_s=rows["dense_latency_s"].astype(float))
    slow.loc[mine, ["latency_s", "dense_latency_s"]] = slow.loc[mine, ["latency_s", "dense_latency_s"]].mul(
        minute, axis=0
    )
    (steady,), (noisy,) = (latency_ratios(f[mine])["ratio"] for f in (rows, slow))
    assert steady == noisy == pytest.approx(0.8 * 1.1**0.5, rel=1e-12)


def test_the_interval_holds_the_ratio_and_the_control_is_one() -> None:
    log = samples.sweep()
    alone, twice = (
        latency_ratios(build_tables(records)["latency"].infer_objects()).set_index("architecture")
        for records in (log, [*log, *(record for record in log if isinstance(record, Session))])
    )
    assert alone[["ratio_low", "ratio_high"]].isna().all(axis=None), "one process tells no interval"
    assert ((twice["ratio_low"] < twice["ratio"]) & (twice["ratio"] < twice["ratio_high"])).all()
    assert twice.loc["dense", ["ratio", "processes", "occasions"]].tolist() == [1, 2, 2]
    assert twice["log_error"].idxmin() == "dense", "its own copy moves least"


def test_environments_are_never_mixed() -> None:
    log = [samples.session({"a0": 0.5}), samples.session({"a0": 0.9}, environment="e1")]
    ratios = latency_ratios(build_tables(log)["latency"].infer_objects())
    assert ratios[ratios["architecture"] == "a0"][["environment", "ratio"]].to_numpy().tolist() == [
        ["e0", 0.5],
        ["e1", 0.9],
    ]


def test_tables_read_back_keep_names_that_look_like_numbers_or_nothing(tmp_path: Path) -> None:
    odd = [samples.measurement(samples.trial(key, layer_set=key)) for key in ("0012", "null", "NA", "1e5")]
    trials = load_table(samples.folder_of(tmp_path, odd), "trials")
    assert trials["trial"].tolist() == trials["layer_set"].tolist() == ["0012", "null", "NA", "1e5"]


def test_the_best_trials_are_the_front_over_macs_with_latency(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path, samples.sweep())
    results = Results(folder)
    best, words = results.front, results.stood("macs")
    front = words[words["on_front"] & (words["scheme"] != "dense")].sort_values("macs")["trial"].tolist()
    assert best["trial"].tolist() == ["d", *front]
    assert len(front) > 1
    assert best["ratio"].notna().all()
    assert set(best["setting"]) == {"cpu, batch 1, threads 1, contiguous"}
    assert results.failed["reason"].tolist() == ["finetune: DivergedError: loss became nan"]


def test_the_markdown_table_has_a_row_for_each_finished_trial(tmp_path: Path) -> None:
    results = Results(samples.folder_of(tmp_path, samples.sweep()))
    texts = trial_table(results.summary)
    lines = markdown(texts.heads, texts.rows).splitlines()
    assert len(lines) == 2 + 9
    assert {line.count("|") for line in lines} == {len(HEADS) + 1}
    assert lines[2].startswith(
        "| d | digits | 1+1 | dense | none | none | 0 | 200 | 100 | 1.000 | 1.000 (no interval) | 20.00% |  | 80.00% |"
    )


def test_a_folder_without_timings_has_a_table(tmp_path: Path) -> None:
    trials = Results(samples.folder_of(tmp_path, [samples.measurement(samples.trial())])).summary
    assert trials["setting"].tolist() == ["not timed"]
    assert trials["trained_ranks"].tolist() == ["8"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.unlink(), r"is no results folder: it has no trials\.csv"),
        (lambda p: p.write_text(""), "cannot be read as a table"),
        (lambda p: p.write_bytes(b"\xff\xfe\x00"), "cannot be read as a table|lacks the columns"),
        (lambda p: p.write_text("schema,trial\n1,a\n"), "lacks the columns state, reason"),
        (
            lambda p: p.write_text(p.read_text().replace("\n1,", "\n9,")),
            "schema must be 1, got 9: a newer lrbench wrote this",
        ),
    ],
)
def test_a_table_that_is_none_is_named(damage, message: str, tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path, samples.sweep())
    damage(folder / "trials.csv")
    with pytest.raises(InputError, match=message):
        load_table(folder, "trials")
