"""The columns of trials.csv."""

from lrbench.results.columns.accuracies import ACCURACIES, KEPT, SEARCHED
from lrbench.results.columns.column import (
    ALWAYS,
    COUNT,
    FLAG,
    NUMBER,
    SIGNED,
    TEXT,
    WHEN_DONE,
    WHOLE,
    Column,
    Table,
    Text,
)
from lrbench.results.columns.outcomes import Outcome, failed, measured, outcomes
from lrbench.results.records import Measurement

_STATE = Text(pattern="done|failed", allowed="done or failed")
_RECALIBRATE = Text(pattern="yes|no|best", allowed="yes, no or best")

_GRID = "the point of the grid; the dense control has `dense`, `plain`, `none`, `none`"
_SECONDS = "wall seconds of each stage in this run"
_PREDICTED = "what a budget rule predicted for its choice; empty for other rules"

TRIALS = Table[Outcome](
    meaning="a row for each trial",
    rows=outcomes,
    columns=(
        Column(
            "trial",
            TEXT,
            lambda row: row.trial.key,
            "key: a digest of everything that decides the outcome",
            filled=ALWAYS,
        ),
        Column(
            "state",
            _STATE,
            lambda row: "done" if isinstance(row, Measurement) else "failed",
            "`done` or `failed`",
            filled=ALWAYS,
        ),
        Column("reason", TEXT, failed(lambda row: f"{row.stage}: {row.reason}"), "the stage that failed, and why"),
        Column("model", TEXT, lambda row: row.trial.model, "model that was compressed, and its weights", filled=ALWAYS),
        Column("weights", TEXT, lambda row: row.trial.weights, "model that was compressed, and its weights"),
        Column("data", TEXT, lambda row: row.trial.data, "data set", filled=ALWAYS),
        Column(
            "image_size",
            WHOLE,
            lambda row: row.trial.image_size,
            "height and width of an image in pixels",
            filled=ALWAYS,
        ),
        Column("scheme", TEXT, lambda row: row.trial.scheme, _GRID, filled=ALWAYS),
        Column("truncation", TEXT, lambda row: row.trial.truncation, _GRID, filled=ALWAYS),
        Column("layer_set", TEXT, lambda row: row.trial.layer_set, _GRID, filled=ALWAYS),
        Column("rank_rule", TEXT, lambda row: row.trial.rank_rule, _GRID, filled=ALWAYS),
        Column("seed", WHOLE, lambda row: row.trial.seed, _GRID),
        Column("baseline", TEXT, lambda row: row.trial.baseline, "key of the dense model it started from"),
        Column("baseline_seed", WHOLE, lambda row: row.trial.baseline_seed, "seed of the dense model"),
        Column(
            "baseline_epochs",
            WHOLE,
            lambda row: row.trial.baseline_epochs,
            "epochs of the dense model",
            filled=WHEN_DONE,
        ),
        Column(
            "finetune_epochs", WHOLE, lambda row: row.trial.finetune_epochs, "epochs of finetuning", filled=WHEN_DONE
        ),
        Column(
            "calibration_images",
            WHOLE,
            lambda row: row.trial.calibration_images,
            "maximum number of calibration images for output truncation and batch norm (0: none)",
        ),
        Column(
            "architecture",
            TEXT,
            measured(lambda done: done.architecture.key),
            "key of the model's shape after factorization",
            filled=WHEN_DONE,
        ),
        Column("params", WHOLE, measured(lambda done: done.cost.params), "parameters of the model", filled=WHEN_DONE),
        Column(
            "macs",
            WHOLE,
            measured(lambda done: done.cost.macs),
            "MACs of one image: convolutions, linear layers, matrix products (torch's counter; in old logs fvcore)",
            filled=WHEN_DONE,
        ),
        Column(
            "other_ops",
            WHOLE,
            measured(lambda done: done.cost.other_ops),
            "operations that fvcore counts beside MACs (batch norm, pooling)",
        ),
        Column(
            "uncounted_ops",
            TEXT,
            measured(lambda done: " ".join(done.cost.uncounted)),
            "operators that fvcore cannot count",
        ),
        Column(
            "dense_params", COUNT, measured(lambda done: done.dense_cost.params), "of the dense model", filled=WHEN_DONE
        ),
        Column(
            "dense_macs", COUNT, measured(lambda done: done.dense_cost.macs), "of the dense model", filled=WHEN_DONE
        ),
        *ACCURACIES,
        Column(
            "reused_weights",
            FLAG,
            measured(lambda done: done.reused_weights),
            "whether an earlier run's finetuned weights were loaded instead of trained",
        ),
        Column("truncate_s", NUMBER, measured(lambda done: done.truncate_s), _SECONDS),
        Column("evaluate_s", NUMBER, measured(lambda done: done.evaluate_s), _SECONDS),
        Column("finetune_s", NUMBER, measured(lambda done: done.finetune_s), _SECONDS),
        Column(
            "peak_memory_bytes",
            WHOLE,
            measured(lambda done: done.peak_memory_bytes),
            "peak resident memory of the process so far (or CUDA allocation, when larger)",
        ),
        Column(
            "environment", TEXT, lambda row: row.environment, "key of the machine and versions, in environments.csv"
        ),
        Column("commit", TEXT, lambda row: row.commit, "commit of lrbench (`-dirty`: with uncommitted changes)"),
        Column("started", TEXT, lambda row: row.started, "when the trial began (UTC)"),
        Column(
            "failure",
            TEXT,
            failed(lambda row: row.failure),
            "how it failed: `failed` (an exception), `nan`, `oom`, `timeout`, `killed`",
        ),
        Column("attempt", COUNT, lambda row: row.attempt, "number of the attempt, from 1"),
        Column(
            "deterministic",
            FLAG,
            measured(lambda done: done.deterministic),
            "whether torch guarantees the same bits for the same environment and number of threads: on the CPU it does",
        ),
        Column("threads", WHOLE, measured(lambda done: done.threads), "CPU threads of torch"),
        *SEARCHED,
        Column("predicted_macs", WHOLE, measured(lambda done: done.predicted and done.predicted.macs), _PREDICTED),
        Column("predicted_params", WHOLE, measured(lambda done: done.predicted and done.predicted.params), _PREDICTED),
        Column(
            "predicted_latency_ratio",
            NUMBER,
            measured(lambda done: done.predicted and done.predicted.latency_ratio),
            _PREDICTED,
        ),
        Column("predicted_damage", SIGNED, measured(lambda done: done.predicted and done.predicted.damage), _PREDICTED),
        Column(
            "recipe",
            TEXT,
            lambda row: row.trial.recipe,
            "batch norm in finetuning (`train`, `frozen`, `re-estimated`), and the share of distillation (`distill=`)",
            filled=ALWAYS,
        ),
        Column(
            "calibration_split",
            TEXT,
            lambda row: row.trial.calibration_split,
            "split that calibration images came from (`search` in all earlier results)",
        ),
        Column(
            "baseline_amp",
            TEXT,
            measured(lambda done: done.baseline_amp),
            "number format of the dense model's training; empty: not trained, or not recorded",
        ),
        Column(
            "finetune_amp",
            TEXT,
            measured(lambda done: done.finetune_amp),
            "number format of finetuning; empty: not finetuned, or not recorded",
        ),
        Column(
            "allocator",
            TEXT,
            measured(lambda done: done.allocator),
            "what was set of the memory allocator in the process that trained; latency is timed without it",
        ),
        *KEPT,
        Column(
            "recalibrate",
            _RECALIBRATE,
            lambda row: row.trial.recalibrate,
            "whether batch norm was re-estimated: `yes`, `no`; `best`: the best stage on the search split was kept",
            filled=ALWAYS,
        ),
        Column(
            "weights_digest",
            TEXT,
            lambda row: row.trial.weights_digest,
            "digest of the file of given weights; `none`: no file, or not recorded",
            filled=ALWAYS,
        ),
        Column(
            "macs_fvcore",
            WHOLE,
            measured(lambda done: done.cost.macs_fvcore),
            "`macs` as fvcore counts them; empty: it cannot trace the model, or not recorded",
        ),
        Column(
            "fvcore_differs",
            TEXT,
            measured(lambda done: done.cost.untraced or " ".join(done.cost.differing)),
            "operators whose MACs fvcore counts otherwise or not at all, or why it cannot trace the model",
        ),
        Column(
            "lacking_ops",
            TEXT,
            measured(lambda done: " ".join(done.cost.lacking)),
            "operators that multiply and have no formula: `macs` lacks what they do",
        ),
    ),
)
