"""The studies results/imagenette and results/recipes: what was run, in this order; a few hours on two cores.

python bench/study_imagenette.py data/imagenette2-224
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

SPEC = "bench/sweeps/imagenette.toml"
SCHEMES = ("channel", "spatial", "weight", "tucker2")
RULES = ("uniform", "global-energy", "greedy", "minmax", "knapsack")
BUDGETS = ("macs=0.5", "macs=0.33", "macs=0.25", "latency=0.7", "latency=0.5")
TRAIN = ("--only", "accuracy", "--jobs", "2")
RECIPES = (
    (),
    ("--set", "finetune.batch_norm=re-estimated"),
    ("--set", "finetune.batch_norm=frozen"),
    ("--set", "finetune.batch_norm=re-estimated", "--set", "finetune.distill=0.5"),
)
RECIPE = RECIPES[-1]
"""The best of them on the search split."""
TIMED_AGAIN = ("161fa7a9b4518cec", "ac68a8ba7ea5579c", "eb55d7fd9ae88fa4")
"""What `lrbench recommend --max-drop 1.0` takes, what lies beside it, and the tightest plan."""


def grid(
    schemes: Sequence[str],
    truncations: Sequence[str] = ("plain",),
    layer_sets: Sequence[str] = ("all",),
    ranks: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
) -> tuple[str, ...]:
    """The options of `lrbench sweep` for a part of the spec's grid; without ranks those of the spec."""
    axes = {"schemes": schemes, "truncations": truncations, "layer_sets": layer_sets, "ranks": ranks, "seeds": seeds}
    chosen = {name: list(values) for name, values in axes.items() if values}
    return tuple(word for name, values in chosen.items() for word in ("--set", f"sweep.{name}={json.dumps(values)}"))


def budgets(rules: Sequence[str], shares: Sequence[str] = BUDGETS) -> list[str]:
    """Every rule with every budget."""
    return [f"{rule} {share}" for share in shares for rule in rules]


def steps() -> Iterator[tuple[str, ...]]:
    """The commands, without the data set. Timings need the machine alone."""
    # The grid, each trial finetuned for an epoch
    yield ("sweep", SPEC, *TRAIN, *grid(SCHEMES, ("plain", "output", "sequential")))
    yield ("sweep", SPEC, *TRAIN, *grid(["channel"], layer_sets=("3x3", "early", "late")))
    for scheme in ("writeback", "channel"):
        yield ("sweep", SPEC, *TRAIN, *grid([scheme], ranks=("fraction=0.2", "fraction=0.05")))
    yield ("sweep", SPEC, *TRAIN, *grid(["spatial"], seeds=[1]))
    # What finetuning may do beside
    for recipe in RECIPES:
        point = grid(["channel", "spatial"], ranks=["macs=0.2"])
        yield ("sweep", SPEC, "--out", "results/recipes", *TRAIN, *point, *recipe)
    # Budgets of the whole model
    yield ("sensitivity", SPEC, "--jobs", "2")
    alone = ("--set", "latency.batch_sizes=[1]", "--set", "latency.processes=1", "--set", "latency.limit_s=12.0")
    yield ("layers", SPEC, *alone)
    mixed = (*SCHEMES, "mixed")
    yield ("sweep", SPEC, *TRAIN, *RECIPE, *grid(mixed, ["sequential"], ranks=budgets(["knapsack"])))
    yield ("sweep", SPEC, *TRAIN, *RECIPE, *grid(["channel"], ranks=budgets(RULES)))
    tight = ["macs=0.25"]
    yield ("sweep", SPEC, *TRAIN, *RECIPE, *grid(mixed, ["sequential"], ranks=budgets(["knapsack"], tight), seeds=[1]))
    yield ("sweep", SPEC, *TRAIN, *RECIPE, *grid(["channel"], ranks=budgets(RULES, tight), seeds=[1]))

    # All architectures, one image at a time; the grid of whole networks also eight at a time; the tightest plan again
    fast = ("--set", "latency.processes=2", "--set", "latency.limit_s=15.0")
    yield ("time", "results/imagenette", "--set", "latency.batch_sizes=[1]", *fast)
    yield ("sweep", SPEC, "--only", "latency", *grid(SCHEMES), "--set", "latency.batch_sizes=[8]", *fast)
    again = ("--set", "latency.batch_sizes=[1]", "--set", "latency.processes=3", "--set", "latency.limit_s=15.0")
    tightest = grid(mixed, ["sequential"], ranks=budgets(["knapsack"], tight))
    yield ("sweep", SPEC, "--only", "latency", *RECIPE, *tightest, *again)
    yield ("sweep", SPEC, "--only", "latency", *RECIPE, *grid(["channel"], ranks=["knapsack latency=0.5"]), *again)
    # Three plans in another session, and budgets of latency that nothing was trained for: are they kept?
    named = (word for trial in TIMED_AGAIN for word in ("--again", trial))
    yield ("time", "results/imagenette", *named, "--set", "latency.batch_sizes=[1]", *fast)
    untrained = [f"knapsack latency={share}" for share in (0.8, 0.65, 0.55, 0.45)]
    yield ("sweep", SPEC, "--only", "latency", *RECIPE, *grid(mixed, ranks=untrained), *alone[:2], *fast)


def main(root: str) -> None:
    """Run every step; a second run continues."""
    for command, *words in steps():
        data = () if command == "time" else ("--set", "data.name=folder", "--set", f"data.root={root}")
        subprocess.run(["lrbench", command, *words, *data], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
