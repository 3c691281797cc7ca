"""The frozen records that make up the log of a results folder. Base units, no tensors, no torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from lrbench.config.axes import AXES, FORMER_KEYS
from lrbench.config.ranges import Amount, Count, ImageSize, Name, Rate, Real, Seed, Share, Times, Whole
from lrbench.lowrank.cuts import Cut, name_method
from lrbench.results.environment import Environment
from lrbench.results.sessions import Architecture, Fault, LayerSession, Session, TimingFailure

SCHEMA = 1

Stage = Literal["baseline", "finetune"]
"""The two trainings of a trial."""

MEASURED = ("truncated", "recalibrated", "finetuned")
"""The stages at which a trial's accuracy is measured, in order: attributes of a `Measurement`, and `accuracy_...` in
trials.csv. The last two are only where batch norm was re-estimated, or something finetuned.
"""

KeptStage = Literal["dense", "truncated", "recalibrated", "finetuned"]
"""The stage whose model a trial keeps. `dense` is the dense control as the model was given."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One point of a sweep with a seed: what was chosen, before anything is observed.

    `key` is a digest of everything that decides the outcome, `baseline` the key of the dense model it starts from.
    The dense control has scheme `dense`, layer set and rank rule `none`. `recipe` names special treatment in
    finetuning: `frozen`, `re-estimated distill=0.5`; `train` when there is none. `recalibrate` is `yes`, `no` or
    `best`; `weights_digest` that of the file of given weights, `none` without one.
    """

    key: Name
    baseline: Name
    model: Name
    weights: Name
    data: Name
    image_size: ImageSize
    scheme: Name
    layer_set: Name
    rank_rule: Name
    seed: Seed
    baseline_seed: Seed
    baseline_epochs: Times
    finetune_epochs: Times
    truncation: Name = "plain"
    calibration_images: Times = 0
    recipe: Name = "train"
    calibration_split: Name = "search"
    recalibrate: Literal["yes", "no", "best"] = "yes"
    weights_digest: Name = "none"

    @property
    def label(self) -> str:
        """A short readable name: `channel early rank=8 seed 0`, `channel output all ...`, `dense seed 0`."""
        if self.scheme == "dense":
            return f"dense seed {self.seed}"
        return f"{name_method(self.scheme, self.truncation)} {self.layer_set} {self.rank_rule} seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Layer(Cut):
    """A convolution or linear layer of a trial: its cut, and what was observed of it.

    `weight_error` is ||W - W_r|| / ||W|| (Frobenius), `energy` the share kept of the squared singular values, or of the
    outputs' variance in output truncation, `numerical_rank` the rank of the trained weight's matrix, `denormal_share`
    the share of trained weights so near 0 that a processor may be slow with them. Break-even ranks are real numbers.
    """

    kind: Name
    out_channels: Whole
    in_channels: Whole
    kernel_height: Whole
    kernel_width: Whole
    max_rank: Whole | None
    breakeven_rank_params: Amount | None
    breakeven_rank_macs: Amount | None
    params: Whole
    macs: Whole
    dense_params: Count
    dense_macs: Count
    weight_error: Amount | None
    energy: Amount | None
    numerical_rank: Whole | None
    denormal_share: Share | None = None


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch. `loss` and `accuracy` are running means over the training images, as they were seen."""

    stage: Stage
    epoch: Count
    loss: Real
    accuracy: Share
    learning_rate: Rate
    seconds: Amount


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Correct answers on a split, and the mean cross-entropy in nats.

    `right` tells which images were classified correctly: a bit each, in hexadecimal, padded with 0 to whole bytes. It
    allows comparing two models image by image.
    """

    correct: Whole
    samples: Count
    loss: Amount
    right: str = ""

    def __post_init__(self) -> None:
        """Raises: ValueError for more correct answers than images."""
        if self.correct > self.samples:
            raise ValueError(f"correct must be at most samples, {self.samples}, got {self.correct}")

    @property
    def accuracy(self) -> float:
        """The share of correct answers, 0..1."""
        return self.correct / self.samples


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Params, and MACs (convolutions, linear layers, matrix products) by torch's counter; in old logs by fvcore.

    `macs_fvcore` is fvcore's count, `other_ops` what else it counts and `uncounted` the operators that it cannot count;
    `untraced` says why there is none. `differing` are operators whose MACs the two count differently, `lacking` those
    that are in neither.
    """

    params: Whole
    macs: Whole
    other_ops: Whole | None
    uncounted: tuple[str, ...]
    macs_fvcore: Whole | None = None
    differing: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    untraced: str = ""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a budget rule predicted for the model it chose.

    `damage` is the sum of the layers' predicted damages, `latency_ratio` the predicted latency over that of the dense
    model, by timings of layers; None without a layer table of the machine.
    """

    params: Whole
    macs: Whole
    damage: Real
    latency_ratio: Amount | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A finished trial. Accuracies are on the test split; seconds are wall time of each stage.

    `kept` is the stage whose model was kept, exported and compared; None in the logs of earlier versions, where it was
    the last. `search` is the kept model's accuracy on the search split, by which trials may be chosen, `search_...`
    that of other stages, without its answers; None when the split is empty. `dense_search` is that of the dense model
    as given, recorded with the dense control. `deterministic` tells whether torch guarantees the same bits for the same
    machine, versions and `threads`: it does on the CPU. `attempt` is the number of the attempt, from 1. `baseline_amp`
    and `finetune_amp` are the number formats of training; `allocator` is what was set of the C library's memory
    allocator.
    """

    kind: Literal["trial"] = "trial"
    trial: Trial
    architecture: Architecture
    environment: str
    commit: str
    started: str
    cost: Cost
    dense_cost: Cost
    layers: tuple[Layer, ...]
    epochs: tuple[Epoch, ...]
    dense: Accuracy
    truncated: Accuracy
    finetuned: Accuracy | None = None
    recalibrated: Accuracy | None = None
    kept: KeptStage | None = None
    search: Accuracy | None = None
    search_truncated: Accuracy | None = None
    search_recalibrated: Accuracy | None = None
    search_finetuned: Accuracy | None = None
    dense_search: Accuracy | None = None
    reused_weights: bool
    truncate_s: Amount
    evaluate_s: Amount
    finetune_s: Amount
    peak_memory_bytes: Whole
    attempt: Count = 1
    deterministic: bool | None = None
    threads: Whole | None = None
    predicted: Prediction | None = None
    baseline_amp: str = ""
    finetune_amp: str = ""
    allocator: str = ""

    @property
    def kept_stage(self) -> KeptStage:
        """The stage whose model was kept."""
        if self.kept is not None:
            return self.kept
        if self.trial.finetune_epochs:
            return "finetuned"
        if self.recalibrated:
            return "recalibrated"
        return "dense" if self.trial.scheme == "dense" else "truncated"

    @property
    def kept_accuracy(self) -> Accuracy:
        """On the test split, of the kept model; earlier versions called it finetuned, even where nothing was."""
        accuracy: Accuracy | None = getattr(self, self.kept or "finetuned")
        return accuracy or self.truncated

    @property
    def after_finetuning(self) -> Accuracy | None:
        """On the test split; None where nothing was finetuned."""
        return self.finetuned if self.trial.finetune_epochs else None

    def search_after(self, stage: str) -> Accuracy | None:
        """On the search split, after one of `MEASURED`; None where it was not measured."""
        accuracy: Accuracy | None = self.search if stage == self.kept_stage else getattr(self, f"search_{stage}")
        return accuracy


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A trial that did not finish, with the reason; `attempt` counts from 1."""

    kind: Literal["failure"] = "failure"
    trial: Trial
    environment: str
    commit: str
    started: str
    stage: str
    reason: str
    traceback: str
    seconds: Amount
    failure: Fault = "failed"
    attempt: Count = 1


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A trial whose architecture is timed without training; its costs are by the closed formulas."""

    kind: Literal["planned"] = "planned"
    trial: Trial
    architecture: Architecture
    params: Whole
    macs: Whole
    dense_params: Count
    dense_macs: Count


