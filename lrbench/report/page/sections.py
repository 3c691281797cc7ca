"""What the page's tables hold: headings and cells, each cell its text and the raw value that it is sorted by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from lrbench.config.names import STAGES
from lrbench.report.choice.told import RECOMMENDED
from lrbench.report.frames.latency import SETTING, describe
from lrbench.report.frames.rivals import RIVALS, Row, name_rivals, name_untouched
from lrbench.report.frames.rows import rows_of
from lrbench.report.frames.scores import SCORES
from lrbench.report.page.overlay import Overlay
from lrbench.report.texts import RATIO, ratio_of, with_interval
from lrbench.results.records import MEASURED


class Cell(NamedTuple):
    """A cell: what people read, and the raw value; a number is set to the right."""

    text: str
    value: Any = None

    @property
    def is_number(self) -> bool:
        """Whether the cell is sorted by size."""
        return isinstance(self.value, float | int)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Headings and rows. A row of trials has `numbers`, those of its trials."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    numbers: tuple[int, ...] = ()


SPELT = replace(RATIO, between=" to ")
"""A ratio with its interval, as the page writes it."""

FACETS = ("folder", "data", "method", "layer set", "rank rule")
"""Columns of the trial table by which it can be narrowed."""


def trial_table(overlay: Overlay) -> Table:
    """Every finished trial, with its latency in the first setting timed of its folder; empty columns left out."""
    first = overlay.ratios.drop_duplicates("folder")
    settings = sorted({describe(row.items()) for row in rows_of(first)})
    shown = overlay.ratios.merge(first[["folder", *SETTING]], on=["folder", *SETTING])
    timed = {(row["folder"], row["architecture"]): row for row in rows_of(shown)}
    where = "".join(f" ({words})" for words in settings) if len(settings) < 2 else " (first setting of each folder)"
    heads = (
        *("folder", "data", "method", "layer set", "rank rule", "seed", "trial", "params", "MACs", "MAC ratio"),
        *(f"latency ratio{where}", *(STAGES[stage] for stage in MEASURED), "kept"),
        *("points from dense", f"points from {name_untouched(overlay.done)}", "standing in MACs"),
    )
    done = rows_of(overlay.done)
    picked = {(folder, pick.marked) for folder, pick in overlay.picks}
    rows = []
    for row in done:
        recommended = (row["folder"], row["trial"]) in picked
        rows.append(_trial_row(row, timed.get((row["folder"], row["architecture"])), recommended=recommended))
    kept = [i for i, head in enumerate(heads) if _tells(head, {row[i].text for row in rows})]
    return Table(
        heads=tuple(heads[i] for i in kept),
        rows=[tuple(row[i] for i in kept) for row in rows],
        numbers=tuple(row["number"] for row in done),
    )


def _tells(head: str, texts: set[str]) -> bool:
    """Whether a column is worth its room."""
    return len(texts) > 1 if head in ("folder", "data") else bool(texts - {""})


def _trial_row(trial: Row, timed: Row | None, *, recommended: bool) -> tuple[Cell, ...]:
    return (
        *(_text(trial[name]) for name in ("folder", "data", "method", "layer_set", "rank_rule")),
        _whole(trial["seed"]),
        _text(trial["trial"]),
        *(_whole(trial[name]) for name in ("params", "macs")),
        _real(trial["mac_ratio"], ".3f"),
        _interval(timed) if timed else Cell(text=""),
        *(_real(trial[f"accuracy_{stage}"], ".2%") for stage in MEASURED),
        _text(STAGES[trial["kept"]]),
        _real(0.0 - trial["loss"], "+.2f", scale=100),
        _real(trial["accuracy_kept"] - trial["accuracy_dense"], "+.2f", scale=100),
        _text(f"{trial['standing']}{RECOMMENDED if recommended else ''}"),
    )


def _text(value: Any) -> Cell:
    return Cell(text="" if pd.isna(value) else str(value), value="" if pd.isna(value) else str(value))


def _whole(value: Any) -> Cell:
    return Cell(text="") if pd.isna(value) else Cell(text=f"{int(value):,}", value=int(value))


def _real(value: float, form: str, *, scale: float = 1) -> Cell:
    return Cell(text="") if pd.isna(value) else Cell(text=f"{value * scale:{form}}", value=float(value))


def _interval(row: Row, name: str = "ratio") -> Cell:
    return Cell(text=ratio_of(row, name, form=SPELT), value=float(row[name]))


def plan_table(overlay: Overlay) -> Table:
    """The plans for a budget: what was predicted beside what was measured, a row a setting."""
    heads = (
        *("folder", "plan", "method", "layers", "seed", "setting", "MACs predicted", "MACs"),
        *("latency ratio predicted", "latency ratio", "damage predicted"),
        *(f"points lost, {STAGES[stage]}" for stage in MEASURED),
        *("place predicted", "place measured"),
    )
    rows = [_plan_row(plan) for plan in rows_of(overlay.plans)]
    return Table(heads=heads, rows=rows)


def _plan_row(plan: Row) -> tuple[Cell, ...]:
    timed = not pd.isna(plan["ratio"])
    return (
        *(_text(plan[name]) for name in ("folder", "rank_rule", "method", "layer_set")),
        _whole(plan["seed"]),
        _text(f"{describe(plan.items())} ({plan['environment']})" if timed else "not timed"),
        *(_whole(plan[name]) for name in ("predicted_macs", "macs")),
        _real(plan["predicted_latency_ratio"], ".3f"),
        _interval(plan) if timed else Cell(text=""),
        _real(plan["predicted_damage"], ".4f"),
        *(_real(plan[f"damage_{stage}"], ".2f", scale=100) for stage in MEASURED),
        *(_whole(plan[f"{which}_rank"]) for which in ("predicted", "measured")),
    )


def failed_table(overlay: Overlay) -> Table:
    """The trials that failed, with their reasons."""
    names = ("folder", "trial", "scheme", "truncation", "layer_set", "rank_rule", "seed", "reason")
    failed = overlay.trials[overlay.trials["state"] == "failed"]
    return Table(heads=names, rows=[tuple(_text(trial[name]) for name in names) for trial in rows_of(failed)])


def untrained_table(overlay: Overlay) -> Table:
    """The architectures that were planned, and never trained, with their latency in each setting they were timed in."""
    names = ("folder", "architecture", "scheme", "truncation", "layer_set", "rank_rule")
    trained = set(zip(overlay.done["folder"], overlay.done["architecture"], strict=True))
    timings, rows = dict(list(overlay.ratios.groupby(["folder", "architecture"], sort=False))), []
    for architecture in rows_of(overlay.architectures, names):
        key = (architecture["folder"], architecture["architecture"])
        if key in trained:
            continue
        timed = rows_of(timings[key]) if key in timings else []
        cells = [(_text(describe(row.items())), _interval(row)) for row in timed] or [(_text("not timed"), _text(""))]
        rows += [(*(_text(architecture[name]) for name in names), *pair) for pair in cells]
    return Table(heads=(*names, "setting", "latency ratio"), rows=rows)


def dense_layers_table(overlay: Overlay) -> Table:
    """Why layers of factorized trials stayed dense: reason, which layers, in how many trials."""
    cut = overlay.done.loc[overlay.done["scheme"] != "dense", ["folder", "trial"]]
    kept = overlay.layers[overlay.layers["rank"].isna()].merge(cut, on=["folder", "trial"])
    rows = [
        (
            _text(folder),
            _text(reason),
            _text(", ".join(dict.fromkeys(group["layer"]))),
            _whole(group["trial"].nunique()),
        )
        for (folder, reason), group in kept.groupby(["folder", "reason"], sort=False)
    ]
    return Table(heads=("folder", "reason", "layers", "trials"), rows=rows)


def control_table(overlay: Overlay) -> Table:
    """The A/A controls: what the dense model reads against its own copy, in each setting timed."""
    heads = (
        *("folder", "environment", "model", "setting", "A/A latency ratio, 99 %"),
        *("noise floor", "rounds", "processes", "occasions", "verdict"),
    )
    controls = overlay.ratios[overlay.ratios["control"].astype(bool)] if len(overlay.ratios) else overlay.ratios
    return Table(heads=heads, rows=[_control_row(control) for control in rows_of(controls)])


def _control_row(control: Row) -> tuple[Cell, ...]:
    floor = max(control["ratio_high"] - 1, 1 - control["ratio_low"])
    return (
        *(_text(control[name]) for name in ("folder", "environment", "model")),
        _text(describe(control.items())),
        _interval(control),
        _real(floor, ".2%"),
        *(_whole(control[name]) for name in ("rounds", "processes", "occasions")),
        _text("fit" if control["fit"] else "unfit"),
    )


def environment_table(overlay: Overlay) -> Table:
    """What each environment is made of, a column each."""
    frame = overlay.environments
    heads = ("", *(f"{folder}: {key}" for folder, key in zip(frame["folder"], frame["environment"], strict=True)))
    left_out = ("schema", "folder", "environment")
    known = [name for name in frame.columns if name not in left_out and frame[name].notna().any()]
    return Table(heads=heads, rows=[(_text(name), *(_text(value) for value in frame[name])) for name in known])


def score_table(overlay: Overlay) -> Table:
    """Spearman's rho of cheap scores."""
    heads = ("folder", "trials of", "score", "trials", "Spearman's rho, 95 %")
    rows = [
        (
            _text(row["folder"]),
            _text(name_rivals(row)),
            _text(SCORES[row["score"]]),
            _whole(row["trials"]),
            _interval(row, "rho"),
        )
        for row in rows_of(overlay.correlations)
    ]
    return Table(heads=heads, rows=rows)


