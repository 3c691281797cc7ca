"""One or several results folders side by side: their tables, every row marked with the folder it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lrbench.errors import InputError
from lrbench.report.choice.pick import Pick, usual_picks
from lrbench.report.frames.standing import with_standing
from lrbench.report.results import Results


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Frames of one or several folders; the column `folder` holds the folder's label, and tells equal keys apart.

    `done` are the finished trials, with what they lose to their dense control and how they stand in MACs, among the
    trials of their own folder; `number` counts them over all folders. `picks` are what is recommended, by folder.
    """

    labels: tuple[str, ...]
    trials: pd.DataFrame
    done: pd.DataFrame
    layers: pd.DataFrame
    epochs: pd.DataFrame
    architectures: pd.DataFrame
    environments: pd.DataFrame
    ratios: pd.DataFrame
    correlations: pd.DataFrame
    hypervolumes: pd.DataFrame
    plans: pd.DataFrame
    standings: pd.DataFrame
    picks: tuple[tuple[str, Pick], ...]


def read_overlay(folders: Sequence[Path]) -> Overlay:
    """Read the tables of these folders.

    Raises: InputError when a folder is named twice, or holds no readable tables.
    """
    labels = label_folders(folders)
    parts: dict[str, list[pd.DataFrame]] = {}
    picks: list[tuple[str, Pick]] = []
    for folder, label in zip(folders, labels, strict=True):
        results = Results(folder)
        for name, frame in _frames(results).items():
            parts.setdefault(name, []).append(frame.assign(folder=label))
        picks += [(label, pick) for pick in usual_picks(results)]
    frames = {name: stack(stacked) for name, stacked in parts.items()}
    done = frames.pop("done").reset_index(drop=True)
    return Overlay(labels=labels, done=done.assign(number=range(len(done))), picks=tuple(picks), **frames)


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
        "architectures": results.architectures,
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