@dataclass(frozen=True, kw_only=True)
class LayerSpectrum:
    """Singular values of a layer's weight under a scheme, largest first."""

    layer: Name
    values: tuple[Amount, ...]


@dataclass(frozen=True, kw_only=True)
class Spectra:
    """Singular values of the layers of a dense baseline, or (`trial` set) of a written-back trial once trained."""

    kind: Literal["spectra"] = "spectra"
    baseline: str
    trial: str | None
    scheme: str
    layers: tuple[LayerSpectrum, ...]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One layer of a dense baseline truncated alone, at one rank.

    Attributes:
        rank: of the layer; params (bias included) and MACs are those of the layer.
        energy, weight_error: as in `Layer`.
        spectral_error: ||W - W_r|| / ||W|| in the spectral norm.
        output_error: mean square of the change of its outputs, over their variance, on calibration images.
        search: accuracy of the whole model on the search split after batch norm was re-estimated; None: not measured.
        divergence: mean Kullback-Leibler divergence from the dense (re-estimated) predictions there, in nats.
    """

    rank: Count
    params: Whole
    macs: Whole
    energy: Amount
    weight_error: Amount
    spectral_error: Amount
    output_error: Amount
    search: Accuracy | None = None
    divergence: Real | None = None


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The effect of truncating one layer of a dense baseline by one method, rank by rank.

    `search` is the dense model's accuracy on the search split, with batch norm re-estimated as well. `split` is where
    the calibration images came from.
    """

    kind: Literal["sensitivity"] = "sensitivity"
    baseline: str
    environment: str
    commit: str
    started: str
    layer: Name
    scheme: str
    truncation: str
    images: Whole
    dense_params: Count
    dense_macs: Count
    probes: tuple[Probe, ...]
    search: Accuracy | None = None
    split: str = "search"


