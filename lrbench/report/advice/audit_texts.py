"""The audit of plans in words: a table for each setting, and sentences."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lrbench.errors import InputError
from lrbench.report.advice.advice_texts import Texts
from lrbench.report.advice.summary import interval_of
from lrbench.report.frames.audit import BUDGET, DAMAGES, audit, audit_correlations
from lrbench.report.frames.latency import additivity, latency_ratios, layer_ratios
from lrbench.report.frames.points import WHERE, Row, name_setting
from lrbench.report.frames.standing import name_rivals
from lrbench.report.frames.trials import done_trials
from lrbench.results.tables import load_table

HEADS = (
    *("plan", "method", "layers", "#seed", "#MACs predicted", "#MACs", "#latency predicted", "#latency ratio, 99 %"),
    *("#error", "#damage predicted", "#points lost: truncated", "#re-estimated", "#finetuned", "#place"),
)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What is printed of an audit, and whether every plan has the MACs and params that were predicted."""

    tables: tuple[Texts, ...]
    sentences: tuple[str, ...]
    exact: bool


def audit_folder(folder: Path) -> Audit:
    """Audit the plans of a results folder.

    Raises: InputError when the folder holds no readable tables, or no finished plan.
    """
    ratios, layers = latency_ratios(load_table(folder, "latency")), load_table(folder, "layer_latency")
    sums = additivity(load_table(folder, "architectures"), ratios, layer_ratios(layers))
    audited = audit(done_trials(load_table(folder, "trials")), ratios, layers, sums)
    if audited.empty:
        raise InputError(f"{folder} holds no finished trial whose ranks were planned for a budget: nothing to audit")
    return Audit(
        tables=tuple(_tables(audited)),
        sentences=tuple(_sentences(audited, audit_correlations(audited))),
        exact=bool((audited["macs_equal"] & audited["params_equal"]).all()),
    )


def _tables(audited: pd.DataFrame) -> Iterator[Texts]:
    for key, group in audited.groupby(WHERE, sort=False, dropna=False):
        timed = group["ratio"].notna().any()
        title = name_setting(dict(zip(WHERE, key, strict=True))) if timed else "not timed"
        how = "" if group["layers_timed"].any() or not timed else "; single layers were timed elsewhere"
        yield f"Plans: predicted and measured, {title}{how}", HEADS, list(map(_row, group.to_dict("records")))


def _row(one: Row) -> tuple[str, ...]:
    timed = not pd.isna(one["ratio"])
    lost = (100 * one[f"damage_{stage}"] for stage in DAMAGES)
    return (
        *(str(one[name]) for name in ("rank_rule", "method", "layer_set", "seed")),
        *(f"{one[name]:,.0f}" for name in ("predicted_macs", "macs")),
        _or_none(one["predicted_latency_ratio"], ".3f"),
        interval_of(one) if timed else "not timed",
        _or_none(one["latency_error"], "+.1%"),
        _or_none(one["predicted_damage"], ".4f"),
        *(_or_none(value, ".2f") for value in lost),
        f"{_or_none(one['predicted_rank'], '.0f')} -> {_or_none(one['measured_rank'], '.0f')}",
    )


def _or_none(value: float, style: str) -> str:
    return "-" if pd.isna(value) else f"{value:{style}}"


def _sentences(audited: pd.DataFrame, correlations: pd.DataFrame) -> Iterator[str]:
    plans = audited.drop_duplicates("trial")
    wrong = plans[~(plans["macs_equal"] & plans["params_equal"])]
    yield f"{len(plans) - len(wrong)} of {len(plans)} plans have the very MACs and params that were predicted."
    for one in wrong.to_dict("records"):
        yield (
            f"PREDICTED WRONGLY: trial {one['trial']}: {one['predicted_macs']:,.0f} MACs and "
            f"{one['predicted_params']:,.0f} params, measured {one['macs']:,} and {one['params']:,}."
        )
    for key, group in audited[audited["layers_timed"]].groupby(WHERE, sort=False):
        name = name_setting(dict(zip(WHERE, key, strict=True)))
        errors, scaled = (group[column].dropna().abs() for column in ("latency_error", "scaled_error"))
        yield f"Latency ratios, {name}: predicted to a median of {errors.median():.1%}, {errors.max():.1%} at most."
        if len(scaled):
            yield (
                f"Layers timed there, scaled by the other whole models timed there, foresee them to a median of "
                f"{scaled.median():.1%}, {scaled.max():.1%} at most."
            )
    for one in correlations.to_dict("records"):
        yield (
            f"{name_rivals(one)}: predicted damage orders the accuracy lost {DAMAGES[one['stage']]} with Spearman's "
            f"rho {one['rho']:.2f} ({one['rho_low']:.2f} to {one['rho_high']:.2f}, 95 %, {one['trials']:.0f} plans)."
        )
    yield from _corrections(plans)


def _corrections(plans: pd.DataFrame) -> Iterator[str]:
    """Which plans measuring moved to another place among those of their budget."""
    rivals = plans[plans.groupby(BUDGET, dropna=False)["trial"].transform("size") > 1]
    moved = rivals[rivals["correction"].fillna(0) != 0]
    yield (
        f"Measured accuracy on the {plans['ranked_by'].iloc[0]} split moved {len(moved)} of {len(rivals)} plans to "
        "another place among those of their budget."
    )
    for one in moved[moved["measured_rank"] == 1].to_dict("records"):
        yield (
            f"Correction for {one['budget']}, layers {one['layer_set']}, seed {one['seed']}: {one['planner']} "
            f"({one['method']}, trial {one['trial']}) is best, and was predicted at place {one['predicted_rank']:.0f}."
        )
