"""The tables of a results folder: tidy frames of raw values, views of its records."""

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from lrbench.results.records import SCHEMA, Accuracy, Failure, Layer, Measurement, Planned, Record, Sensitivity, Spectra
from lrbench.results.rows import AXES, WATCH, Row, layer_session_rows, session_rows
from lrbench.results.sessions import Environment, LayerSession, Session

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
        *("failure", "attempt", "deterministic", "threads"),
        *("accuracy_search", "correct_search", "samples_search", "loss_search"),
        *("predicted_macs", "predicted_params", "predicted_latency_ratio", "predicted_damage", "recipe"),
    ),
    "layers": (
        *("trial", "layer", "kind", "scheme", "truncation", "rank", "reason"),
        *("out_channels", "in_channels", "kernel_height", "kernel_width"),
        *("max_rank", "breakeven_rank_params", "breakeven_rank_macs", "breakeven_share"),
        *("params", "macs", "dense_params", "dense_macs", "weight_error", "energy", "numerical_rank"),
        "denormal_share",
    ),
    "answers": ("trial", "stage", "right"),
    "epochs": ("trial", "stage", "epoch", "loss", "accuracy", "learning_rate", "seconds"),
    "spectra": ("baseline", "trial", "scheme", "layer", "index", "singular_value"),
    "architectures": (
        *("architecture", "model", "image_size", "scheme", "truncation", "layer_set", "rank_rule", "layers"),
        *("params", "macs", "dense_params", "dense_macs"),
    ),
    "latency": (
        *("architecture", "environment", "session", "round", "layout", "latency_s", "dense_latency_s"),
        *("cpu_s", "dense_cpu_s"),
        *("control", "position", "dense_position", "calls", *AXES, "model", "image_size", "commit", "started"),
        *("series", "process", "attempt", "control_within", "first_wall_s", "warmup_s"),
        *("peak_bytes", "dense_peak_bytes", *WATCH),
    ),
    "layer_latency": (
        *("shape", "layers", "scheme", "rank", "environment", "session", "layout", "rounds", "ratio"),
        *("dense_latency_s", "control", *AXES, "model", "image_size", "commit", "series", "process", "attempt"),
        *("control_within", "macs", "dense_macs", "breakeven_rank_macs", "backend", "dense_backend"),
        *("traffic_bytes", "dense_traffic_bytes", "peak_bytes", "dense_peak_bytes", "ended"),
    ),
    "sensitivity": (
        *(
            "baseline",
            "layer",
            "scheme",
            "truncation",
            "rank",
            "params",
            "macs",
            "dense_params",
            "dense_macs",
            "images",
        ),
        *("energy", "weight_error", "spectral_error", "output_error"),
        *("accuracy", "correct", "samples", "loss", "divergence", "dense_accuracy", "environment", "commit"),
    ),
    "environments": (
        *("environment", "machine", "processor", "cpu_capability", "cpus", "memory_bytes", "gpu", "system"),
        *("python", "torch", "torchvision", "fvcore", "cuda", "mkldnn", "blas"),
        *("isa", "governor", "cgroup_cpus", "cgroup_memory_bytes", "onednn", "openmp", "gpu_driver", "variables"),
    ),
}
"""The columns of each table; results/README.md says what each means."""

RENAMED = {"mode": "runtime"}
"""Columns of older tables, and what they are called now."""


def build_tables(records: Sequence[Record]) -> dict[str, pd.DataFrame]:
    """All tables of a log. A trial that failed and was run again is its last outcome."""
    outcomes = {record.trial.key: record for record in records if isinstance(record, Measurement | Failure)}
    done = [record for record in outcomes.values() if isinstance(record, Measurement)]
    sessions = [record for record in records if isinstance(record, Session)]
    layers = [record for record in records if isinstance(record, LayerSession)]
    spectra = [record for record in records if isinstance(record, Spectra)]
    rows: dict[str, Iterable[Row]] = {
        "trials": map(_trial_row, outcomes.values()),
        "layers": (_layer_row(record.trial.key, layer) for record in done for layer in record.layers),
        "answers": (row for record in done for row in _answer_rows(record)),
        "epochs": ({"trial": record.trial.key, **vars(epoch)} for record in done for epoch in record.epochs),
        "spectra": (row for record in spectra for row in _spectra_rows(record)),
        "architectures": _architecture_rows(records),
        "latency": (row for number, record in enumerate(sessions) for row in session_rows(record, number)),
        "layer_latency": (row for number, record in enumerate(layers) for row in layer_session_rows(record, number)),
        "sensitivity": (row for record in records if isinstance(record, Sensitivity) for row in _probe_rows(record)),
        "environments": (
            {"environment": record.key, **vars(record)} for record in records if isinstance(record, Environment)
        ),
    }
    return {name: _frame(rows[name], columns) for name, columns in COLUMNS.items()}


