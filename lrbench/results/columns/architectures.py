"""The columns of architectures.csv."""

from collections.abc import Iterable, Sequence

from lrbench.lowrank.cuts import format_cuts
from lrbench.results.columns.column import ALWAYS, COUNT, TEXT, WHOLE, Column, Table, Text
from lrbench.results.records import Measurement, Planned, Record


def _architectures(records: Sequence[Record]) -> Iterable[Planned]:
    """The last plan of each architecture and point of the grid; a finished trial counts too, with measured costs."""
    plans = [_planned(record) for record in records if isinstance(record, Measurement | Planned)]
    return {(plan.architecture.key, *_way(plan)): plan for plan in plans}.values()


def _planned(record: Measurement | Planned) -> Planned:
    if isinstance(record, Planned):
        return record
    cost, dense = record.cost, record.dense_cost
    return Planned(
        trial=record.trial,
        architecture=record.architecture,
        params=cost.params,
        macs=cost.macs,
        dense_params=dense.params,
        dense_macs=dense.macs,
    )


def _way(plan: Planned) -> tuple[str, ...]:
    trial = plan.trial
    return trial.scheme, trial.truncation, trial.layer_set, trial.rank_rule


_FACTORIZED = Text(pattern=r"(\S+:\w+:\d+( |$))*", allowed="LAYER:SCHEME:RANK, separated by single spaces")
_WAY = "a point of the grid that gives this architecture"

ARCHITECTURES = Table[Planned](
    meaning="a row for each architecture and point of the grid that gives it",
    note="It includes architectures that were timed and never trained.",
    rows=_architectures,
    columns=(
        Column(
            "architecture",
            TEXT,
            lambda row: row.architecture.key,
            "key of the model's shape after factorization",
            filled=ALWAYS,
        ),
        Column("model", TEXT, lambda row: row.trial.model, "model that was compressed", filled=ALWAYS),
        Column(
            "image_size",
            WHOLE,
            lambda row: row.trial.image_size,
            "height and width of an image in pixels",
            filled=ALWAYS,
        ),
        Column("scheme", TEXT, lambda row: row.trial.scheme, _WAY, filled=ALWAYS),
        Column("truncation", TEXT, lambda row: row.trial.truncation, _WAY),
        Column("layer_set", TEXT, lambda row: row.trial.layer_set, _WAY),
        Column("rank_rule", TEXT, lambda row: row.trial.rank_rule, _WAY),
        Column(
            "layers",
            _FACTORIZED,
            lambda row: format_cuts(row.architecture.layers),
            "each factorized layer as `name:scheme:rank`",
        ),
        Column("params", WHOLE, lambda row: row.params, "params of the architecture, MACs of one image", filled=ALWAYS),
        Column("macs", WHOLE, lambda row: row.macs, "params of the architecture, MACs of one image", filled=ALWAYS),
        Column("dense_params", COUNT, lambda row: row.dense_params, "the same of the dense model", filled=ALWAYS),
        Column("dense_macs", COUNT, lambda row: row.dense_macs, "the same of the dense model", filled=ALWAYS),
    ),
)
