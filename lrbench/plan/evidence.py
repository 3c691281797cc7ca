"""What a log holds about single layers, on which budgets are based: their losses, and their latencies."""

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
    """What budget rules are based on, from the log of a results folder.

    Attributes:
        sensitivities: of layers, by any method, of any baseline.
        added_s: seconds that a layer adds in the whole model (below 0: saves).
        dense_s: seconds of a call of the whole dense model, None when it was not timed.
        setting: where these seconds were taken, in words.
        scale: factor from what layers timed alone save to `added_s`; see `scale_of_layers`.
        models: number of whole models by which the scale was fitted.
    """

    sensitivities: tuple[Sensitivity, ...] = ()
    added_s: Curves
    dense_s: float | None = None
    setting: str = ""
    scale: float = 1.0
    models: int = 0

    def words(self) -> str:
        """Where predicted latencies come from."""
        if not self.models:
            return f"latencies: sums of layers timed alone ({self.setting}), not corrected by whole models"
        return (
            f"latencies: sums of layers timed alone ({self.setting}), their savings multiplied by {self.scale:.2f} to "
            f"agree with {self.models} whole models timed here"
        )

    def of(self, baseline: str) -> "Evidence":
        """The evidence about one dense model."""
        return replace(
            self,
            sensitivities=tuple(sensitivity for sensitivity in self.sensitivities if sensitivity.baseline == baseline),
        )


NOTHING = Evidence(added_s={})


def gather_evidence(spec: SweepSpec, records: Iterable[Record], *, environment: str) -> Evidence:
    """Collect from a log the sensitivities, and the timings on one machine in the first setting of a spec.

    `results.timings` decides which timings count.
    """
    held = tuple(records)
    setting = next(iter(settings(spec.latency)), None)
    place = (environment, spec.model.name, spec.data.image_size, setting)
    sessions = [record for record in held if isinstance(record, Session) and place_of(record) == place]
    layer_seconds = layer_curves(
        record for record in held if isinstance(record, LayerSession) and place_of(record) == place
    )
    scale, models = scale_of_layers(sessions, layer_seconds)
    return Evidence(
        sensitivities=tuple(
            record for record in held if isinstance(record, Sensitivity) and record.split == spec.calibration.split
        ),
        added_s={
            key: {rank: scale * seconds for rank, seconds in curve.items()} for key, curve in layer_seconds.items()
        },
        dense_s=dense_seconds(sessions),
        setting=setting.label if setting else "no device",
        scale=scale,
        models=models,
    )


def scale_of_layers(sessions: Iterable[Session], added_s: Curves) -> tuple[float, int]:
    """The factor from what layers timed alone save to what whole models save, and the number of models behind it.

    It is fitted to all models in fit timings whose layers are in the table (see `scale_of`); 1 where there are none,
    or where they save nothing.

    Args:
        sessions: of one model in one setting.
        added_s: seconds that layers add when timed alone.
    """
    timed = list(sessions)
    cuts = {architecture.key: architecture.layers for session in timed for architecture in session.architectures}
    predicted, measured = [], []
    for (_, key), pooled in pool(observe_models(timed)).items():
        parts = [
            seconds_at(added_s.get((cut.layer, cut.scheme)), cut.rank) for cut in cuts[key] if cut.rank is not None
        ]
        if pooled.fit and parts and None not in parts:
            predicted.append(1 + sum(filter(None, parts)) / pooled.dense_s)
            measured.append(pooled.estimate.ratio().ratio)
    scale = scale_of(np.array(predicted), np.array(measured))
    return (scale, len(measured)) if scale else (1.0, 0)


def seconds_at(curve: Mapping[int, float] | None, rank: int) -> float | None:
    """Seconds at a rank, interpolated between the timed ranks; None when no rank was timed."""
    return float(np.interp(rank, list(curve), list(curve.values()))) if curve else None
