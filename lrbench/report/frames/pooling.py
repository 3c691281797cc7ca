"""The points among which may be chosen: a method, layer set and rank rule over all its seeds, with what it costs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrbench.report.frames.latency import INTERVAL
from lrbench.report.frames.rivals import Row
from lrbench.report.frames.rows import rows_of
from lrbench.statistics.fronts import worths_of
from lrbench.statistics.posterior import Answers, luck_of

POINT = [
    *("scheme", "truncation", "layer_set", "rank_rule", "weights", "calibration_images", "samples", "samples_search"),
    *("calibration_split", "repeat"),
]
"""What the trials of a point share; they differ by seed."""

TIMED = [*INTERVAL, "fit", "log_error", "freedom", "latency_s"]

STAGE = {"search": "search", "test": "kept"}
"""What the accuracy on a split is called in the columns of trials.csv; in answers.csv `kept` is the stage that was."""

Right = Mapping[tuple[str, str], NDArray[np.uint8]]
"""Which images a trial got right at a stage: a bit each, in order, perhaps some more at the end."""


def unpack_answers(answers: pd.DataFrame) -> Right:
    """The masks of `answers.csv`, by trial and stage."""
    masks = zip(answers["trial"], answers["stage"], answers["right"], strict=True)
    return {(trial, stage): np.unpackbits(np.frombuffer(bytes.fromhex(mask), np.uint8)) for trial, stage, mask in masks}


def points_of(trials: pd.DataFrame) -> list[list[Row]]:
    """The trials of each point.

    A seed that comes again with all else equal was run by another recipe, and belongs to a point of its own.

    Args:
        trials: finished ones of one group of rivals.
    """
    seeds = trials.groupby([*POINT[:-1], "seed", "baseline_seed"], dropna=False)
    numbered = trials.assign(repeat=seeds.cumcount())
    members: dict[int, list[Row]] = {}
    for point, trial in zip(numbered.groupby(POINT, sort=False, dropna=False).ngroup(), rows_of(numbered), strict=True):
        members.setdefault(point, []).append(trial)
    return list(members.values())


def pool_points(trials: pd.DataFrame, right: Right, *, split: str) -> pd.DataFrame:
    """A row for each point, the dense control among them.

    What a point costs is what the trial costs that would be exported, the best of its seeds on `split`; the rest are
    means over seeds.

    Args:
        trials: finished ones of one group of rivals.
        right: of `unpack_answers`.
        split: `search` or `test`, by which may be chosen.

    Returns: `name`, `method`, `trial`, `kept` (its stage), `trials`, `seeds`, `architectures` (how many), costs, and on
        the split `answers`, `accuracy`, `loss`, and `worth`: the accuracy, of equal ones that of less loss a hair
        larger; `luck`, training noise of an accuracy, pooled over all points.
    """
    stage, rows = STAGE[split], []
    for members in points_of(trials):
        best = max(members, key=lambda member: member[f"accuracy_{stage}"])
        answers = answers_of(members, right, stage=stage, split=split)
        rows.append(
            {
                "name": name_point(best),
                "method": best["method"],
                "dense": best["scheme"] == "dense",
                **{
                    name: best[name]
                    for name in ("trial", "kept", "architecture", "params", "macs", "mac_ratio", "param_ratio")
                },
                "trials": tuple(member["trial"] for member in members),
                "seeds": tuple(int(member["seed"]) for member in members),
                "architectures": len({member["architecture"] for member in members}),
                "answers": answers,
                "samples": answers.samples,
                "accuracy": float(answers.accuracies.mean()),
                "loss": float(np.mean([member[f"loss_{stage}"] for member in members])),
            }
        )
    points = pd.DataFrame(rows)
    return points.assign(
        worth=worths_of(points["accuracy"].to_numpy(float), points["loss"].to_numpy(float)),
        luck=pd.Series([luck_of(points["answers"])] * len(points), dtype=object),
    )


def with_timings(points: pd.DataFrame, ratios: pd.DataFrame) -> pd.DataFrame:
    """Points with `TIMED`, empty where the exported architecture was not timed. The dense model takes its own time.

    Args:
        points: of `pool_points`.
        ratios: of `latency_ratios`, of one setting or none.
    """
    timings = ratios.drop_duplicates("architecture").set_index("architecture")[TIMED]
    timed = points.join(timings, on="architecture")
    own = timed["dense"].astype(bool) & timed["ratio"].notna()
    return timed.assign(ratio=timed["ratio"].mask(own, 1.0), log_error=timed["log_error"].mask(own, 0.0))


def answers_of(members: Sequence[Row], right: Right, *, stage: str, split: str) -> Answers:
    """What trials of different seeds answered on a split at a stage."""
    samples = int(members[0]["samples_search" if split == "search" else "samples"])
    masks = [right.get((member["trial"], member["kept"] if stage == "kept" else stage)) for member in members]
    kept = [mask[:samples] for mask in masks if mask is not None]
    if len(kept) == len(members):
        return Answers(
            correct={i: int(mask.sum()) for i, mask in enumerate(kept)},
            samples=samples,
            right=np.array(kept, dtype=float),
        )
    return Answers(
        correct={i: int(member[f"correct_{stage}"]) for i, member in enumerate(members)}, samples=samples, right=None
    )


def name_point(trial: Row) -> str:
    """A point in words, without its seeds."""
    if trial["scheme"] == "dense":
        return "dense control"
    return f"{trial['method']}, layers {trial['layer_set']}, {trial['rank_rule']}"
