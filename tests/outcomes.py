"""What a sweep leaves that must not depend on how it was run: its tables without times, and its weights."""

from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file

NOISE = ["started", "reused_weights", "truncate_s", "evaluate_s", "finetune_s", "peak_memory_bytes", "seconds"]
KEYS = {
    "trials": ["trial"],
    "layers": ["trial", "layer"],
    "epochs": ["trial", "stage", "epoch"],
    "spectra": ["baseline", "trial", "scheme", "layer", "index"],
}


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a sweep without columns of time and memory, in an order of their own."""
    frames = {name: pd.read_csv(folder / f"{name}.csv") for name in KEYS}
    return {
        name: frame.drop(columns=NOISE, errors="ignore").sort_values(KEYS[name], ignore_index=True)
        for name, frame in frames.items()
    }


def assert_same_tables(one: Path, other: Path) -> None:
    """Two sweeps left equal tables, bit by bit."""
    made = tables_of(other)
    for name, frame in tables_of(one).items():
        pd.testing.assert_frame_equal(made[name], frame, check_exact=True)


def assert_same_weights(*caches: Path, models: int) -> None:
    """Two caches hold the same tensors under the same names, bit by bit."""
    ones, twos = ({path.name: load_file(path) for path in cache.rglob("*.safetensors")} for cache in caches)
    assert len(ones) == models
    assert ones.keys() == twos.keys()
    for key, tensors in ones.items():
        assert all(torch.equal(tensor, twos[key][name]) for name, tensor in tensors.items())
