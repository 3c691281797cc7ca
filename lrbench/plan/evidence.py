"""What a log knows of single layers, by which budgets go: what they lose, and what they take."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lrbench.measure.settings import settings
from lrbench.plan.spec import SweepSpec
from lrbench.results.observed import observe_models, place_of
from lrbench.results.records import Record, Sensitivity
from lrbench.results.sessions import LayerSession, Session
from lrbench.results.timings import dense_seconds, layer_curves, pool, scale_of

Curves = Mapping[tuple[str, str], Mapping[int, float]]
"""(layer, scheme) -> ranks, and the seconds that each adds to a call."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What budget rules go by, as the log of a results folder holds it.

    Attributes:
        sensitivities: of layers, by any method, of any baseline.
        added_s: of layers in the whole model (below 0: saves).
        dense_s: seconds of a call of the whole dense model, None when it was not timed.
        setting: in which these seconds count, in words.
        scale: by how much `added_s` exceed what layers save when timed alone; see `scale_of_layers`.
        models: of how many whole models that is known.
    """

    sensitivities: tuple[Sensitivity, ...] = ()
    added_s: Curves
    dense_s: float | None = None
    setting: str = ""
    scale: float = 1.0
    models: int = 0

    def words(self) -> str:
        """Where foreseen latencies come from."""
        if not self.models:
            return f"latencies: sums of layers timed alone ({self.setting}); no whole model corrects them"
        return (
            f"latencies: sums of layers timed alone ({self.setting}), what they save times {self.scale:.2f}, by "
            f"{self.models} whole models timed here"
        )

    def of(self, baseline: str) -> "Evidence":
        """What is known of one dense model."""
        return replace(self, sensitivities=tuple(one for one in self.sensitivities if one.baseline == baseline))


NOTHING = Evidence(added_s={})


def gather_evidence(spec: SweepSpec, held: Iterable[Record], *, environment: str) -> Evidence:
    """What a log knows: sensitivities, and timings on one machine in the first setting of a spec.

    Which timings count is told in `results.timings`.
    """
    records = tuple(held)
    setting = next(iter(settings(spec.latency)), None)
    place = (environment, spec.model.name, spec.data.image_size, setting)
    whole = [one for one in records if isinstance(one, Session) and place_of(one) == place]
    alone = layer_curves(one for one in records if isinstance(one, LayerSession) and place_of(one) == place)
    scale, models = scale_of_layers(whole, alone)
    return Evidence(
        sensitivities=tuple(one for one in records if isinstance(one, Sensitivity)),
        added_s={key: {rank: scale * seconds for rank, seconds in curve.items()} for key, curve in alone.items()},
        dense_s=dense_seconds(whole),
        setting=setting.label if setting else "no device",
        scale=scale,
        models=models,
    )


def scale_of_layers(sessions: Iterable[Session], added_s: Curves) -> tuple[float, int]:
    """How much more whole models save than their layers do when each is timed alone, and how many models say so.

    The scale is that of all models in fit timings whose layers are in the table (see `scale_of`); 1 where there are
    none, or where they save nothing.

    Args:
        sessions: of one model in one setting.
        added_s: of layers alone.
    """
    timed = list(sessions)
    cuts = {one.key: one.layers for session in timed for one in session.architectures}
    predicted, measured = [], []
    for (_, key), known in pool(observe_models(timed)).items():
        parts = [
            seconds_at(added_s.get((cut.layer, cut.scheme)), cut.rank) for cut in cuts[key] if cut.rank is not None
        ]
        if known.fit and parts and None not in parts:
            predicted.append(1 + sum(filter(None, parts)) / known.dense_s)
            measured.append(known.estimate.ratio().ratio)
    scale = scale_of(np.array(predicted), np.array(measured))
    return (scale, len(measured)) if scale else (1.0, 0)


def seconds_at(curve: Mapping[int, float] | None, rank: int) -> float | None:
    """Seconds at a rank, interpolated between those that were timed; None when none was."""
    return float(np.interp(rank, list(curve), list(curve.values()))) if curve else None
