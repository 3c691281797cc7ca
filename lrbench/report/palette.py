"""Colours by name, for figures and the page alike."""

from collections.abc import Sequence

COLOURS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9")
"""Seaborn's colour-blind palette."""

METHODS = ("channel", "spatial", "channel output", "writeback", "channel sequential", "linear", "tucker2", "weight")
"""Methods that have the same colour everywhere."""


def assign_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour-blind-safe colour for each name, the same for the same names."""
    order = [*METHODS, *sorted(set(names) - set(METHODS))]
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(order)}
