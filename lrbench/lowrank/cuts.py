"""What happens to one layer: the record that plans, models, logs and tables share; imports no torch."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What happens to a layer: factors of a rank, or (rank None) the dense layer, and the reason why.

    Attributes:
        layer: its qualified name.
        scheme: how its weight is read as a matrix and becomes layers; `dense` where no cut was requested.
        truncation: what the cut keeps: `plain`, `output`, `sequential`.
        rank: of the factors, None when the layer stays dense.
        reason: why it stays dense, None when it does not.
        gains_bias: whether the replacement has a bias where the layer had none.
    """

    layer: str
    scheme: str
    truncation: str = "plain"
    rank: int | None = None
    reason: str | None = None
    gains_bias: bool = False

    @property
    def method(self) -> str:
        """Scheme and truncation as one word or two: `channel`, `channel output`."""
        return name_method(self.scheme, self.truncation)


def name_method(scheme: str, truncation: str) -> str:
    """Scheme and truncation as one word or two: `channel`, `channel output`."""
    return scheme if truncation == "plain" else f"{scheme} {truncation}"


def truncation_alone(truncation: str) -> str:
    """What a layer is cut by when it alone is cut: `sequential` has nothing to repair then, and is `output`."""
    return "output" if truncation == "sequential" else truncation


def shape_of(cuts: Iterable[Cut]) -> tuple[Cut, ...]:
    """The cuts that change a model's shape, with nothing that does not: no truncation, no reason."""
    return tuple(
        Cut(layer=cut.layer, scheme=cut.scheme, rank=cut.rank, gains_bias=cut.gains_bias)
        for cut in cuts
        if cut.rank is not None
    )


def format_names(layers: Iterable[str]) -> str:
    """The text of a table's cell: names of layers between spaces; a space or % in a name is written as in a URL."""
    return " ".join(re.sub(r"[\s%]", lambda found: quote(found[0]), layer) for layer in layers)


def parse_names(text: str) -> tuple[str, ...]:
    """Read what `format_names` wrote."""
    return tuple(map(unquote, text.split()))


def format_cuts(cuts: Iterable[Cut]) -> str:
    """The text of a table's cell: `conv1:channel:8 layer1.0.conv1:spatial:16`, names as `format_names` has them."""
    return " ".join(f"{format_names([cut.layer])}:{cut.scheme}:{cut.rank}" for cut in cuts)


def parse_cuts(text: str) -> tuple[Cut, ...]:
    """Read what `format_cuts` wrote.

    Raises: ValueError when the text is not of that form.
    """
    parts = (part.rsplit(":", 2) for part in text.split())
    return tuple(Cut(layer=unquote(layer), scheme=scheme, rank=int(rank)) for layer, scheme, rank in parts)