_FORMULA = re.compile(r"('*[=+\-@\t])")


def guarded(frame: pd.DataFrame) -> pd.DataFrame:
    """A table fit for CSV and spreadsheets.

    Texts that would be taken for a formula begin with one more apostrophe; a carriage return, which ends a row where
    nobody quotes it, becomes a line feed.
    """
    texts = frame.select_dtypes(exclude=["number", "bool"])
    safe = texts.map(lambda cell: _guard(cell.replace("\r", "\n")) if isinstance(cell, str) else cell)
    return frame.assign(**{str(name): safe[name] for name in safe})


def _guard(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(texts: "pd.Series[str]") -> "pd.Series[str]":
    """Texts as they were before `guarded`."""
    return texts.str.replace(rf"^'{_FORMULA.pattern}", r"\1", regex=True)


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
        reason = f"{record.stage}: {record.reason}"
        return {**shared, "state": "failed", "reason": reason, "failure": record.failure, "attempt": record.attempt}
    accuracies = {"dense": record.dense, **_accuracies(record)}
    if record.search is not None:
        accuracies["search"] = record.search
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
        "samples_search": record.search.samples if record.search else None,
        **{f"predicted_{name}": value for name, value in (vars(record.predicted).items() if record.predicted else ())},
        **{f"accuracy_{name}": value.accuracy for name, value in accuracies.items()},
        **{f"correct_{name}": value.correct for name, value in accuracies.items()},
        **{f"loss_{name}": value.loss for name, value in accuracies.items()},
        **{
            name: getattr(record, name)
            for name in (
                *("reused_weights", "truncate_s", "evaluate_s", "finetune_s", "peak_memory_bytes"),
                *("attempt", "deterministic", "threads"),
            )
        },
    }


def _accuracies(record: Measurement) -> dict[str, Accuracy]:
    """A trial's own accuracies by stage."""
    found = {"truncated": record.truncated, "finetuned": record.finetuned}
    return found if record.recalibrated is None else {**found, "recalibrated": record.recalibrated}


def _answer_rows(record: Measurement) -> Iterable[Row]:
    """Which images a trial answered rightly at each stage, where that was kept."""
    searched = {} if record.search is None else {"search": record.search}
    for stage, found in (_accuracies(record) | searched).items():
        if found.right:
            yield {"trial": record.trial.key, "stage": stage, "right": found.right}


def _layer_row(trial: str, layer: Layer) -> Row:
    limits = [r for r in (layer.breakeven_rank_params, layer.breakeven_rank_macs) if r is not None]
    share = layer.rank / min(limits) if layer.rank is not None and limits else None
    return {"trial": trial, **vars(layer), "breakeven_share": share}


def _probe_rows(record: Sensitivity) -> Iterable[Row]:
    names = (
        "baseline",
        "layer",
        "scheme",
        "truncation",
        "dense_params",
        "dense_macs",
        "images",
        "environment",
        "commit",
    )
    for probe in record.probes:
        judged = probe.search
        yield {
            **{name: getattr(record, name) for name in names},
            **vars(probe),
            **({**vars(judged), "accuracy": judged.accuracy} if judged else {}),
            "dense_accuracy": record.search.accuracy if judged and record.search else None,
        }


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


def _architecture_rows(records: Iterable[Record]) -> Iterable[Row]:
    """One row for each architecture and way to it, measured or only timed."""
    rows: dict[tuple[str, ...], Row] = {}
    for record in records:
        if not isinstance(record, Measurement | Planned):
            continue
        trial, made = record.trial, record.architecture
        key = (made.key, trial.scheme, trial.truncation, trial.layer_set, trial.rank_rule)
        if isinstance(record, Measurement):
            cost, dense = (record.cost.params, record.cost.macs), (record.dense_cost.params, record.dense_cost.macs)
        else:
            cost, dense = (record.params, record.macs), (record.dense_params, record.dense_macs)
        rows[key] = {
            "architecture": made.key,
            **{name: getattr(trial, name) for name in ("model", "image_size", "scheme", "truncation")},
            "layer_set": trial.layer_set,
            "rank_rule": trial.rank_rule,
            "layers": " ".join(f"{layer.layer}:{layer.scheme}:{layer.rank}" for layer in made.layers),
            **dict(zip(("params", "macs", "dense_params", "dense_macs"), (*cost, *dense), strict=True)),
        }
    return rows.values()
