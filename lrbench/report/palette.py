"""Colours by name, for figures and the page alike.

Every colour of a mark has a contrast of at least 3 to the papers of both schemes, every colour of a text one of at
least 4.5 (WCAG 2.2, 1.4.11 and 1.4.3).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

COLOURS = ("#396eae", "#9a5f02", "#119b76", "#df5f4d", "#a8608c", "#86693f", "#8c77e0", "#687472", "#86883a", "#24839c")
"""Of marks. The first four are told apart with each kind of colour blindness; shapes tell the rest."""

METHODS = ("channel", "spatial", "channel output", "writeback", "channel sequential", "linear", "tucker2", "weight")
"""Methods that have the same colour everywhere."""

_ROLES = ("paper", "soft", "ink", "muted", "line", "accent", "good", "bar")

SCHEMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        name: MappingProxyType(dict(zip(_ROLES, colours.split(), strict=True)))
        for name, colours in {
            "light": "#ffffff #f3f5f8 #1b1f24 #5a6470 #d5dbe1 #0b5cad #e4f1e6 #7c8793",
            "dark": "#14181d #1d232a #e8ebef #a3aeb9 #353e48 #79bbff #17261c #7c8793",
        }.items()
    }
)
"""Colours of the page by what they are for, light and dark: `muted` and `accent` are of texts, `bar` is of marks."""


def colour_numbers(names: Sequence[str]) -> dict[str, int]:
    """By name the number of a colour, the same for the same names."""
    order = [*METHODS, *sorted(set(names) - set(METHODS))]
    return {name: i % len(COLOURS) for i, name in enumerate(order)}


def assign_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour-blind-safe colour for each name, the same for the same names."""
    return {name: COLOURS[i] for name, i in colour_numbers(names).items()}
