"""Made-up records, for tests of what stores, tables and figures do with them. None of these is a measurement."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lrbench.config.axes import Setting
from lrbench.lowrank.cuts import Cut
from lrbench.results.log import Store
from lrbench.results.records import (
    Accuracy,
    Cost,
    Epoch,
    Failure,
    Layer,
    LayerSpectrum,
    Measurement,
    Probe,
    Record,
    Sensitivity,
    Spectra,
    Trial,
)
from lrbench.results.sessions import Architecture, LayerSession, Replacement, Round, Session


def trial(key: str = "t0", **changes: object) -> Trial:
    made = Trial(
        key=key,
        baseline="b0",
        model="resnet18",
        weights="none",
        data="digits",
        image_size=32,
        scheme="channel",
        layer_set="early",
        rank_rule="rank=8",
        seed=0,
        baseline_seed=0,
        baseline_epochs=1,
        finetune_epochs=1,
    )
    return replace(made, **changes)


def architecture(key: str = "a0", *, dense: bool = False) -> Architecture:
    layers = () if dense else (Cut(layer="conv1", scheme="channel", rank=8),)
    return Architecture(key=key, model="resnet18", image_size=32, classes=10, layers=layers)


def layer(name: str = "conv1", **changes: object) -> Layer:
    made = Layer(
        layer=name,
        kind="conv",
        scheme="channel",
        rank=8,
        reason=None,
        out_channels=64,
        in_channels=3,
        kernel_height=7,
        kernel_width=7,
        max_rank=64,
        breakeven_rank_params=44.6,
        breakeven_rank_macs=44.6,
        params=1688,
        macs=1688,
        dense_params=9408,
        dense_macs=9408,
        weight_error=0.5,
        energy=0.75,
        numerical_rank=8,
    )
    return replace(made, **changes)


def sensitivity(name: str, errors: dict[int, float], **changes: object) -> Sensitivity:
    """What a layer of the baseline loses at each rank."""
    probes = tuple(
        Probe(rank=r, params=r, macs=r, energy=1 - e, weight_error=e, spectral_error=e, output_error=e)
        for r, e in errors.items()
    )
    made = Sensitivity(
        baseline="b0",
        environment="e0",
        commit="c0",
        started="2026-01-01T00:00:00+00:00",
        layer=name,
        scheme="channel",
        truncation="plain",
        images=8,
        dense_params=100,
        dense_macs=100,
        probes=probes,
    )
    return replace(made, **changes)


def measurement(planned: Trial, *, macs: int = 50, correct: int = 80, arch: str = "a0") -> Measurement:
    return Measurement(
        trial=planned,
        architecture=architecture(arch, dense=planned.scheme == "dense"),
        environment="e0",
        commit="c0",
        started="2026-01-01T00:00:00+00:00",
        cost=Cost(
            params=2 * macs,
            macs=macs,
            other_ops=3,
            uncounted=("aten::add_",),
            macs_fvcore=macs - 1,
            differing=("scaled_dot_product_attention",),
            lacking=("aten::_fft_c2c",),
        ),
        dense_cost=Cost(params=200, macs=100, other_ops=3, uncounted=()),
        layers=(layer(), layer("fc", rank=None, reason="not in layer set early", weight_error=None)),
        epochs=(Epoch(stage="finetune", epoch=1, loss=0.1, accuracy=0.9, learning_rate=0.01, seconds=1.0),),
        dense=Accuracy(correct=90, samples=100, loss=0.3),
        truncated=Accuracy(correct=20, samples=100, loss=2.3),
        finetuned=Accuracy(correct=correct, samples=100, loss=0.5),
        reused_weights=False,
        truncate_s=0.1,
        evaluate_s=0.2,
        finetune_s=0.3,
        peak_memory_bytes=1000,
        baseline_amp="float32",
        finetune_amp="bfloat16",
        allocator="top_pad=1",
    )


def failure(planned: Trial, reason: str = "DivergedError: loss became nan") -> Failure:
    return Failure(
        trial=planned,
        environment="e0",
        commit="c0",
        started="2026-01-01T00:00:00+00:00",
        stage="finetune",
        reason=reason,
        traceback="",
        seconds=1.0,
    )


EVIL = "</script><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>'\"&{{ 7 * 7 }}"

SETTING = Setting(device="cpu", batch_size=1, threads=1, memory_format="contiguous")


def rounds_of(wall: list[tuple[float, ...]]) -> tuple[Round, ...]:
    """Rounds in which the models took these seconds a call."""
    return tuple(Round(order=tuple(range(len(one))), wall_s=one, cpu_s=one) for one in wall)


def session(
    ratios: dict[str, float], *, rounds: int = 10, noise: float = 0.0, environment: str = "e0", **changes: object
) -> Session:
    """Architectures whose calls take this ratio of the dense one's second, `noise` more in odd rounds."""
    wall = [(1.0, 1.0, *(ratio * (1 + noise * (turn % 2)) for ratio in ratios.values())) for turn in range(rounds)]
    made = Session(
        environment=environment,
        commit="c0",
        started="2026-01-01T00:00:00+00:00",
        setting=SETTING,
        architectures=(
            architecture("dense", dense=True),
            architecture("dense", dense=True),
            *map(architecture, ratios),
        ),
        calls=(1,) * (2 + len(ratios)),
        first_wall_s=(2.0,) * (2 + len(ratios)),
        rounds=rounds_of(wall),
    )
    return replace(made, **changes)


