"""The names that a spec or an option may use: a table for each kind, with the meaning of each name.

The functions behind the names are in modules that may import torch; a test compares each table here with theirs.
"""

from types import MappingProxyType

from lrbench.config.axes import Words

AUTO_DEVICE: Words = MappingProxyType({"auto": "cpu, and cuda if available"})
"""What a spec may say instead of a device to time on."""

MIXED = "mixed"
"""Instead of a scheme: a budget rule chooses for each layer among the other schemes of the grid."""

JOINT = "+"
"""Between schemes of one trial: each layer gets the first that is possible for it."""


def parts_of(scheme: str) -> tuple[str, ...]:
    """The schemes in a name that may join several, in order."""
    return tuple(scheme.split(JOINT))


SOURCES: Words = MappingProxyType(
    {
        "digits": "1,797 grey images of 8 x 8 pixels, included in scikit-learn",
        "imagenette": "ten classes of ImageNet, downloaded",
        "cifar10": "downloaded",
        "folder": "your own images: train/CLASS/ and val/CLASS/ in `root`",
    }
)
"""Data sets; their functions are in `lrbench.learn.sources`."""

PRESETS: Words = MappingProxyType(
    {
        "none": "nothing",
        "imagenet": "ImageNet's mean and std, and 224 pixels from the middle of 256, bilinear",
        "weights": "what the weights were trained for: those of a torchvision weights name, or of a timm model",
    }
)
"""How images are made ready for a model; what they set is in `lrbench.learn.presets`."""

INTERPOLATIONS: Words = MappingProxyType(
    {"bilinear": "linear", "bicubic": "cubic", "lanczos": "windowed sinc", "nearest": "no new levels"}
)
"""How an image is resized; with antialias, as Pillow does it."""

AUGMENTATIONS: Words = MappingProxyType(
    {
        "none": "no change",
        "flip": "mirrored at random",
        "crop": "shifted by up to an eighth",
        "crop-flip": "both",
        "resized-crop-flip": "35-100 % of the area, resized and mirrored at random",
    }
)
"""Random changes of training images; their functions are in `lrbench.learn.batches`."""

OPTIMIZERS: Words = MappingProxyType(
    {
        "sgd": "with `momentum`; `weight_decay` is an L2 penalty",
        "adamw": "Adam with beta1 = `momentum` and decoupled decay (Loshchilov & Hutter 2019, arXiv 1711.05101)",
    }
)
"""Update rules; their functions are in `lrbench.learn.optimizers`."""

SCHEDULES: Words = MappingProxyType(
    {
        "constant": "`lr` throughout",
        "cosine": "falls from `lr` to 0",
        "one-cycle": "rises to `lr` over 30 % of the steps, then falls (Smith 2017, arXiv 1708.07120)",
    }
)
"""Learning rates over the steps; their functions are in `lrbench.learn.optimizers`."""

TUNED_BATCH_NORMS: Words = MappingProxyType(
    {
        "train": "statistics are updated on the augmented training images",
        "frozen": "statistics stay as they are",
        "re-estimated": "as `train`, then re-estimated on the calibration images",
    }
)
"""What finetuning does to batch norm."""

CALIBRATION_SPLITS: Words = MappingProxyType(
    {
        "train": "the training split, unaugmented",
        "search": "the search split, on which choices are made too: as all earlier versions did",
    }
)
"""Where calibration images come from."""

STAGES: Words = MappingProxyType(
    {"dense": "unchanged", "truncated": "truncated", "recalibrated": "re-estimated", "finetuned": "finetuned"}
)
"""The stages of a trial; a model of one of them is kept. `re-estimated` is its batch norm."""

SCHEMES: Words = MappingProxyType(
    {
        "channel": "the whole kernel to R channels, then 1 x 1",
        "spatial": "a column kernel, then a row kernel",
        "weight": "1 x 1 to R channels, then the whole kernel",
        "tucker2": "1 x 1, a core of R x R channels, 1 x 1",
        "linear": "two linear layers",
        "grouped": "a column kernel, then a row kernel, in each group of a grouped or depthwise convolution",
        "writeback": "truncated and multiplied out; the cost does not change",
        MIXED: "a budget rule chooses among the other schemes for each layer",
    }
)
"""Ways to factorize; their functions are in `lrbench.lowrank.schemes`."""

TRUNCATIONS: Words = MappingProxyType(
    {
        "plain": "least error of the weights",
        "output": "least error of each layer's outputs on calibration images",
        "sequential": "as `output`, layer after layer, each correcting for the loss of those before it",
    }
)
"""What a cut keeps."""

RULES: Words = MappingProxyType(
    {
        "rank=8": "the same for every layer",
        "fraction=0.25": "share of the full rank, the smaller side of the layer's matrix (`tucker2`: more channels)",
        "energy=0.9": "share of the squared singular values",
        "params=0.5": "share of the layer's parameters",
        "macs=0.5": "share of the layer's MACs",
        "evbmf": "singular values above the estimated noise",
    }
)
"""Rank rules by an example of each; their records are in `lrbench.lowrank.ranks`."""

ALLOCATIONS: Words = MappingProxyType(
    {
        "knapsack": "least predicted damage",
        "uniform": "the same share of MACs for every layer",
        "global-energy": "the same share of energy for every layer",
        "greedy": "the same accuracy for every layer truncated alone",
        "minmax": "smallest maximum of the spectral errors",
    }
)
"""Ways to spend a budget of the whole model; their functions are in `lrbench.lowrank.allocations`."""

KINDS: Words = MappingProxyType({"conv": "convolutions", "linear": "linear layers"})
"""Kinds of layers."""

EXECUTORS: Words = MappingProxyType(
    {"here": "in this process", "pool": "in child processes", "ray": "on a cluster (docs/cluster.md)"}
)
"""Where trials run; their functions are in `lrbench.execute.executors`."""


LIBRARIES: Words = MappingProxyType({"timm": "`timm:NAME`: a model of timm (extra `timm`)"})
"""What may stand before the colon of `model.name` beside a module of the user's; see `lrbench.learn.libraries`."""


def is_own(model: str) -> bool:
    """Whether a model is code of the user's own, `package.module:callable`."""
    return ":" in model and not is_in_library(model)


def is_in_library(model: str) -> bool:
    """Whether a model is one of `LIBRARIES`."""
    return model.partition(":")[0] in LIBRARIES and ":" in model


def in_a_row(words: Words) -> str:
    """Names with their meanings: "`here`: in this process; `pool`: in child processes"."""
    return "; ".join(f"`{name}`: {meaning}" for name, meaning in words.items())


def rules_in_a_row() -> str:
    """How each rank rule is written, and what it does."""
    return (
        f"{in_a_row(RULES)}; each may end in `multiple=16` (rounds up) and `max=full` (even if nothing is saved); "
        f"budgets of the whole model: `knapsack macs=0.5`, `params=` or `latency=`, spent by {in_a_row(ALLOCATIONS)}"
    )


ADVICE_CONFIDENCE = 0.8
"""Asked of a recommendation by default: at even odds one in seven failed on the test split (results/choices)."""
