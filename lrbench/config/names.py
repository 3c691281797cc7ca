"""What may be named in a spec or as an option: a table for each kind of thing, with what each name means.

The functions behind the names lie where torch may be imported; a test compares each table here with theirs.
"""

from types import MappingProxyType

from lrbench.config.axes import Words

AUTO_DEVICE: Words = MappingProxyType({"auto": "cpu, and cuda if present"})
"""What may stand in the place of a device of timings."""

MIXED = "mixed"
"""In the place of a scheme: each layer has the one of the grid's other schemes that a budget rule likes best."""

SOURCES: Words = MappingProxyType(
    {
        "digits": "1,797 grey images of 8 x 8, part of scikit-learn",
        "imagenette": "ten classes of ImageNet, downloaded",
        "cifar10": "downloaded",
        "folder": "images of your own: train/CLASS/ and val/CLASS/ in `root`",
    }
)
"""Data sets; functions: `lrbench.learn.sources`."""

AUGMENTATIONS: Words = MappingProxyType(
    {
        "none": "as it is",
        "flip": "mirrored at random",
        "crop": "shifted by up to an eighth",
        "crop-flip": "both",
        "resized-crop-flip": "35-100 % of the area, enlarged and mirrored at random",
    }
)
"""Random changes of training images; functions: `lrbench.learn.batches`."""

OPTIMIZERS: Words = MappingProxyType(
    {"sgd": "with momentum", "adamw": "Adam with decoupled decay (Loshchilov & Hutter 2019, arXiv 1711.05101)"}
)
"""Update rules; functions: `lrbench.learn.optimizers`."""

SCHEDULES: Words = MappingProxyType(
    {
        "constant": "`lr` throughout",
        "cosine": "falls from `lr` to 0",
        "one-cycle": "rises to `lr` over 30 % of the steps, then falls (Smith 2017, arXiv 1708.07120)",
    }
)
"""Learning rates over the steps; functions: `lrbench.learn.optimizers`."""

TUNED_BATCH_NORMS: Words = MappingProxyType(
    {
        "train": "its statistics follow the training images as augmented",
        "frozen": "they stay as they are",
        "re-estimated": "after training, on the calibration images once more",
    }
)
"""What finetuning does to batch norm."""

SCHEMES: Words = MappingProxyType(
    {
        "channel": "all of the kernel to R channels, then 1 x 1",
        "spatial": "a column of the kernel, then a row",
        "weight": "1 x 1 to R channels, then all of the kernel",
        "tucker2": "1 x 1, a core of R x R channels, 1 x 1",
        "linear": "two linear layers",
        "writeback": "truncated and multiplied out: costs stay",
        MIXED: "for each layer the one of the others that a budget rule likes best",
    }
)
"""Ways to factorize; functions: `lrbench.lowrank.schemes`."""

TRUNCATIONS: Words = MappingProxyType(
    {
        "plain": "least error of weights",
        "output": "of each layer's outputs on calibration images",
        "sequential": "the same, layer after layer, each repairing what the ones before it lost",
    }
)
"""What a cut keeps."""

RULES: Words = MappingProxyType(
    {
        "rank=8": "the same for every layer",
        "fraction=0.25": "share of the largest useful rank",
        "energy=0.9": "share of the squared singular values",
        "params=0.5": "share of the layer's parameters",
        "macs=0.5": "share of the layer's MACs",
        "evbmf": "what stands above noise",
    }
)
"""Rank rules by an example of each; records: `lrbench.lowrank.ranks`."""

ALLOCATIONS: Words = MappingProxyType(
    {
        "knapsack": "least predicted damage",
        "uniform": "one share of its MACs for every layer",
        "global-energy": "one share of energy for every layer",
        "greedy": "one accuracy, each layer truncated alone",
        "minmax": "least largest spectral error",
    }
)
"""Ways to spend a budget of the whole model; functions: `lrbench.lowrank.budget`."""

KINDS: Words = MappingProxyType({"conv": "convolutions", "linear": "linear layers"})
"""Kinds of layers."""

EXECUTORS: Words = MappingProxyType(
    {"here": "in this process", "pool": "in child processes", "ray": "on a cluster (docs/cluster.md)"}
)
"""Where trials run; functions: `lrbench.execute.executors`."""


def in_a_row(words: Words) -> str:
    """Names with their meanings: "`here`: in this process; `pool`: in child processes"."""
    return "; ".join(f"`{name}`: {meaning}" for name, meaning in words.items())


def rules_in_a_row() -> str:
    """How a rank rule is written, and what each does."""
    return (
        f"{in_a_row(RULES)}; each may end in `multiple=16` (rounds up) and `max=full` (also where nothing is saved); "
        f"budgets of the whole model: `knapsack macs=0.5`, and `params=` or `latency=`, by {in_a_row(ALLOCATIONS)}"
    )
