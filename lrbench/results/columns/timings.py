"""The columns of the timing tables: latency.csv of whole models, layer_latency.csv of single layers."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import median

from lrbench.lowrank.cuts import format_names
from lrbench.results.columns.column import ALWAYS, COUNT, NUMBER, POSITIVE, TEXT, WHOLE, Column, Table
from lrbench.results.columns.sessions import (
    COMMIT,
    ENDED,
    ENVIRONMENT,
    IS_CONTROL,
    OCCASION,
    PEAKS,
    SESSION,
    SETTING,
    LayoutRow,
    RoundRow,
)
from lrbench.results.records import Record
from lrbench.results.sessions import CONTROL, DENSE, LayerSession, Session, layout_of


def _rounds(records: Sequence[Record]) -> Iterator[RoundRow]:
    for number, record in enumerate(record for record in records if isinstance(record, Session)):
        for turn, timed in enumerate(record.rounds):
            for model in range(CONTROL, len(record.calls)):
                yield RoundRow(record, number, model, turn, timed)


def _layouts(records: Sequence[Record]) -> Iterator[LayoutRow]:
    for number, record in enumerate(record for record in records if isinstance(record, LayerSession)):
        for layout, group in groupby(enumerate(record.rounds), lambda pair: layout_of(*pair)):
            rounds = tuple(timed for _, timed in group)
            for model in range(CONTROL, len(record.calls)):
                yield LayoutRow(record, number, model, layout, rounds)


def _ratio(row: LayoutRow) -> float:
    return median(timed.wall_s[row.model] / timed.wall_s[DENSE] for timed in row.rounds)


def _breakeven(row: LayoutRow) -> float | None:
    return dict(row.record.breakeven_macs).get(row.record.replacements[row.model].scheme)


_LAYOUT = "how often the session had moved its models in memory: the rounds of one layout are one observation"
_LATENCY = "wall seconds of a call on one batch: of the architecture, and of the dense model in the same round"
_CPU = "CPU seconds of the process in the same calls"
_PLACE = "position in the shuffled order of the round, from 0"
_MACS = "MACs of one image: of the factors, and of the dense layer"
_TRAFFIC = "bytes of weights, inputs and results of one call, each counted once; MACs per byte: arithmetic intensity"

LATENCY = Table[RoundRow](
    meaning="a row for each round and architecture of a timing session",
    rows=_rounds,
    columns=(
        Column(
            "architecture",
            TEXT,
            lambda row: row.record.architectures[row.model].key,
            "key of the model's shape after factorization",
            filled=ALWAYS,
        ),
        ENVIRONMENT,
        SESSION,
        Column("round", WHOLE, lambda row: row.turn, "number of the round in its session, from 0"),
        Column("layout", WHOLE, lambda row: layout_of(row.turn, row.timed), _LAYOUT, filled=ALWAYS),
        Column("latency_s", POSITIVE, lambda row: row.timed.wall_s[row.model], _LATENCY, filled=ALWAYS),
        Column("dense_latency_s", POSITIVE, lambda row: row.timed.wall_s[DENSE], _LATENCY, filled=ALWAYS),
        Column("cpu_s", NUMBER, lambda row: row.timed.cpu_s[row.model], _CPU),
        Column("dense_cpu_s", NUMBER, lambda row: row.timed.cpu_s[DENSE], _CPU),
        IS_CONTROL,
        Column("position", WHOLE, lambda row: row.timed.order.index(row.model), _PLACE),
        Column("dense_position", WHOLE, lambda row: row.timed.order.index(DENSE), _PLACE),
        Column("calls", WHOLE, lambda row: row.record.calls[row.model], "calls in one timed block"),
        *SETTING,
        Column("model", TEXT, lambda row: row.record.architectures[DENSE].model, "model of the session"),
        Column(
            "image_size",
            WHOLE,
            lambda row: row.record.architectures[DENSE].image_size,
            "height and width of an image in pixels",
        ),
        COMMIT,
        Column("started", TEXT, lambda row: row.record.started, "when the session began (UTC)"),
        *OCCASION,
        Column(
            "first_wall_s",
            NUMBER,
            lambda row: row.record.first_wall_s[row.model],
            "wall seconds of the very first call",
        ),
        Column(
            "warmup_s",
            NUMBER,
            lambda row: row.record.warmup_s[row.model] if row.record.warmup_s else None,
            "seconds of warm-up before the first round",
        ),
        *PEAKS,
        Column("load", NUMBER, lambda row: row.timed.load, "length of the machine's run queue over the last minute"),
        Column("steal_s", NUMBER, lambda row: row.timed.steal_s, "seconds that the host withheld during the round"),
        Column(
            "sm_clock_hz",
            NUMBER,
            lambda row: row.timed.gpu and row.timed.gpu.sm_clock_hz,
            "of the GPU, from its driver",
        ),
        Column(
            "memory_clock_hz",
            NUMBER,
            lambda row: row.timed.gpu and row.timed.gpu.memory_clock_hz,
            "of the GPU, from its driver",
        ),
        Column(
            "temperature_c",
            NUMBER,
            lambda row: row.timed.gpu and row.timed.gpu.temperature_c,
            "of the GPU, from its driver",
        ),
        Column(
            "throttling", TEXT, lambda row: row.timed.gpu and row.timed.gpu.throttling, "of the GPU, from its driver"
        ),
        ENDED,
    ),
)

LAYER_LATENCY = Table[LayoutRow](
    meaning="a row for each layout and replacement of a single layer",
    rows=_layouts,
    columns=(
        Column(
            "shape",
            TEXT,
            lambda row: row.record.shape,
            "shape of the layer: layers that share it take equal time",
            filled=ALWAYS,
        ),
        Column(
            "layers",
            TEXT,
            lambda row: format_names(row.record.layers),
            "names of the layers of this shape",
            filled=ALWAYS,
        ),
        Column("scheme", TEXT, lambda row: row.record.replacements[row.model].scheme, "scheme of the factors"),
        Column(
            "rank",
            WHOLE,
            lambda row: row.record.replacements[row.model].rank,
            "rank of the factors; empty for the copy of the dense layer",
        ),
        ENVIRONMENT,
        SESSION,
        Column("layout", WHOLE, lambda row: row.layout, _LAYOUT, filled=ALWAYS),
        Column(
            "rounds",
            WHOLE,
            lambda row: len(row.rounds),
            "number of rounds in the layout; each round is in `records.jsonl`",
        ),
        Column("ratio", POSITIVE, _ratio, "median over the rounds of the latency ratio factors / dense", filled=ALWAYS),
        Column(
            "dense_latency_s",
            POSITIVE,
            lambda row: median(timed.wall_s[DENSE] for timed in row.rounds),
            "median over the rounds of the wall seconds of a call of the dense layer",
            filled=ALWAYS,
        ),
        IS_CONTROL,
        *SETTING,
        Column("model", TEXT, lambda row: row.record.model, "model of the session"),
        Column("image_size", WHOLE, lambda row: row.record.image_size, "height and width of an image in pixels"),
        COMMIT,
        *OCCASION,
        Column("macs", WHOLE, lambda row: row.record.replacements[row.model].macs, _MACS, filled=ALWAYS),
        Column("dense_macs", COUNT, lambda row: row.record.replacements[DENSE].macs, _MACS),
        Column("breakeven_rank_macs", NUMBER, _breakeven, "break-even rank of the scheme in MACs, by formula"),
        Column(
            "backend",
            TEXT,
            lambda row: row.record.replacements[row.model].backend,
            "operators that ran, in order, from torch's profiler",
        ),
        Column(
            "dense_backend",
            TEXT,
            lambda row: row.record.replacements[DENSE].backend,
            "operators that ran, in order, from torch's profiler",
        ),
        Column("traffic_bytes", WHOLE, lambda row: row.record.replacements[row.model].traffic_bytes, _TRAFFIC),
        Column("dense_traffic_bytes", WHOLE, lambda row: row.record.replacements[DENSE].traffic_bytes, _TRAFFIC),
        *PEAKS,
        ENDED,
    ),
)