def layer_session(
    ratios: dict[tuple[str, int], float], *, layers: tuple[str, ...] = ("conv1",), dense_s: float = 0.1
) -> LayerSession:
    """A layer of MACs 100 whose factors at (scheme, rank) take this ratio of its time; break-even at rank 50."""
    wall = [(dense_s, dense_s, *(dense_s * ratio for ratio in ratios.values()))] * 10
    kinds = [("dense", None), ("dense", None), *ratios]
    return LayerSession(
        environment="e0",
        commit="c0",
        started="2026-01-01T00:00:00+00:00",
        setting=SETTING,
        shape=f"conv of {layers[0]}",
        model="resnet18",
        image_size=32,
        layers=layers,
        replacements=tuple(
            Replacement(scheme=scheme, rank=rank, backend="onednn", macs=2 * (rank or 50), traffic_bytes=10)
            for scheme, rank in kinds
        ),
        breakeven_macs=tuple((scheme, 50.0) for scheme in dict.fromkeys(scheme for scheme, _ in ratios)),
        calls=(1,) * len(kinds),
        first_wall_s=(1.0,) * len(kinds),
        rounds=rounds_of(wall),
    )


def spectra(name: str | None = None) -> Spectra:
    values = (LayerSpectrum(layer="conv1", values=(3.0, 1.0, 0.0)), LayerSpectrum(layer="conv2", values=(2.0, 0.5)))
    return Spectra(baseline="b0", trial=name, scheme="channel", layers=values)


def sweep() -> list[Record]:
    """A whole log: the dense control, trials of two schemes and layer sets, one failed, all timed."""
    made: list[Record] = [
        measurement(trial("d", scheme="dense", layer_set="none", rank_rule="none"), macs=100, arch="dense")
    ]
    names = {}
    for number, (scheme, layer_set, rule) in enumerate(
        (s, n, r) for s in ("channel", "spatial") for n in ("early", "late") for r in ("rank=8", "rank=16")
    ):
        key = f"a{number}"
        planned = trial(f"t{number}", scheme=scheme, layer_set=layer_set, rank_rule=rule)
        made.append(measurement(planned, macs=30 + 8 * number, correct=70 + (7 * number) % 20, arch=key))
        names[key] = 0.4 + 0.07 * number
    return [*made, failure(trial("f", rank_rule="rank=99")), spectra(), spectra("t0"), session(names, noise=0.02)]


def many(count: int) -> list[Record]:
    """A dense control and so many trials, each a point of its own."""
    made: list[Record] = [measurement(trial("d", scheme="dense", layer_set="none", rank_rule="none"), macs=100)]
    for number in range(count):
        planned = trial(f"t{number}", rank_rule=f"rank={1 + number}", scheme=("channel", "spatial")[number % 2])
        made.append(measurement(planned, macs=20 + number % 70, correct=50 + number % 45))
    return made


def hostile() -> list[Record]:
    """A sweep in which every text that a user or a crash can choose is hostile."""
    log = [
        replace(record, trial=replace(record.trial, layer_set=EVIL, rank_rule=EVIL, data=EVIL, model=EVIL))
        if isinstance(record, Measurement | Failure)
        else record
        for record in sweep()
    ]
    layers = (layer(EVIL), layer("fc", rank=None, reason=EVIL))
    return [
        *(replace(one, layers=layers) if isinstance(one, Measurement) else one for one in log),
        failure(trial("g", scheme=EVIL), EVIL),
    ]


def folder_of(path: Path, records: Sequence[Record]) -> Path:
    """A results folder that holds these records."""
    with Store(path) as store:
        store.extend(records)
        store.write_tables()
    return path
