"""The trials that finished, what they are called, and their latency."""

from functools import cache

import pandas as pd
from scipy.stats import binomtest


def done_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that finished, with MAC and param ratios to their dense model.

    `method` names scheme and truncation: `channel`, `channel output`. `accuracy_low` and `accuracy_high` are the 95 %
    Wilson interval of the accuracy of the kept model: what another test set of this size could have said (Wilson 1927).
    """
    whole = ["params", "macs", "dense_params", "dense_macs"]  # floats as long as a failed row leaves them empty
    done = trials[trials["state"] == "done"].astype(dict.fromkeys(whole, "int64"))
    spans = [_wilson(int(right), int(n)) for right, n in zip(done["correct_kept"], done["samples"], strict=True)]
    return done.assign(
        method=name_methods(done),
        mac_ratio=done["macs"] / done["dense_macs"],
        param_ratio=done["params"] / done["dense_params"],
        accuracy_low=[low for low, _ in spans],
        accuracy_high=[high for _, high in spans],
    )


@cache
def _wilson(correct: int, samples: int) -> tuple[float, float]:
    """The 95 % interval of a share; kept, since many trials answer as many images rightly."""
    interval = binomtest(correct, samples).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


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
