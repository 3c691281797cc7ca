"""Rank sweeps for low-rank CNNs: which rank, in which layers, buys what, at what accuracy.

cuts = lrbench.choose(model, (3, 224, 224), rule="macs=0.5", schemes=["spatial"])   # a rank for each layer
small = lrbench.compress(model, cuts)                                               # or {"layer1.0.conv1": 8}
results = lrbench.sweep("my.toml", {"finetune.epochs": 1})                          # what `lrbench sweep` does
results = lrbench.read("results/my")                                                # without torch
model = lrbench.load("exported")                                                    # the model of an export
"""

from importlib import import_module
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrbench.execute.workers import Cluster, Workers
    from lrbench.export.load import load
    from lrbench.library.choose import choose
    from lrbench.library.results import read
    from lrbench.library.sweep import sweep
    from lrbench.lowrank.compress import compress
    from lrbench.lowrank.copies import materialize
    from lrbench.lowrank.cuts import Cut

__all__ = ["Cluster", "Cut", "Workers", "choose", "compress", "load", "materialize", "read", "sweep"]

_WHERE = MappingProxyType(
    {
        "Cluster": "lrbench.execute.workers",
        "Cut": "lrbench.lowrank.cuts",
        "Workers": "lrbench.execute.workers",
        "choose": "lrbench.library.choose",
        "compress": "lrbench.lowrank.compress",
        "load": "lrbench.export.load",
        "materialize": "lrbench.lowrank.copies",
        "read": "lrbench.library.results",
        "sweep": "lrbench.library.sweep",
    }
)
"""Imported when they are first asked for, so that reports do not wait for torch."""


def __getattr__(name: str) -> Any:
    """A public name, or the version."""
    if name == "__version__":
        return version("lrbench")
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'lrbench' has no attribute {name!r}")
