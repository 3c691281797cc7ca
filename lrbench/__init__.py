"""Rank sweeps for low-rank CNNs: which rank, in which layers, buys what, at what accuracy.

`lrbench.compress(model, {"layer1.0.conv1": 8}, scheme="channel")` is all of the library that one model needs.
"""

from typing import Any

__all__ = ["compress"]


def __getattr__(name: str) -> Any:
    """Import `compress` when it is first asked for, so that reports do not wait for torch."""
    if name == "compress":
        from lrbench.lowrank.compress import compress

        return compress
    raise AttributeError(f"module 'lrbench' has no attribute {name!r}")