def hypervolume_table(overlay: Overlay) -> Table:
    """What share of (cost ratio x accuracy) each method dominates, on the grid that the compared methods share."""
    frame = overlay.hypervolumes
    costs = [head for cost in ("MACs", "params") for head in (f"in {cost}, 95 %", f"best in {cost}")]
    heads = ("folder", "trials of", "method", "trials", "on the grid", *costs, "not compared")
    rows = []
    for key, group in frame.groupby(["folder", *RIVALS, "method"], sort=False):
        first, by_cost = group.iloc[0].to_dict(), group.set_index("cost").to_dict("index")
        cells = [cell for cost in ("macs", "params") for cell in _volume(by_cost[cost])]
        counts = (_whole(first["trials"]), _whole(first["grid"]))
        rows.append((_text(key[0]), _text(name_rivals(first)), _text(key[-1]), *counts, *cells, _text(first["reason"])))
    return Table(heads=heads, rows=rows)


def _volume(row: Row) -> tuple[Cell, Cell]:
    if pd.isna(row["hypervolume"]):
        return Cell(text=""), Cell(text="")
    text = with_interval(row["hypervolume"], row["low"], row["high"], form=SPELT)
    return Cell(text=text, value=float(row["hypervolume"])), _real(row["best"], ".0%")


def facts(overlay: Overlay) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """For each folder and group of rivals, what it takes to run it again, as far as the tables know."""
    lists = ("weights", "seed", "baseline_seed", "calibration_images", "scheme", "truncation", "layer_set", "rank_rule")
    for (folder, *key), group in overlay.trials.groupby(["folder", *RIVALS], sort=False):
        made = [(name, ", ".join(dict.fromkeys(group[name].astype(str)))) for name in (*lists, "commit", "environment")]
        times = f"{group['started'].min()} to {group['started'].max()}"
        yield f"{folder}: {name_rivals(dict(zip(RIVALS, key, strict=True)))}", [*made, ("started", times)]
