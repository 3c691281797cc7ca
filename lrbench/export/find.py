"""Finds a trial in a results folder, with the spec that it ran by and the file of its weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from lrbench.config.names import is_own
from lrbench.errors import InputError, reading
from lrbench.learn.architectures import build_dense, check_unchanged, shaped
from lrbench.learn.weights import recall_weights, weights_path
from lrbench.plan.spec import SweepSpec, kept_sections, make_spec
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
TAKEN = ("data.root", "data.name", "data.search", *(f"latency.{key}" for key in TIMED))
"""Keys of a spec that may differ from the trial's: where its images are, and how artefacts are timed."""

LISTED = 20
"""The most trials that an error lists."""


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

    Raises: InputError when no trial or several match, when its weights were not kept, for a callable that was not
        named, or when its code has changed.
    """
    measurement = find_measurement(records, beginning)
    trial, shape = measurement.trial, measurement.architecture
    path = weights_path(weights, trial.key)
    if not path.is_file():
        raise InputError(f"{path}, the weights of trial {trial.key} ({trial.label}), does not exist: pass its --cache")
    if is_own(shape.model) and shape.model not in models:
        raise InputError(
            f"model {shape.model!r} is your own code; pass --model {shape.model} to allow lrbench to import and run it"
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
        raise InputError("the folder has no finished trial")
    matching = [record for key, record in done.items() if key.startswith(beginning)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        listing = _listing([record.trial for record in matching])
        raise InputError(f"{len(matching)} trials begin with {beginning!r}:{listing}")
    for record in records:
        if isinstance(record, Failure) and record.trial.key.startswith(beginning):
            raise InputError(f"trial {record.trial.key} ({record.trial.label}) failed: {record.reason}")
    listing = _listing([record.trial for record in done.values()])
    raise InputError(f"no finished trial begins with {beginning!r}; finished trials:{listing}")


def _listing(trials: Sequence[Trial]) -> str:
    """Keys and names, a line each."""
    lines = [f"\n  {trial.key}  {trial.label}" for trial in trials[:LISTED]]
    return "".join(lines) + (f"\n  and {len(trials) - LISTED} more (trials.csv)" if len(trials) > LISTED else "")


def _spec_of(records: Sequence[Record], measurement: Measurement, overrides: Sequence[str]) -> SweepSpec:
    """The spec last kept before a trial: what decides its model and images, with the timing of an artefact."""
    for text in overrides:
        if text.partition("=")[0].strip() not in TAKEN:
            raise InputError(f"--set takes only {', '.join(TAKEN)} here, got {text!r}")
    place = next(number for number, record in enumerate(records) if record is measurement)
    kept = [record for record in records[:place] if isinstance(record, SpecRecord)]
    if not kept:
        raise InputError(
            f"the log has no spec from before trial {measurement.trial.key} (an older lrbench wrote it), so "
            "how its images were normalised is unknown"
        )
    document = kept_sections(kept[-1], ("model", "data", "finetune"))
    document["latency"] = {"devices": ["cpu"], "memory_formats": ["contiguous"]}
    return make_spec(document, overrides, where="the spec of the trial")


def recall_model(source: Source) -> nn.Module:
    """The model of a trial, as it was measured last, in eval mode.

    Raises: InputError when the kept weights are not those of such a model.
    """
    shape = source.measurement.architecture
    model = shaped(build_dense(shape), shape)
    with reading(source.weights, "does not hold the weights of this trial"):
        recall_weights(model, source.weights)
    return model.eval()
