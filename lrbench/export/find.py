"""Which trial of a results folder is meant, by what spec it ran, and where its weights are."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from lrbench.errors import InputError
from lrbench.learn.architectures import build_dense, check_unchanged, shaped
from lrbench.learn.weights import recall_weights, weights_path
from lrbench.plan.spec import SweepSpec, make_spec
from lrbench.results.records import Failure, Measurement, Record, SpecRecord, Trial

TIMED = (
    "batch_sizes",
    "threads",
    "precision",
    "rounds",
    "limit_s",
    "processes",
    "control_within",
    "block_s",
    "warmup_s",
)
TAKEN = ("data.root", "data.name", *(f"latency.{key}" for key in TIMED))
"""Keys of a spec that may be another one's than the trial's: where its images are, and how artefacts are timed."""

LISTED = 20
"""Trials that an error names at most."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A trial with what it takes to make its model: the spec it ran by and the file with its weights."""

    measurement: Measurement
    spec: SweepSpec
    weights: Path


def find_source(
    records: Sequence[Record], beginning: str, *, weights: Path, overrides: Sequence[str], models: Sequence[str]
) -> Source:
    """The finished trial whose key begins so.

    Args:
        records: of a results folder.
        beginning: of the trial's key, or all of it.
        weights: directory of trained weights.
        overrides: `key=value` texts of keys in `TAKEN`.
        models: callables of the user's own that may be run. A results folder alone never makes lrbench import code.

    Raises: InputError when no trial or more than one is meant, when it kept no weights, for a callable that was not
        named, or when its code has changed.
    """
    measurement = find_measurement(records, beginning)
    trial, shape = measurement.trial, measurement.architecture
    if trial.finetune_epochs == 0:
        raise InputError(
            f"trial {trial.key} ({trial.label}) was not finetuned, so no weights of it were kept: sweep it with "
            "finetune.epochs=1 or more"
        )
    path = weights_path(weights, trial.key)
    if not path.is_file():
        raise InputError(f"{path} is not there, the weights of trial {trial.key} ({trial.label}): give its --cache")
    if ":" in shape.model and shape.model not in models:
        raise InputError(
            f"model {shape.model!r} is code of your own; --model {shape.model} allows to import and run it"
        )
    spec = _spec_of(records, measurement, overrides)
    check_unchanged(shape)
    return Source(measurement=measurement, spec=spec, weights=path)


def find_measurement(records: Sequence[Record], beginning: str) -> Measurement:
    """The finished trial whose key begins so; of one that was tried again, the last attempt.

    Raises: InputError when there is none or more than one, naming those that are there.
    """
    done = {record.trial.key: record for record in records if isinstance(record, Measurement)}
    if not done:
        raise InputError("the folder holds no finished trial")
    meant = [record for key, record in done.items() if key.startswith(beginning)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise InputError(f"{len(meant)} trials begin with {beginning!r}:{_listing([one.trial for one in meant])}")
    for record in records:
        if isinstance(record, Failure) and record.trial.key.startswith(beginning):
            raise InputError(f"trial {record.trial.key} ({record.trial.label}) failed: {record.reason}")
    listing = _listing([one.trial for one in done.values()])
    raise InputError(f"no finished trial begins with {beginning!r}; there are:{listing}")


def _listing(trials: Sequence[Trial]) -> str:
    """Keys and names, a line each."""
    lines = [f"\n  {trial.key}  {trial.label}" for trial in trials[:LISTED]]
    return "".join(lines) + (f"\n  and {len(trials) - LISTED} more (trials.csv)" if len(trials) > LISTED else "")


def _spec_of(records: Sequence[Record], measurement: Measurement, overrides: Sequence[str]) -> SweepSpec:
    """What decides a trial's model and images, of the spec kept last before it; timed as an artefact is."""
    for text in overrides:
        if text.partition("=")[0].strip() not in TAKEN:
            raise InputError(f"--set takes only {', '.join(TAKEN)} here, got {text!r}")
    place = next(number for number, record in enumerate(records) if record is measurement)
    kept = [record for record in records[:place] if isinstance(record, SpecRecord)]
    if not kept:
        raise InputError(
            f"the log holds no spec from before trial {measurement.trial.key}, as an older lrbench left it: how its "
            "images are normalised is not known"
        )
    document: dict[str, Any] = {"latency": {"devices": ["cpu"], "memory_formats": ["contiguous"]}}
    for key, value in kept[-1].keys:
        section, _, name = key.partition(".")
        if section in ("model", "data", "finetune"):
            document.setdefault(section, {})[name] = json.loads(value)
    return make_spec(document, overrides, where="the spec of the trial")


def recall_model(source: Source) -> nn.Module:
    """The finetuned model of a trial in eval mode.

    Raises: InputError when the kept weights are not those of such a model.
    """
    shape = source.measurement.architecture
    model = shaped(build_dense(shape), shape)
    try:
        recall_weights(model, source.weights)
    except Exception as error:  # torch, safetensors and pydantic each raise their own
        raise InputError(f"{source.weights} does not hold the weights of this trial: {error}") from error
    return model.eval()
