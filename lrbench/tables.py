"""The tables of a results folder: tidy frames of raw values, views of its records."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from lrbench.records import SCHEMA, Accuracy, Environment, Failure, Layer, Measurement, Record, Session, Spectra

COLUMNS: dict[str, tuple[str, ...]] = {
    "trials": (
        *("trial", "state", "reason", "model", "weights", "data", "image_size", "scheme", "truncation", "layer_set"),
        *(
            "rank_rule",
            "seed",
            "baseline",
            "baseline_seed",
            "baseline_epochs",
            "finetune_epochs",
            "calibration_images",
            "architecture",
        ),
        *("params", "macs", "other_ops", "uncounted_ops", "dense_params", "dense_macs"),
        *("accuracy_dense", "accuracy_truncated", "accuracy_recalibrated", "accuracy_finetuned"),
        *("correct_dense", "correct_truncated", "correct_recalibrated", "correct_finetuned", "samples"),
        *("loss_dense", "loss_truncated", "loss_recalibrated", "loss_finetuned"),
        *("reused_weights", "truncate_s", "evaluate_s", "finetune_s", "peak_memory_bytes"),
        *("environment", "commit", "started"),
    ),
    "layers": (
        *("trial", "layer", "kind", "scheme", "truncation", "rank", "reason"),
        *("out_channels", "in_channels", "kernel_height", "kernel_width"),
        *("max_rank", "breakeven_rank_params", "breakeven_rank_macs", "breakeven_share"),
        *("params", "macs", "dense_params", "dense_macs", "weight_error", "energy", "numerical_rank"),
    ),
    "epochs": ("trial", "stage", "epoch", "loss", "accuracy", "learning_rate", "seconds"),
    "spectra": ("baseline", "trial", "scheme", "layer", "index", "singular_value"),
    "latency": (
        *("architecture", "environment", "session", "round", "latency_s", "dense_latency_s", "cpu_s", "dense_cpu_s"),
        *("control", "position", "dense_position", "calls", "device", "batch_size", "threads", "memory_format"),
        *("model", "image_size", "commit", "started"),
    ),
    "environments": (
        *("environment", "machine", "processor", "cpu_capability", "cpus", "memory_bytes", "gpu", "system"),
        *("python", "torch", "torchvision", "fvcore", "cuda", "mkldnn", "blas"),
    ),
}
"""The columns of each table; results/README.md says what each means."""

Row = dict[str, Any]


def build_tables(records: Sequence[Record]) -> dict[str, pd.DataFrame]:
    """All tables of a log. A trial that failed and was run again is its last outcome."""
    outcomes = {record.trial.key: record for record in records if isinstance(record, Measurement | Failure)}
    done = [record for record in outcomes.values() if isinstance(record, Measurement)]
    sessions = [record for record in records if isinstance(record, Session)]
    spectra = [record for record in records if isinstance(record, Spectra)]
    rows: dict[str, Iterable[Row]] = {
        "trials": map(_trial_row, outcomes.values()),
        "layers": (_layer_row(record.trial.key, layer) for record in done for layer in record.layers),
        "epochs": ({"trial": record.trial.key, **vars(epoch)} for record in done for epoch in record.epochs),
        "spectra": (row for record in spectra for row in _spectra_rows(record)),
        "latency": (row for number, record in enumerate(sessions) for row in _session_rows(record, number)),
        "environments": (
            {"environment": record.key, **vars(record)} for record in records if isinstance(record, Environment)
        ),
    }
    return {name: _frame(rows[name], columns) for name, columns in COLUMNS.items()}


def _frame(rows: Iterable[Row], columns: Sequence[str]) -> pd.DataFrame:
    """A frame of these columns. Cells stay Python's own, so that whole numbers stay whole beside empty ones."""
    frame = pd.DataFrame(list(rows), columns=list(columns), dtype=object)
    frame.insert(0, "schema", SCHEMA)
    return frame


def _trial_row(record: Measurement | Failure) -> Row:
    shared = {
        "trial": record.trial.key,
        **vars(record.trial),
        "environment": record.environment,
        "commit": record.commit,
        "started": record.started,
    }
    if isinstance(record, Failure):
        return {**shared, "state": "failed", "reason": f"{record.stage}: {record.reason}"}
    accuracies: dict[str, Accuracy] = {
        "dense": record.dense,
        "truncated": record.truncated,
        "finetuned": record.finetuned,
    }
    if record.recalibrated is not None:
        accuracies["recalibrated"] = record.recalibrated
    return {
        **shared,
        "state": "done",
        "architecture": record.architecture.key,
        "params": record.cost.params,
        "macs": record.cost.macs,
        "other_ops": record.cost.other_ops,
        "uncounted_ops": " ".join(record.cost.uncounted),
        "dense_params": record.dense_cost.params,
        "dense_macs": record.dense_cost.macs,
        "samples": record.dense.samples,
        **{f"accuracy_{name}": value.accuracy for name, value in accuracies.items()},
        **{f"correct_{name}": value.correct for name, value in accuracies.items()},
        **{f"loss_{name}": value.loss for name, value in accuracies.items()},
        **{
            name: getattr(record, name)
            for name in ("reused_weights", "truncate_s", "evaluate_s", "finetune_s", "peak_memory_bytes")
        },
    }


def _layer_row(trial: str, layer: Layer) -> Row:
    limits = [r for r in (layer.breakeven_rank_params, layer.breakeven_rank_macs) if r is not None]
    share = layer.rank / min(limits) if layer.rank is not None and limits else None
    return {"trial": trial, **vars(layer), "breakeven_share": share}


def _spectra_rows(record: Spectra) -> Iterable[Row]:
    for layer in record.layers:
        for index, value in enumerate(layer.values, start=1):
            yield {
                "baseline": record.baseline,
                "trial": record.trial,
                "scheme": record.scheme,
                "layer": layer.layer,
                "index": index,
                "singular_value": value,
            }


def _session_rows(record: Session, number: int) -> Iterable[Row]:
    """One row for each round and each architecture but the dense one, which stands beside it."""
    for turn, timed in enumerate(record.rounds):
        positions = {model: position for position, model in enumerate(timed.order)}
        for i in range(1, len(record.architectures)):
            yield {
                "architecture": record.architectures[i].key,
                "environment": record.environment,
                "session": number,
                "round": turn,
                "latency_s": timed.wall_s[i],
                "dense_latency_s": timed.wall_s[0],
                "cpu_s": timed.cpu_s[i],
                "dense_cpu_s": timed.cpu_s[0],
                "control": i == 1,
                "position": positions[i],
                "dense_position": positions[0],
                "calls": record.calls[i],
                **vars(record.setting),
                "model": record.architectures[i].model,
                "image_size": record.architectures[i].image_size,
                "commit": record.commit,
                "started": record.started,
            }
