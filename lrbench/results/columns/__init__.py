"""Every column, declared once: tables are written, read and checked by these, and explained in results/README.md.

To add a column, add one entry at the end of its table. To add a table, add one entry to `TABLES`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lrbench.results.columns.architectures import ARCHITECTURES
from lrbench.results.columns.column import Table
from lrbench.results.columns.environments import ENVIRONMENTS
from lrbench.results.columns.layers import LAYERS, SENSITIVITY, SPECTRA
from lrbench.results.columns.timings import LATENCY, LAYER_LATENCY
from lrbench.results.columns.training import ANSWERS, EPOCHS
from lrbench.results.columns.trials import TRIALS

TABLES: Mapping[str, Table[Any]] = MappingProxyType(
    {
        "trials": TRIALS,
        "layers": LAYERS,
        "answers": ANSWERS,
        "epochs": EPOCHS,
        "spectra": SPECTRA,
        "architectures": ARCHITECTURES,
        "latency": LATENCY,
        "layer_latency": LAYER_LATENCY,
        "sensitivity": SENSITIVITY,
        "environments": ENVIRONMENTS,
    }
)
"""The tables of a results folder, by the name of their file."""
