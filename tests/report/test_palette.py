"""Contrast of every colour, by the formulas of WCAG 2.2, and how far colours lie apart for colour-blind readers."""

from itertools import combinations, product

import numpy as np
import pytest

from lrbench.report.palette import COLOURS, METHODS, SCHEMES, assign_colours

TEXTS, MARKS, PAPERS = ("ink", "muted", "accent"), ("ink", "muted", "bar"), ("paper", "soft")

BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Linear RGB as it is seen (Machado, Oliveira & Fernandes 2009, severity 1)."""


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    high, low = sorted((float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_texts_can_be_read(scheme: str) -> None:
    colours = SCHEMES[scheme]
    papers = [colours[name] for name in (*PAPERS, "good")]
    assert {(name, paper) for name, paper in product(TEXTS, papers) if contrast(colours[name], paper) < 4.5} == set()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_marks_can_be_seen(scheme: str) -> None:
    colours = SCHEMES[scheme]
    marks = [*COLOURS, *(colours[name] for name in MARKS)]
    papers = [colours["paper"], colours["good"]]
    assert {(mark, paper) for mark, paper in product(marks, papers) if contrast(mark, paper) < 3} == set()


def lab(values: np.ndarray) -> np.ndarray:
    """OKLab of linear RGB (Ottosson 2020)."""
    long, medium, short = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ np.clip(values, 0, 1)
    )
    return np.array(
        [
            0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
            1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
            0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
        ]
    )


@pytest.mark.parametrize("kind", BLIND)
def test_the_first_colours_differ_for_colour_blind_readers(kind: str) -> None:
    """Four at a time are told by colour; the page has a shape for each method besides."""
    seen = [lab(np.array(BLIND[kind]) @ linear(colour)) for colour in COLOURS[:4]]
    apart = {pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in combinations(range(4), 2)}
    assert min(apart.values()) > 0.04, apart


def test_a_method_keeps_its_colour() -> None:
    assert assign_colours(["channel"])["channel"] == assign_colours(["zeta", "alpha", "channel"])["channel"]
    assert len({*map(assign_colours(METHODS).get, METHODS)}) == len(METHODS)
