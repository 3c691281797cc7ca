"""The columns of layers.csv, and of spectra.csv and sensitivity.csv on the truncation of single layers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lrbench.results.columns.column import ALWAYS, COUNT, NUMBER, SHARE, SIGNED, TEXT, WHOLE, Column, Table
from lrbench.results.columns.outcomes import finished
from lrbench.results.records import Layer, Probe, Record, Sensitivity, Spectra


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """A layer of the trial with this key."""

    trial: str
    layer: Layer


class ValueRow(NamedTuple):
    """A singular value of a layer, numbered from 1. A plain tuple, since a log may have tens of thousands of them."""

    record: Spectra
    layer: str
    number: int
    value: float


@dataclass(frozen=True, kw_only=True)
class ProbeRow:
    """One rank of a layer that was truncated alone."""

    record: Sensitivity
    probe: Probe


def _layers(records: Sequence[Record]) -> Iterator[LayerRow]:
    return (LayerRow(trial=done.trial.key, layer=layer) for done in finished(records) for layer in done.layers)


def _values(records: Sequence[Record]) -> Iterator[ValueRow]:
    for record in records:
        if isinstance(record, Spectra):
            for layer in record.layers:
                for number, value in enumerate(layer.values, start=1):
                    yield ValueRow(record, layer.layer, number, value)


def _probes(records: Sequence[Record]) -> Iterator[ProbeRow]:
    sensitivities = (record for record in records if isinstance(record, Sensitivity))
    return (ProbeRow(record=record, probe=probe) for record in sensitivities for probe in record.probes)


def _breakeven_share(layer: Layer) -> float | None:
    limits = [rank for rank in (layer.breakeven_rank_params, layer.breakeven_rank_macs) if rank is not None]
    return layer.rank / min(limits) if layer.rank is not None and limits else None


def _dense_accuracy(row: ProbeRow) -> float | None:
    return row.record.search.accuracy if row.probe.search and row.record.search else None


_COST = "of the layer, after and before; bias included in params"
_SEARCH = "of the whole model on the **search** split, batch norm re-estimated; empty: not measured"

LAYERS = Table[LayerRow](
    meaning="a row for each layer of a finished trial",
    rows=_layers,
    columns=(
        Column("trial", TEXT, lambda row: row.trial, "key of the trial", filled=ALWAYS),
        Column("layer", TEXT, lambda row: row.layer.layer, "qualified name of the layer", filled=ALWAYS),
        Column("kind", TEXT, lambda row: row.layer.kind, "`conv` or `linear`"),
        Column("scheme", TEXT, lambda row: row.layer.scheme, "how it was factorized"),
        Column("truncation", TEXT, lambda row: row.layer.truncation, "how it was factorized"),
        Column("rank", WHOLE, lambda row: row.layer.rank, "how it was factorized; empty: it stayed dense"),
        Column("reason", TEXT, lambda row: row.layer.reason, "why it stayed dense"),
        Column("out_channels", WHOLE, lambda row: row.layer.out_channels, "shape of the dense weight"),
        Column("in_channels", WHOLE, lambda row: row.layer.in_channels, "shape of the dense weight"),
        Column("kernel_height", WHOLE, lambda row: row.layer.kernel_height, "shape of the dense weight"),
        Column("kernel_width", WHOLE, lambda row: row.layer.kernel_width, "shape of the dense weight"),
        Column("max_rank", WHOLE, lambda row: row.layer.max_rank, "largest useful rank"),
        Column(
            "breakeven_rank_params",
            NUMBER,
            lambda row: row.layer.breakeven_rank_params,
            "rank at which the factors cost as much as the layer, a real number",
        ),
        Column(
            "breakeven_rank_macs",
            NUMBER,
            lambda row: row.layer.breakeven_rank_macs,
            "rank at which the factors cost as much as the layer, a real number",
        ),
        Column(
            "breakeven_share",
            NUMBER,
            lambda row: _breakeven_share(row.layer),
            "rank over the smaller of the two: below 1 the factors save both params and MACs",
        ),
        Column("params", WHOLE, lambda row: row.layer.params, _COST),
        Column("macs", WHOLE, lambda row: row.layer.macs, _COST),
        Column("dense_params", COUNT, lambda row: row.layer.dense_params, _COST),
        Column("dense_macs", COUNT, lambda row: row.layer.dense_macs, _COST),
        Column(
            "weight_error",
            NUMBER,
            lambda row: row.layer.weight_error,
            "Frobenius norm of the change over that of the weight (empty in sequential truncation, which fits outputs)",
        ),
        Column(
            "energy",
            NUMBER,
            lambda row: row.layer.energy,
            "share kept of the squared singular values; in output truncation, of the outputs' variance (where factors "
            "are fitted, of the whitened weight's squared singular values)",
        ),
        Column(
            "numerical_rank",
            WHOLE,
            lambda row: row.layer.numerical_rank,
            "rank of the layer's matrix after finetuning: singular values above rounding",
        ),
        Column(
            "denormal_share",
            NUMBER,
            lambda row: row.layer.denormal_share,
            "share of the finetuned weights so near 0 that a processor may be slow with them (timing flushes them)",
        ),
    ),
)

SPECTRA = Table[ValueRow](
    meaning="a row for each singular value",
    rows=_values,
    columns=(
        Column("baseline", TEXT, lambda row: row.record.baseline, "key of the dense model", filled=ALWAYS),
        Column(
            "trial",
            TEXT,
            lambda row: row.record.trial,
            "empty: values of the dense baseline; set: values of a written-back trial after training",
        ),
        Column(
            "scheme", TEXT, lambda row: row.record.scheme, "how the layer's weight is read as a matrix", filled=ALWAYS
        ),
        Column("layer", TEXT, lambda row: row.layer, "qualified name of the layer", filled=ALWAYS),
        Column("index", COUNT, lambda row: row.number, "index of the singular value, from 1", filled=ALWAYS),
        Column(
            "singular_value",
            NUMBER,
            lambda row: row.value,
            "singular value of that matrix, largest first",
            filled=ALWAYS,
        ),
    ),
)

SENSITIVITY = Table[ProbeRow](
    meaning="a row for each layer, method and rank, truncated alone",
    rows=_probes,
    columns=(
        Column("baseline", TEXT, lambda row: row.record.baseline, "key of the dense model", filled=ALWAYS),
        Column(
            "layer", TEXT, lambda row: row.record.layer, "the layer, method and rank of the truncation", filled=ALWAYS
        ),
        Column(
            "scheme", TEXT, lambda row: row.record.scheme, "the layer, method and rank of the truncation", filled=ALWAYS
        ),
        Column(
            "truncation",
            TEXT,
            lambda row: row.record.truncation,
            "the layer, method and rank of the truncation",
            filled=ALWAYS,
        ),
        Column(
            "rank", WHOLE, lambda row: row.probe.rank, "the layer, method and rank of the truncation", filled=ALWAYS
        ),
        Column("params", WHOLE, lambda row: row.probe.params, _COST),
        Column("macs", WHOLE, lambda row: row.probe.macs, _COST, filled=ALWAYS),
        Column("dense_params", COUNT, lambda row: row.record.dense_params, _COST),
        Column("dense_macs", COUNT, lambda row: row.record.dense_macs, _COST, filled=ALWAYS),
        Column(
            "images",
            WHOLE,
            lambda row: row.record.images,
            "maximum number of calibration images on which outputs were compared",
        ),
        Column("split", TEXT, lambda row: row.record.split, "split that these images came from"),
        Column("energy", NUMBER, lambda row: row.probe.energy, "as in layers.csv"),
        Column("weight_error", NUMBER, lambda row: row.probe.weight_error, "as in layers.csv"),
        Column(
            "spectral_error",
            NUMBER,
            lambda row: row.probe.spectral_error,
            "spectral norm of the change over that of the weight (output truncation: of the outputs)",
        ),
        Column(
            "output_error",
            NUMBER,
            lambda row: row.probe.output_error,
            "mean square change of the layer's outputs over their variance, without shifts that batch norm removes",
        ),
        Column("accuracy", SHARE, lambda row: row.probe.search and row.probe.search.accuracy, _SEARCH),
        Column("correct", WHOLE, lambda row: row.probe.search and row.probe.search.correct, _SEARCH, at_most="samples"),
        Column("samples", COUNT, lambda row: row.probe.search and row.probe.search.samples, _SEARCH),
        Column("loss", NUMBER, lambda row: row.probe.search and row.probe.search.loss, _SEARCH),
        Column(
            "divergence",
            SIGNED,
            lambda row: row.probe.divergence,
            "mean Kullback-Leibler divergence from the dense model's predictions on the search split, in nats",
        ),
        Column(
            "dense_accuracy",
            SHARE,
            _dense_accuracy,
            "accuracy of the dense model on the search split, its batch norm re-estimated as well",
        ),
        Column(
            "environment",
            TEXT,
            lambda row: row.record.environment,
            "key of the machine and versions, in environments.csv",
        ),
        Column("commit", TEXT, lambda row: row.record.commit, "commit of lrbench"),
    ),
)
