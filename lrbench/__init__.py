"""Rank sweeps for low-rank CNNs: which rank, in which layers, buys what, at what accuracy.

`lrbench.compress(model, {"layer1.0.conv1": 8}, scheme="channel")` is all of the library that one model needs;
`lrbench.load("exported")` gives back the model of an export.
"""

from typing import Any

__all__ = ["compress", "load"]


def __getattr__(name: str) -> Any:
    """Import `compress` and `load` when they are first asked for, so that reports do not wait for torch."""
    if name == "compress":
        from lrbench.lowrank.compress import compress

        return compress
    if name == "load":
        from lrbench.export.load import load

        return load
    raise AttributeError(f"module 'lrbench' has no attribute {name!r}")
