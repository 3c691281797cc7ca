"""Laws of every runtime: it computes what the eager model does, also in fresh memory; a new entry is used at once."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
from torch import Tensor, nn

from lrbench.config import axes
from lrbench.config.axes import Setting
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.export.artefacts import ARTEFACTS, runtime_of
from lrbench.learn.architectures import build_dense, make_architecture
from lrbench.lowrank.layers import find_layers
from lrbench.measure import runtimes
from lrbench.measure.prepared import Prepared, Runtime, absent_packages, in_torch, peaks_of
from lrbench.measure.settings import PRESENT, settings
from lrbench.measure.side_by_side import prepare, quiet
from lrbench.results.sessions import Architecture
from lrbench.timing.architectures import SessionJob, time_models
from lrbench.timing.layers import LayerJob, time_layer

USUAL = Setting(device="cpu", batch_size=2, threads=1, memory_format="contiguous")
AXES = (
    {},
    {"memory_format": "channels_last"},
    *({"dtype": name} for name in axes.DTYPES if name != "float32"),
    {"dtype": "amp", "batch_size": 1},
    {"folded": True},
)
SETTINGS = [replace(USUAL, device=device, **axis) for device in ("cpu", "cuda") for axis in AXES]
TAKEN = [
    replace(setting, runtime=name)
    for name, runtime in runtimes.RUNTIMES.items()
    for setting in SETTINGS
    if not runtime.refuses(replace(setting, runtime=name))
]


def net() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    model[1].running_mean.uniform_()
    return model.eval()


def bytes_of(model: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


@pytest.mark.parametrize("setting", TAKEN, ids=lambda setting: setting.label)
def test_a_runtime_computes_what_the_eager_model_does_wherever_it_is_laid_out(setting: Setting) -> None:
    if not PRESENT[setting.device]():
        pytest.skip(f"needs device {setting.device}")
    if reason := runtimes.RUNTIMES[setting.runtime].fails(setting.device):
        pytest.skip(reason)
    torch.compiler.reset()
    with quiet(1):
        expected = prepare(net(), replace(setting, runtime="eager"), shape=(3, 6, 6)).call()
        model = prepare(net(), setting, shape=(3, 6, 6))
        found = model.call().clone()
        tolerance = 1e-5 if setting.dtype == "float32" else 2e-2
        torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
        model.renew()
        assert torch.equal(model.call(), found)
        peak = model.peak_bytes()
    placed = net().to(torch.bfloat16) if setting.dtype == "bfloat16" else net()
    assert peak is None or peak >= bytes_of(placed[0]) + bytes_of(placed[5]) + found.nbytes


@pytest.mark.parametrize("name", runtimes.RUNTIMES)
def test_a_runtime_takes_some_setting_and_its_packages_are_installed_for_tests(name: str) -> None:
    assert any(setting.runtime == name for setting in TAKEN)
    assert absent_packages(runtimes.RUNTIMES[name]) == ()


@pytest.mark.parametrize("name", [name for name, one in runtimes.RUNTIMES.items() if one.in_file])
def test_a_model_in_a_file_takes_any_number_of_images_and_lives_without_the_file(name: str, tmp_path: Path) -> None:
    in_file, model, images = runtimes.RUNTIMES[name].in_file, net(), torch.rand(5, 3, 6, 6)
    assert in_file is not None
    file = tmp_path / f"model{in_file.suffix}"
    in_file.write(model, file, images[:2])
    opened = in_file.open(file, replace(USUAL, runtime=name))
    file.unlink()
    with torch.inference_mode():
        for some in (images, images[:1], images[:2].contiguous(memory_format=torch.channels_last)):
            prepared = opened(some)
            for _ in range(2):
                torch.testing.assert_close(prepared.call(), model(some), atol=1e-5, rtol=1e-5)
                prepared.renew()


def test_the_words_of_a_spec_are_the_runtimes_that_take_modules() -> None:
    assert list(axes.RUNTIMES) == [name for name, one in runtimes.RUNTIMES.items() if one.in_file is None]


def test_artefacts_are_for_runtimes_of_the_table_and_named_as_their_tools_want() -> None:
    for name, artefact in ARTEFACTS.items():
        in_file = runtime_of(name).in_file
        assert in_file is None or Path(artefact.file).suffix == in_file.suffix


def counting(called: list[str]) -> Runtime:
    """A runtime that notes what is asked of it, and adds 1 to what the model gives."""

    def make(model: nn.Module, inputs: Tensor, setting: Setting) -> Prepared:
        called.append("prepare")

        def run(images: Tensor) -> Tensor:
            called.append("call")
            return model(images) + 1

        inner = in_torch(run, model, inputs, setting)
        return replace(inner, renew=lambda: called.append("renew"), peak_bytes=lambda: None)

    return Runtime(prepare=make, refuses=lambda setting: "" if setting.dtype == "float32" else "it needs float32")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the runtime "toy", which the table has in a test."""
    called: list[str] = []
    monkeypatch.setattr(runtimes, "RUNTIMES", MappingProxyType({**runtimes.RUNTIMES, "toy": counting(called)}))
    return called


