"""The trials that finished, what they are called, and their latency."""

import numpy as np
import pandas as pd
from scipy.special import ndtri

from lrbench.statistics.posterior import CONFIDENCE, Floats


def done_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that finished, with MAC and param ratios to their dense model.

    `method` names scheme and truncation: `channel`, `channel output`. `accuracy_low` and `accuracy_high` are the 95 %
    Wilson interval of the accuracy of the kept model: what another test set of this size could have said (Wilson 1927).
    """
    whole = ["params", "macs", "dense_params", "dense_macs"]  # floats as long as a failed row leaves them empty
    done = trials[trials["state"] == "done"].astype(dict.fromkeys(whole, "int64"))
    low, high = _wilson(done["correct_kept"].to_numpy(float), done["samples"].to_numpy(float))
    return done.assign(
        method=name_methods(done),
        mac_ratio=done["macs"] / done["dense_macs"],
        param_ratio=done["params"] / done["dense_params"],
        accuracy_low=low,
        accuracy_high=high,
    )


def _wilson(correct: Floats, samples: Floats) -> tuple[Floats, Floats]:
    """The ends of the 95 % intervals of shares."""
    z = float(ndtri((1 + CONFIDENCE) / 2))
    shares, whole = correct / samples, 2 * (samples + z**2)
    middle = (2 * samples * shares + z**2) / whole
    reach = z / whole * np.sqrt(4 * samples * shares * (1 - shares) + z**2)
    return np.where(correct == 0, 0.0, middle - reach), np.where(correct == samples, 1.0, middle + reach)


def name_accuracy(trials: pd.DataFrame) -> str:
    """What the accuracies of kept models are, in words."""
    finetuned = (trials["kept"] == "finetuned").all() and len(trials)
    return f"test accuracy {'after finetuning' if finetuned else 'of the stage kept'}"


def name_methods(frame: pd.DataFrame) -> "pd.Series[str]":
    """Scheme and truncation as one word or two: `channel`, `channel output`."""
    return frame["scheme"].where(frame["truncation"] == "plain", frame["scheme"] + " " + frame["truncation"])


def timed_architectures(architectures: pd.DataFrame, ratios: pd.DataFrame) -> pd.DataFrame:
    """Each architecture beside its latency ratio, a row a setting, with `method` and `mac_ratio`.

    Args:
        architectures: rows of `architectures.csv`.
        ratios: of `latency_ratios`.
    """
    named = architectures.assign(
        method=name_methods(architectures), mac_ratio=architectures["macs"] / architectures["dense_macs"]
    )
    return named.merge(ratios, on=["architecture", "model", "image_size"])


def with_latency(trials: pd.DataFrame, ratios: pd.DataFrame) -> pd.DataFrame:
    """Finished trials beside the latency of their architecture: a row for each trial and setting."""
    return trials.merge(ratios, on=["architecture", "model", "image_size"], suffixes=("_trial", ""))
