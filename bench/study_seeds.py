"""What more seeds tell of the points on or near the front: `seeds.csv` of a folder swept with `sweep.front_seeds`.

    python bench/study_seeds.py results/digits

A row for each point that has all seeds and each number of `seeds`, the first of them: what the folder would say had it
no others. Of the test split `drop` with the half width of its 95 % interval, for these weights by their images alone
(`by_images`) and for the method with training noise (`half_width`, whose `luck` is the standard deviation of one
training); on the search split its `standing` in MACs and the `probability` that it loses at most a point, of the
weights that would be exported and of another training (`retrained`); whether it is `recommended` for that.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from lrbench.config.names import ADVICE_CONFIDENCE
from lrbench.report.choice.constraints import CONSTRAINTS
from lrbench.report.choice.pick import USUAL_DROP, choices_of
from lrbench.report.choice.recommend import recommend
from lrbench.report.frames.pooling import answers_of, with_timings
from lrbench.report.frames.standing import words_of
from lrbench.report.results import Results
from lrbench.statistics.posterior import drop_between


def by_images(results: Results, trials: pd.DataFrame, members: tuple[str, ...]) -> float:
    """The half width of a drop on the test split by images alone."""
    mine = trials[trials["trial"].isin(members)].sort_values("seed")
    dense = trials[(trials["scheme"] == "dense") & trials["seed"].isin(mine["seed"])].sort_values("seed")
    before, after = (
        answers_of(group.to_dict("records"), results.right, stage="finetuned", split="test") for group in (dense, mine)
    )
    low, high = drop_between(before, after).interval()
    return (high - low) / 2


def rows(results: Results) -> Iterator[dict[str, Any]]:
    """Each point of the most seeds, by the first of them."""
    done = results.done
    seeds = sorted(int(seed) for seed in done["seed"].unique())
    whole = choices_of(results, done).points
    repeated = set(whole.loc[whole["seeds"].map(len) == len(seeds), "name"])
    for count in range(1, len(seeds) + 1):
        trials = done[done["seed"].isin(seeds[:count])]
        points = with_timings(choices_of(results, trials).points, results.latency_ratios.iloc[:0])
        chosen = recommend(points, {"max-drop": USUAL_DROP}, confidence=ADVICE_CONFIDENCE, minimise="macs").point
        for point, word in zip(points.to_dict("records"), words_of(points, cost="macs"), strict=True):
            if point["name"] in repeated and not point["dense"]:
                limit = CONSTRAINTS["max-drop"]
                assert limit.retrained is not None
                yield {
                    "point": point["name"],
                    "mac_ratio": point["mac_ratio"],
                    "seeds": count,
                    "drop": point["test_drop"],
                    "by_images": by_images(results, trials, point["trials"]),
                    "half_width": (point["test_drop_high"] - point["test_drop_low"]) / 2,
                    "luck": point["drop_luck"].variance ** 0.5,
                    "standing": word,
                    "probability": limit.probability(point, USUAL_DROP),
                    "retrained": limit.retrained(point, USUAL_DROP),
                    "recommended": chosen is not None and point["name"] == chosen["name"],
                }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    table = pd.DataFrame(rows(Results(folder)))
    table.to_csv(folder / "seeds.csv", index=False)
    print(table.round(4).to_string(index=False))
    print(table.groupby("seeds")[["by_images", "half_width", "luck"]].median().round(4).to_string())


if __name__ == "__main__":
    main()
