"""How often a recommendation, chosen on the search split, holds on the test split: results/choices.

python bench/study_choices.py results/imagenette results/choices
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from lrbench.report.advice.recommend import recommend
from lrbench.report.frames.latency import latency_ratios
from lrbench.report.frames.points import Where, choose_rivals, choose_setting, pool_points
from lrbench.report.frames.trials import done_trials
from lrbench.results.tables import load_table

CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9)
LIMITS = np.arange(0, 25) / 400  # 0 to 6 points of accuracy in quarters
COSTS = ("latency", "macs", "params")


def choices(folder: Path) -> pd.DataFrame:
    """One row a recipe, cost, confidence and limit for which something is recommended.

    `limit`, `drop` and `test_drop` are in 0..1, `cost` is a ratio to the dense model.
    """
    done, answers = done_trials(load_table(folder, "trials")), load_table(folder, "answers")
    ratios, _ = choose_setting(latency_ratios(load_table(folder, "latency")), Where(words={"batch_size": 1}))
    rows = []
    for recipe in dict.fromkeys(done["recipe"]):
        trials, _ = choose_rivals(done[done["recipe"] == recipe], None)
        points = pool_points(trials, answers, ratios, split="search")
        for minimised, confidence, limit in product(COSTS, CONFIDENCES, LIMITS):
            point = recommend(points, {"max-drop": limit}, confidence=confidence, minimise=minimised).point
            if point is not None:
                column = {"latency": "ratio", "macs": "mac_ratio", "params": "param_ratio"}[minimised]
                rows.append(
                    {
                        "recipe": recipe,
                        "minimised": minimised,
                        "confidence": confidence,
                        "limit": limit,
                        "trial": point["trial"],
                        "cost": point[column],
                        "drop": point["drop"],
                        "test_drop": point["test_drop"],
                        "held": point["test_drop"] <= limit,
                    }
                )
    return pd.DataFrame(rows)


def main(folder: Path, target: Path) -> None:
    """Write every choice, and say how many held."""
    chosen = choices(folder)
    target.mkdir(parents=True, exist_ok=True)
    chosen.to_csv(target / "choices.csv", index=False)
    held = chosen.groupby("confidence")["held"].agg(["sum", "size", "mean"])
    costs = chosen.pivot_table(index="confidence", columns="minimised", values="cost")
    print(held.join(costs).round(3).to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
