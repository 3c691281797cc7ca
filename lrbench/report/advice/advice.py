"""A recommendation for a results folder, read from its tables, with what has to be said of it."""

from dataclasses import dataclass

from lrbench.report.advice import notes
from lrbench.report.advice.seen import seen_before
from lrbench.report.choice.constraints import Limits
from lrbench.report.choice.pick import choices_of
from lrbench.report.choice.recommend import Recommendation, recommend
from lrbench.report.choice.told import export_command
from lrbench.report.frames.pooling import with_timings
from lrbench.report.frames.rivals import (
    WHERE,
    Row,
    Where,
    choose_rivals,
    choose_setting,
    name_rivals,
)
from lrbench.report.results import Results

LAYER = ("layer", "kind", "scheme", "rank", "max_rank", "params", "dense_params", "macs", "dense_macs", "reason")


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A recommendation with all that is told beside it.

    Attributes:
        choice: the recommendation.
        confidence: least probability with which each limit must hold.
        rivals: among which trials was chosen.
        split: by which was chosen, `search` or `test`.
        reference: against what drops are measured.
        untouched: what the dense model before any finetuning is called.
        setting: in which latencies were taken; None when nothing was timed.
        dense: the dense control, if it finished.
        layers: of the recommended trial, rows of `layers.csv`.
        warnings: what is wrong with it, in sentences.
        notes: what else has to be said of it.
        command: what exports it, or where nothing is recommended what comes closest.
    """

    choice: Recommendation
    confidence: float
    rivals: str
    split: str
    reference: str
    untouched: str
    setting: Row | None
    dense: Row | None
    layers: tuple[Row, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    command: str


def advise(
    results: Results, limits: Limits, *, confidence: float, minimise: str | None, where: Where, among: str | None
) -> Advice:
    """Recommend a point of a results folder.

    Args:
        results: the folder.
        limits: by the names of `CONSTRAINTS`, in the units of their columns.
        confidence: least probability with which each must hold.
        minimise: a cost, or None for what the limits suggest.
        where: in which setting latencies are to be taken.
        among: a part of the name of the rivals to choose among.

    Raises: InputError when the folder, the limits or the setting give nothing to choose from.
    """
    trials, other_rivals = choose_rivals(results.done, among)
    first = trials.iloc[0]
    timed = results.latency_ratios
    mine = timed[(timed["model"] == first["model"]) & (timed["image_size"] == first["image_size"])]
    ratios, other_settings = choose_setting(mine, where)
    choices = choices_of(results, trials)
    points = with_timings(choices.points, ratios)
    choice = recommend(points, limits, confidence=confidence, minimise=minimise)
    setting = None if ratios.empty else ratios.iloc[0][WHERE].to_dict()
    trial = None if choice.point is None else choice.point["trial"]
    layers = results.layers
    told = [
        *notes.chances(choice, limits, confidence),
        *notes.ties(choice, choices.split),
        *notes.rivalry(other_rivals),
        *notes.basis(trials, choices),
        *notes.reestimated(trials, choice),
        *seen_before(results.folder, trials, choices.split),
        *notes.timing(points, choice, "latency" in limits),
        *notes.where(setting, other_settings, results.environments),
        *notes.noise(points),
        *notes.seeds(choice, points),
    ]
    return Advice(
        choice=choice,
        confidence=confidence,
        rivals=name_rivals(first.to_dict()),
        split=choices.split,
        reference=choices.reference.words,
        untouched=choices.reference.untouched,
        setting=setting,
        dense=next(iter(points[points["dense"].astype(bool)].to_dict("records")), None),
        layers=tuple(layers.loc[layers["trial"] == trial, list(LAYER)].to_dict("records")),
        warnings=tuple(notes.untrue(choice)),
        notes=tuple(told),
        command=export_command(str(results.folder), _to_export(choice), str(first["model"])),
    )


def _to_export(choice: Recommendation) -> str:
    """The trial that is recommended, or that comes closest."""
    if choice.point is not None:
        return str(choice.point["trial"])
    assert choice.closest is not None, "there are points to choose from"
    return str(choice.closest.point["trial"])
