"""The summary in words: what `recommend` takes for a loss of a point, by MACs and in each setting, and how it did."""

from collections.abc import Iterator

import pandas as pd

from lrbench.report.choice.pick import Pick
from lrbench.report.choice.told import tell_picks
from lrbench.report.frames.rivals import RIVALS, Row, name_rivals
from lrbench.report.page.overlay import Overlay


def findings(overlay: Overlay) -> Iterator[tuple[str, list[str]]]:
    """For each group of rivals a heading, and sentences."""
    several = len(overlay.labels) > 1
    for key, rivals in overlay.done.groupby(["folder", *RIVALS], sort=False):
        group = dict(zip(RIVALS, key[1:], strict=True))
        picks = [pick for folder, pick in overlay.picks if folder == key[0] and pick.rivals == group]
        heading = name_rivals(group)
        yield f"{key[0]}: {heading}" if several else heading, list(_sentences(rivals, picks))


def _sentences(rivals: pd.DataFrame, picks: list[Pick]) -> Iterator[str]:
    dense, cut = rivals[rivals["scheme"] == "dense"], rivals[rivals["scheme"] != "dense"]
    if dense.empty:
        yield f"{len(cut)} factorized trials and no dense control: what they lose in accuracy cannot be told."
        return
    values = ", ".join(f"{value:.1%}" for value in dense["accuracy_kept"])
    reached = f"The dense control reached {values} test accuracy on {int(dense['samples'].iloc[0]):,} images."
    if cut.empty:
        yield f"{reached} No factorized trial finished."
        return
    yield reached
    yield from tell_picks(picks)


def name_trial(trial: Row) -> str:
    """A trial in words."""
    return f"{trial['method']}, layers {trial['layer_set']}, {trial['rank_rule']}, seed {trial['seed']}"
