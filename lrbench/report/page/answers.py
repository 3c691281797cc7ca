"""Which test images each trial answers rightly, so that the page compares any two trials image by image."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import ndtri

from lrbench.report.frames.rivals import SUBJECT, Row
from lrbench.report.frames.rows import rows_of
from lrbench.report.page.overlay import Overlay
from lrbench.statistics.posterior import CONFIDENCE

MOST_BYTES = 2_000_000
"""Of all masks together; over it only what lies on a front, or is dense, keeps its own."""


def answer_data(overlay: Overlay, *, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """By number of a trial: `correct` of `samples`, and the mask of the kept stage, where it was kept.

    A mask is the bytes of a bit for each image, in base64: of the trials on the same images the first that has one as
    it is, the others as what differs from it, which compresses well. `bases` names that trial. `z` is the quantile of
    an interval.
    """
    done = rows_of(overlay.done, ["number", "trial", "folder", "scheme", "kept", "correct_kept", "samples", *SUBJECT])
    small = sum(-(-int(trial["samples"]) // 8) for trial in done) <= most_bytes
    wanted = None if small else _outstanding(overlay)
    keys = [(trial["folder"], *(trial[name] for name in SUBJECT), trial["samples"]) for trial in done]
    known = [_mask(overlay, trial) for trial in done]
    bases: dict[tuple[Any, ...], int] = {}
    for place in sorted(range(len(done)), key=lambda place: known[place] is None):
        bases.setdefault(keys[place], int(done[place]["number"]))
    places = [bases[key] for key in keys]
    masks = {
        number: mask
        for number, mask, first in zip((int(trial["number"]) for trial in done), known, places, strict=True)
        if mask is not None and (wanted is None or number in wanted or first == number)
    }
    return {
        "z": float(ndtri((1 + CONFIDENCE) / 2)),
        "samples": [int(trial["samples"]) for trial in done],
        "correct": [int(trial["correct_kept"]) for trial in done],
        "bases": places,
        "masks": list(_written(masks, places)),
    }


def _mask(overlay: Overlay, trial: Row) -> Any:
    """Which images a trial's kept model got right, 0 or 1 each; None where that was not kept."""
    mask = overlay.results[trial["folder"]].right.get((trial["trial"], trial["kept"]))
    return None if mask is None else mask[: int(trial["samples"])]


def _outstanding(overlay: Overlay) -> set[int]:
    """The numbers of dense trials, and of those on a front."""
    front = overlay.standings[overlay.standings["on_front"].astype(bool)]
    known = set(zip(front["folder"], front["trial"], strict=True))
    return {
        int(trial["number"])
        for trial in rows_of(overlay.done, ["number", "trial", "folder", "scheme"])
        if trial["scheme"] == "dense" or (trial["folder"], trial["trial"]) in known
    }


def _written(masks: dict[int, Any], places: list[int]) -> Iterator[str | None]:
    for number, first in enumerate(places):
        mask = masks.get(number)
        if mask is None or (first != number and first not in masks):
            yield None
        else:
            told = mask if first == number else mask ^ masks[first]
            yield base64.b64encode(np.packbits(told).tobytes()).decode()
