"""A drawing of each scheme: the layer above, the layers that replace it below, read from the layers themselves.

`python -m bench.site.drawings` writes docs/schemes, after a change of the schemes.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import nn

from lrbench.lowrank.schemes import SCHEMES

FOLDER = Path(__file__).parents[2] / "docs/schemes"
INS, OUTS, RANK = 48, 64, 16
EXAMPLES: Mapping[str, nn.Conv2d] = {
    "linear": nn.Conv2d(INS, OUTS, 1, bias=False),
    "grouped": nn.Conv2d(INS, OUTS, 3, groups=4, bias=False),
}
"""The layers of schemes that are not for a usual convolution; the rest are drawn for one of 3 x 3."""
HIGH, WIDE, BAR = 76, 560, 14
LEFT, ACROSS = 140, 360
"""Where the first bar stands, and how far to the right of it the last one."""
INK, MAPS, KERNELS, PAPER = "#1f2937", "#4f6bd8", "#e2e8f0", "#f8fafc"


def drawing(name: str) -> str:
    """The scheme as SVG."""
    layer = EXAMPLES.get(name, nn.Conv2d(INS, OUTS, 3, bias=False))
    rank = RANK // 4 if name == "grouped" else RANK
    after = [part for part in SCHEMES[name].restructure(layer, rank).modules() if isinstance(part, nn.Conv2d)]
    rows = (_row([layer], 20, "the layer"), _row(after, 20 + HIGH + 24, name))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {2 * HIGH + 64}" width="{WIDE}" font-size="13"'
    paper = f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>'
    return "\n".join([f'{head} font-family="sans-serif" fill="{INK}">', paper, *rows[0], *rows[1], "</svg>"]) + "\n"


def _row(layers: Sequence[nn.Conv2d], top: int, title: str) -> Iterator[str]:
    """Layers from left to right: bars are channels between them, boxes their kernels."""
    middle = top + HIGH // 2
    weights = sum(layer.weight.numel() for layer in layers)
    yield f'<text x="12" y="{middle - 4}" font-weight="bold">{title}</text>'
    yield f'<text x="12" y="{middle + 14}">{weights:,} weights</text>'
    for place, (channels, letter) in enumerate(_channels(layers)):
        x, end = (LEFT + ACROSS * number // len(layers) for number in (place, place + 1))
        tall = HIGH * channels / OUTS * 0.7
        yield f'<rect x="{x}" y="{middle - tall / 2:.1f}" width="{BAR}" height="{tall:.1f}" fill="{MAPS}"/>'
        below = f'x="{x + BAR / 2}" y="{middle + tall / 2 + 15:.1f}"'
        yield f'<text {below} text-anchor="middle">{letter} = {channels}</text>'
        if place < len(layers):
            yield from _kernel(layers[place], (x + BAR + end) / 2, middle, (x + BAR, end))


def _kernel(layer: nn.Conv2d, x: float, y: float, between: tuple[int, int]) -> Iterator[str]:
    """A box with the size of a kernel on the line between two bars."""
    text = " x ".join(map(str, layer.kernel_size)) + (f", {layer.groups} groups" if layer.groups > 1 else "")
    wide = 16 + 7 * len(text)
    yield f'<path d="M{between[0]} {y}H{between[1]}" stroke="{INK}"/>'
    yield f'<rect x="{x - wide / 2}" y="{y - 13}" width="{wide}" height="26" rx="4" fill="{KERNELS}" stroke="{INK}"/>'
    yield f'<text x="{x}" y="{y + 5}" text-anchor="middle">{text}</text>'


def _channels(layers: Sequence[nn.Conv2d]) -> list[tuple[int, str]]:
    """Channels before, between and after layers, each with its letter."""
    between = [layer.out_channels for layer in layers[:-1]]
    each = f"{layers[0].groups} R" if layers[0].groups > 1 else "R"
    letters = [each] if len(between) == 1 else [f"R{number}" for number in range(1, len(between) + 1)]
    ends = (layers[0].in_channels, "I"), (layers[-1].out_channels, "O")
    return [ends[0], *zip(between, letters, strict=True), ends[1]]


if __name__ == "__main__":
    for scheme in SCHEMES:
        (FOLDER / f"{scheme}.svg").write_text(drawing(scheme), encoding="utf-8")
