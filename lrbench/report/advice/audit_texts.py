"""The audit of plans in words: a table for each setting, and sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lrbench.config.names import STAGES
from lrbench.errors import InputError
from lrbench.report.frames.audit import BUDGET
from lrbench.report.frames.rivals import WHERE, Row, name_rivals, name_setting
from lrbench.report.results import Results
from lrbench.report.texts import Form, TextTable, number, ratio_of, with_interval
from lrbench.results.records import MEASURED

HEADS = (
    *("plan", "method", "layers", "#seed", "#MACs predicted", "#MACs", "#latency predicted", "#latency ratio, 99 %"),
    *("#error", "#damage predicted", f"#points lost: {STAGES[MEASURED[0]]}"),
    *(*(f"#{STAGES[stage]}" for stage in MEASURED[1:]), "#place"),
)

COUNTS = ("pairs", "ordered", "significant", "significant_ordered")

RHO = Form(value=".2f", ends=".2f", between=" to ")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What is printed of an audit, and whether every plan has the MACs and params that were predicted."""

    tables: tuple[TextTable, ...]
    sentences: tuple[str, ...]
    exact: bool


def tell_audit(results: Results) -> Audit:
    """The audit of the plans of a results folder.

    Raises: InputError when the folder holds no readable tables, or no finished plan.
    """
    audited = results.audit
    if audited.empty:
        raise InputError(
            f"{results.folder} holds no finished trial whose ranks were planned for a budget: nothing to audit"
        )
    return Audit(
        tables=tuple(_tables(audited)),
        sentences=(
            *_sentences(audited, results.audit_correlations),
            *_calibrations(results.damage_calibration, results.damage_order),
            *_corrections(audited.drop_duplicates("trial")),
        ),
        exact=bool((audited["macs_equal"] & audited["params_equal"]).all()),
    )


def _tables(audited: pd.DataFrame) -> Iterator[TextTable]:
    for key, group in audited.groupby(WHERE, sort=False, dropna=False):
        timed = group["ratio"].notna().any()
        title = name_setting(dict(zip(WHERE, key, strict=True))) if timed else "not timed"
        how = "" if group["layers_timed"].any() or not timed else "; single layers were timed elsewhere"
        rows = list(map(_row, group.to_dict("records")))
        yield TextTable(title=f"Plans: predicted and measured, {title}{how}", heads=HEADS, rows=rows)


def _row(plan: Row) -> tuple[str, ...]:
    timed = not pd.isna(plan["ratio"])
    lost = (100 * plan[f"damage_{stage}"] for stage in MEASURED)
    return (
        *(str(plan[name]) for name in ("rank_rule", "method", "layer_set", "seed")),
        *(f"{plan[name]:,.0f}" for name in ("predicted_macs", "macs")),
        _or_none(plan["predicted_latency_ratio"], ".3f"),
        ratio_of(plan) if timed else "not timed",
        _or_none(plan["latency_error"], "+.1%"),
        _or_none(plan["predicted_damage"], ".4f"),
        *(_or_none(value, ".2f") for value in lost),
        f"{_or_none(plan['predicted_rank'], '.0f')} -> {_or_none(plan['measured_rank'], '.0f')}",
    )


def _or_none(value: float, form: str) -> str:
    return number(value, form, none="-")


def _sentences(audited: pd.DataFrame, correlations: pd.DataFrame) -> Iterator[str]:
    plans = audited.drop_duplicates("trial")
    wrong = plans[~(plans["macs_equal"] & plans["params_equal"])]
    yield f"{len(plans) - len(wrong)} of {len(plans)} plans have the very MACs and params that were predicted."
    for plan in wrong.to_dict("records"):
        yield (
            f"PREDICTED WRONGLY: trial {plan['trial']}: {plan['predicted_macs']:,.0f} MACs and "
            f"{plan['predicted_params']:,.0f} params, measured {plan['macs']:,} and {plan['params']:,}."
        )
    for key, group in audited[audited["layers_timed"]].groupby(WHERE, sort=False):
        name = name_setting(dict(zip(WHERE, key, strict=True)))
        errors, scaled = (group[column].dropna().abs() for column in ("latency_error", "scaled_error"))
        yield f"Latency ratios, {name}: predicted to a median of {errors.median():.1%}, {errors.max():.1%} at most."
        if len(scaled):
            yield (
                f"Layers timed there, scaled by the other whole models timed there, predict them to a median of "
                f"{scaled.median():.1%}, {scaled.max():.1%} at most."
            )
    for row in correlations.to_dict("records"):
        note = f"95 %, {row['trials']:.0f} plans"
        rho = with_interval(row["rho"], row["rho_low"], row["rho_high"], form=RHO, note=note)
        where = "" if row["among"] == "all" else ", within each budget"
        yield (
            f"{name_rivals(row)}{where}: predicted damage orders the accuracy lost ({STAGES[row['stage']]}) with "
            f"Spearman's rho {rho}."
        )


def _calibrations(calibration: pd.DataFrame, order: pd.DataFrame) -> Iterator[str]:
    """How far today's law of damage is off, each time by what is known without the one predicted."""
    for what, pairs in order.groupby("what", sort=False):
        group = calibration[calibration["what"] == what]
        known = group["inside"].dropna().astype(bool)
        logs = np.log((group["measured"] / group["predicted"]).astype(float).where(group["measured"] > 0))
        told = f"Damage of {'single layers' if what == 'layer' else 'whole models before finetuning'}, by today's law"
        yield (
            f"{told}: predicted to a factor of {np.exp(np.sqrt((logs**2).mean())):.2f} (root mean square); "
            f"{known.sum()} of {len(known)} lie in their 90 % interval."
        )
        count, ordered, clear, clear_ordered = (pairs[name].sum() for name in COUNTS)
        if count:
            clearly = f", {clear_ordered:.0f} of {clear:.0f} that differ significantly in accuracy" if clear else ""
            yield f"Of two methods at equal MACs, {ordered} of {count} pairs are ordered right{clearly}."


def _corrections(plans: pd.DataFrame) -> Iterator[str]:
    """Which plans measuring moved to another place among those of their budget."""
    rivals = plans[plans.groupby(BUDGET, dropna=False)["trial"].transform("size") > 1]
    moved = rivals[rivals["correction"].fillna(0) != 0]
    yield (
        f"Measured accuracy on the {plans['ranked_by'].iloc[0]} split moved {len(moved)} of {len(rivals)} plans to "
        "another place among those of their budget."
    )
    for plan in moved[moved["measured_rank"] == 1].to_dict("records"):
        yield (
            f"Correction for {plan['budget']}, layers {plan['layer_set']}, seed {plan['seed']}: {plan['planner']} "
            f"({plan['method']}, trial {plan['trial']}) is best, and was predicted at place "
            f"{plan['predicted_rank']:.0f}."
        )