def asked(**changes: object) -> LatencyChoice:
    """A choice whose words were not checked."""
    return LatencyChoice(devices=("cpu",)).model_copy(update=changes)


QUICK = LatencyChoice(devices=("cpu",), rounds=10, processes=1, warmup_s=0.0, block_s=1e-9)


def tiny() -> Architecture:
    """The dense model of the workplace."""
    return make_architecture("nets:build", image_size=8, classes=10)


def test_a_new_runtime_is_timed_by_a_session(toy: list[str], workplace: Path) -> None:
    dense = tiny()
    session = time_models(
        SessionJob(
            choice=QUICK,
            setting=replace(USUAL, runtime="toy"),
            architectures=(dense, dense),
            environment="e0",
            commit="c0",
            series="s0",
            process=0,
            attempt=1,
        )
    )
    assert (session.setting.runtime, len(session.rounds), session.peak_bytes) == ("toy", 10, ())
    assert toy.count("prepare") == 2
    assert toy.count("renew") == 2, "each once, between the two layouts"
    timed = sum(count * len(session.rounds) for count in session.calls)
    assert toy.count("call") >= timed + 2 * 2, "beside the rounds a first call, and one in each new layout"


def test_a_layer_moves_the_same_bytes_in_every_runtime(workplace: Path) -> None:
    dense = tiny()
    conv = find_layers(build_dense(dense), (3, 8, 8))[1]
    job = LayerJob(
        choice=QUICK,
        dense=dense,
        setting=USUAL,
        shape="conv",
        layers=(conv,),
        candidates=(("channel", 2),),
        environment="e0",
        commit="c0",
        series="s0",
    )
    eager, exported = (
        time_layer(replace(job, setting=replace(USUAL, runtime=name))) for name in ("eager", "torch.export")
    )
    assert [one.traffic_bytes for one in eager.replacements] == [one.traffic_bytes for one in exported.replacements]
    weights, inputs, results = 16 * 8 * 9, 2 * 8 * 4 * 4, 2 * 16 * 2 * 2
    assert eager.replacements[0].traffic_bytes == 4 * (weights + inputs + results)
    assert all(one.backend for one in exported.replacements)


def test_a_new_runtime_is_a_word_of_a_grid_which_leaves_out_what_it_refuses(toy: list[str]) -> None:
    grid = settings(asked(runtimes=("eager", "toy"), dtypes=("bfloat16", "float32"), batch_sizes=(1, 8)))
    assert [(one.runtime, one.dtype, one.batch_size) for one in grid] == [
        (runtime, dtype, size)
        for size in (1, 8)
        for dtype in ("bfloat16", "float32")
        for runtime in ("eager", "toy")
        if (runtime, dtype) != ("toy", "bfloat16")
    ]
    with pytest.raises(InputError, match=r"^latency\.runtimes: toy cannot run: it needs float32$"):
        settings(asked(runtimes=("eager", "toy"), dtypes=("bfloat16",)))
    assert settings(asked(devices=(), runtimes=("toy",), dtypes=("bfloat16",))) == ()
    with pytest.raises(InputError, match="onnxruntime cannot run: it supports only device cpu, dtype float32, "):
        settings(asked(runtimes=("onnxruntime",), memory_formats=("channels_last",)))


def test_a_runtime_that_does_not_work_here_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def reason(changed: Runtime) -> str:
        monkeypatch.setattr(runtimes, "RUNTIMES", MappingProxyType({**runtimes.RUNTIMES, "toy": changed}))
        with pytest.raises(InputError) as error:
            settings(asked(runtimes=("eager", "toy")))
        return str(error.value).removeprefix("latency.runtimes: toy cannot run: ")

    eager = runtimes.RUNTIMES["eager"]
    assert reason(replace(eager, fails=lambda device: f"no compiler for {device}")) == "no compiler for cpu"
    assert reason(replace(eager, needs=("torch", "no_such_package"))) == "it needs no_such_package"


def test_a_compiler_that_fails_is_a_reason_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(module: nn.Module) -> None:
        raise RuntimeError("no compiler\nmore")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(InputError, match=r"compile cannot run: .* on cpu raised RuntimeError: no compiler$"):
        settings(asked(runtimes=("compile",)))


def test_peaks_are_told_for_all_models_or_for_none() -> None:
    model = prepare(net(), USUAL, shape=(3, 6, 6))
    told = peaks_of([model, model])
    assert len(told) == 2
    assert peaks_of([model, replace(model, peak_bytes=lambda: None)]) == ()
