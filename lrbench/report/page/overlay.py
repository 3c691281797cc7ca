"""One or several results folders side by side: their tables, every row marked with the folder it came from."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lrbench.errors import InputError
from lrbench.report.choice.pick import Pick, usual_picks
from lrbench.report.frames.rivals import RIVALS, choose_rivals
from lrbench.report.frames.standing import with_standing
from lrbench.report.results import Results


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Frames of one or several folders; the column `folder` holds the folder's label, and tells equal keys apart.

    `results` are the folders by label. `done` are the finished trials, with what they lose to their dense control and
    how they stand in MACs, among the trials of their own folder; `number` counts them over all folders. `picks` are
    what is recommended, by folder; `usual` names the group of rivals that `recommend` chooses among in each folder.
    """

    results: Mapping[str, Results]
    trials: pd.DataFrame
    done: pd.DataFrame
    layers: pd.DataFrame
    epochs: pd.DataFrame
    sensitivity: pd.DataFrame
    architectures: pd.DataFrame
    timed: pd.DataFrame
    environments: pd.DataFrame
    ratios: pd.DataFrame
    correlations: pd.DataFrame
    hypervolumes: pd.DataFrame
    plans: pd.DataFrame
    standings: pd.DataFrame
    picks: tuple[tuple[str, Pick], ...]
    usual: frozenset[tuple[str, tuple[Hashable, ...]]]

    @property
    def labels(self) -> tuple[str, ...]:
        """What the folders are called."""
        return tuple(self.results)


def read_overlay(folders: Sequence[Path]) -> Overlay:
    """Read the tables of these folders.

    Raises: InputError when a folder is named twice, or holds no readable tables.
    """
    labels = label_folders(folders)
    parts: dict[str, list[pd.DataFrame]] = {}
    picks: list[tuple[str, Pick]] = []
    usual: set[tuple[str, tuple[Hashable, ...]]] = set()
    results = {label: Results(folder) for folder, label in zip(folders, labels, strict=True)}
    for label, read in results.items():
        for name, frame in _frames(read).items():
            parts.setdefault(name, []).append(frame.assign(folder=label))
        mine = list(usual_picks(read))
        picks += [(label, pick) for pick in mine]
        if mine:
            rivals = choose_rivals(read.done, None)[0].iloc[0]
            usual.add((label, tuple(rivals[name] for name in RIVALS)))
    frames = {name: stack(stacked) for name, stacked in parts.items()}
    done = frames.pop("done").reset_index(drop=True)
    return Overlay(
        results=results,
        done=done.assign(number=range(len(done))),
        picks=tuple(picks),
        usual=frozenset(usual),
        **frames,
    )


def label_folders(folders: Sequence[Path]) -> tuple[str, ...]:
    """The shortest ends of the paths that tell the folders apart: their names, mostly.

    Raises: InputError when a folder is named twice.
    """
    whole = [folder.resolve().parts for folder in folders]
    twice = [str(folder) for folder, parts in zip(folders, whole, strict=True) if whole.count(parts) > 1]
    if twice:
        raise InputError(f"{twice[0]} is named twice; name each results folder once")
    for length in range(1, max(map(len, whole)) + 1):
        labels = tuple("/".join(parts[-length:]) for parts in whole)
        if len(set(labels)) == len(labels):
            break
    return labels


def _frames(results: Results) -> dict[str, pd.DataFrame]:
    return {
        "trials": results.trials,
        "layers": results.layers,
        "epochs": results.epochs,
        "sensitivity": results.sensitivity,
        "architectures": results.architectures,
        "timed": results.timed_architectures,
        "environments": results.environments,
        "done": with_standing(results.losses, results.standings, cost="macs"),
        "standings": results.standings,
        "ratios": results.latency_ratios,
        "correlations": results.score_correlations,
        "hypervolumes": results.hypervolumes,
        "plans": results.audit,
    }


def stack(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames one upon the other; empty ones only where all are."""
    filled = [part for part in parts if not part.empty]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]
