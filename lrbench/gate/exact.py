"""Figures that a correct program repeats: params, MACs, ranks, weight errors, the loss at full rank."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lrbench.gate.folders import Folder, Row, by_name
from lrbench.gate.tolerances import WeightTolerance
from lrbench.gate.verdicts import Tier, Verdict, Word
from lrbench.lowrank.rule_texts import parse_rule

ROUNDING = 1e-6
"""Relative weight error of float32 factors of full rank."""


def judge_exact(base: Folder, current: Folder, tolerance: WeightTolerance) -> Iterator[Verdict]:
    """Judge every trial of either side: its state, its costs, its layers.

    Args:
        base: what is judged against.
        current: what is judged.
        tolerance: for figures that depend on trained weights.
    """
    old, new = by_name(base.trials), by_name(current.trials)
    layers = {side.path: _layers_of(side) for side in (base, current)}
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if after is None:
            yield Verdict(name=name, tier="exact", figure="trial", verdict="missing", reason=f"not in {current.path}")
        elif before is None:
            yield Verdict(name=name, tier="exact", figure="trial", verdict="new", reason=f"not in {base.path}")
        elif "failed" in (before["state"], after["state"]):
            yield _state(name, before, after)
        else:
            yield from _costs(name, before, after, tolerance)
            was, now = (layers[side.path][row["trial"]] for side, row in ((base, before), (current, after)))
            if not depends_on_weights(str(after["rank_rule"])):
                yield from _ranks(name, was, now)
                yield from _weight_error(name, was, now, tolerance)
            yield from _full_rank(name, after, now, tolerance)


def depends_on_weights(rule: str) -> bool:
    """Whether a rank rule looks at trained weights, which differ from processor to processor.

    The dense control has no rule, and a rule of another version may be unknown here: both are judged exactly.
    """
    try:
        return parse_rule(rule).needs_weights
    except ValueError:
        return False


def _layers_of(side: Folder) -> dict[str, dict[str, Row]]:
    """By trial, its layers by name."""
    layers: dict[str, dict[str, Row]] = {trial: {} for trial in side.trials["trial"]}
    for row in side.layers.to_dict("records"):
        layers.setdefault(row["trial"], {})[row["layer"]] = row
    return layers


def _state(name: str, before: Row, after: Row) -> Verdict:
    states = {"baseline": before["state"], "current": after["state"]}
    word: Word = "ok" if before["state"] == after["state"] else "worse" if after["state"] == "failed" else "better"
    reason = str(after["reason"]) if after["state"] == "failed" else ""
    return Verdict(name=name, tier="exact", figure="state", verdict=word, reason=reason, **states)


def _costs(name: str, before: Row, after: Row, tolerance: WeightTolerance) -> Iterator[Verdict]:
    chosen = depends_on_weights(str(after["rank_rule"]))
    tier: Tier = "toleranced" if chosen else "exact"
    allowed = tolerance.chosen_costs if chosen else 0.0
    for figure in ("params", "macs"):
        was, now = int(before[figure]), int(after[figure])
        bound = was * (1 + allowed)
        word: Word = "worse" if now > bound else "better" if now < was * (1 - allowed) else "ok"
        reason = "" if now == was else f"{now - was:+,} ({now / was - 1:+.2%})"
        yield Verdict(
            name=name,
            tier=tier,
            figure=figure,
            verdict=word,
            baseline=was,
            current=now,
            bound=bound,
            reason=reason,
        )


def _ranks(name: str, before: dict[str, Row], after: dict[str, Row]) -> Iterator[Verdict]:
    """A verdict for each layer whose rank, scheme or reason changed; one for all when none did."""
    changed = False
    for layer in dict.fromkeys((*before, *after)):
        was, now = (_rank_text(side.get(layer)) for side in (before, after))
        if was != now:
            changed = True
            yield Verdict(
                name=f"{name}: {layer}",
                tier="exact",
                figure="rank",
                verdict="missing" if layer not in after else "worse",
                baseline=was,
                current=now,
                reason=f"was {was}, is {now}",
            )
    if not changed:
        yield Verdict(name=name, tier="exact", figure="ranks", verdict="ok", reason=f"of {len(after)} layers")


def _rank_text(layer: Row | None) -> str:
    if layer is None:
        return "absent"
    if pd.isna(layer["rank"]):
        return f"dense ({layer['reason']})"
    return f"{layer['scheme']} rank {int(layer['rank'])}"


def _weight_error(
    name: str, before: dict[str, Row], after: dict[str, Row], tolerance: WeightTolerance
) -> Iterator[Verdict]:
    """The layer whose weight error rose most; nothing for trials that have none."""
    pairs = [
        (layer, float(before[layer]["weight_error"]), float(row["weight_error"]))
        for layer, row in after.items()
        if layer in before and not pd.isna(before[layer]["weight_error"]) and not pd.isna(row["weight_error"])
    ]
    if not pairs:
        return

    def over(pair: tuple[str, float, float]) -> float:
        return pair[2] - (pair[1] * (1 + tolerance.weight_error) + ROUNDING)

    layer, was, now = max(pairs, key=over)
    yield Verdict(
        name=name,
        tier="toleranced",
        figure="weight_error",
        verdict="worse" if over((layer, was, now)) > 0 else "ok",
        baseline=was,
        current=now,
        bound=was * (1 + tolerance.weight_error) + ROUNDING,
        reason=f"of {layer}",
    )


def _full_rank(name: str, after: Row, layers: dict[str, Any], tolerance: WeightTolerance) -> Iterator[Verdict]:
    """Factors of full rank have the dense model's outputs, and so its loss; nothing for other trials."""
    cut = [layer for layer in layers.values() if not pd.isna(layer["rank"])]
    if not cut or any(layer["rank"] != layer["max_rank"] for layer in cut):
        return
    dense, loss = float(after["loss_dense"]), float(after["loss_truncated"])
    yield Verdict(
        name=name,
        tier="toleranced",
        figure="full_rank_loss",
        verdict="worse" if abs(loss - dense) > tolerance.full_rank_loss else "ok",
        baseline=dense,
        current=loss,
        bound=dense + tolerance.full_rank_loss,
        reason="truncated at full rank, compared with dense",
    )