@dataclass(frozen=True, kw_only=True)
class SpecRecord:
    """The spec that a sweep ran by, each key with its value as JSON, and in what code.

    Written when it differs from the one before. `repository_commit` is that of the user's own repository, `-dirty` with
    uncommitted changes; "" where the sweep ran in none. The commit of lrbench is recorded with each trial and timing.
    """

    kind: Literal["spec"] = "spec"
    started: str
    keys: tuple[tuple[str, str], ...]
    repository_commit: str = ""
    lrbench_version: str = ""


Record = (
    Measurement
    | Failure
    | Planned
    | Spectra
    | Sensitivity
    | SpecRecord
    | Session
    | LayerSession
    | TimingFailure
    | Environment
)

_adapter: TypeAdapter[Record] = TypeAdapter(
    Annotated[Record, Field(discriminator="kind")], config=ConfigDict(ser_json_inf_nan="strings")
)


def to_line(record: Record) -> str:
    """One line of JSON, floats in full, with the schema version first."""
    body = _adapter.dump_json(record).decode()
    return f'{{"schema":{SCHEMA},{body[1:]}'


def from_line(line: str) -> Record:
    """Read what `to_line` wrote.

    Former names are accepted: the `runtime` of a setting was once called `mode`.

    Raises: ValueError when the line is not a record, or has another schema version.
    """
    fields = json.loads(line)
    version = fields.pop("schema", None) if isinstance(fields, dict) else None
    if version != SCHEMA:
        raise ValueError(wrong_schema(version))
    if isinstance(setting := fields.get("setting"), dict):
        former = {axis.formerly: name for name, axis in AXES.items() if axis.formerly}
        fields["setting"] = {former.get(name, name): value for name, value in setting.items()}
    try:
        record = _adapter.validate_python(fields)
    except ValidationError as error:
        raise ValueError(first_mistake(error)) from error
    if isinstance(record, SpecRecord):
        return replace(record, keys=tuple((FORMER_KEYS.get(key, key), value) for key, value in record.keys))
    return record


def first_mistake(error: ValidationError) -> str:
    """The first thing that is wrong, in one line: where, what is allowed, what came."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    got = "" if isinstance(first["input"], Mapping) else f", got {repr(first['input'])[:80]}"
    return f"{place}: {first['msg']}{got}"


def wrong_schema(version: object) -> str:
    """Why a version other than `SCHEMA` cannot be read, and what to do."""
    if isinstance(version, int) and version > SCHEMA:
        return f"schema must be {SCHEMA}, got {version}: a newer lrbench wrote this; update lrbench to read it"
    if isinstance(version, int):
        return f"schema must be {SCHEMA}, got {version}: an older lrbench wrote this; repeat the sweep with --fresh"
    return f"schema must be {SCHEMA}, got {version}"
