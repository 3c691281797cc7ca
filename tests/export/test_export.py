"""Trials as files: what an export holds, that it gives what the trial gave, and what is refused."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import samples
import torch
from safetensors.torch import load_file, save_file

import lrbench as library
from lrbench.cli.export import Format
from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.export.artefacts import ARTEFACTS, require_packages, write_artefacts
from lrbench.export.check import check_artefacts, right_answers
from lrbench.export.find import LISTED, find_measurement
from lrbench.export.plan import Plan
from lrbench.learn import batches
from lrbench.learn.datasets import load_dataset
from lrbench.measure.accuracy import evaluate
from lrbench.measure.prepared import Prepared
from lrbench.results.log import LOG, read_records
from lrbench.results.records import Accuracy, Measurement, Record, to_line

FAST = ("--set", "latency.processes=1", "--set", "latency.rounds=10", "--set", "latency.warmup_s=0.0")


@pytest.fixture
def swept(workplace: Path, lrbench, undrawn: None) -> Path:
    """A workplace with two finished trials of an own model on digits: the dense control and one factorized."""
    words = ("--only", "accuracy", "--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']")
    assert lrbench("sweep", "tiny.toml", *words).exit_code == 0
    return workplace


def factorized(folder: Path) -> Measurement:
    return next(one for one in read_records(folder) if isinstance(one, Measurement) and one.architecture.layers)


def digits() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    data = DataChoice(image_size=8)
    how = batches.Batching(size=32, data=data, device=torch.device("cpu"), memory_format=torch.contiguous_format)
    return batches.test_batches(load_dataset(data, cache=Path("cache")).test, how)


def test_an_export_may_leave_timing_out(swept: Path, lrbench) -> None:
    trial = factorized(swept / "results/tiny").trial.key
    words = ("--to", "out", "--model", "nets:build", "--format", "safetensors", "--no-timing")
    result = lrbench("export", "results/tiny", trial, *words)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in swept.glob("out/*")) == ["checks.csv", "model.safetensors", "plan.json"]
    assert "beside the dense model in its own runtime" not in result.output


@pytest.mark.long
def test_a_trial_leaves_as_three_files_that_each_give_what_it_gave(swept: Path, lrbench) -> None:
    trial = factorized(swept / "results/tiny")
    words = ("results/tiny", trial.trial.key[:6], "--to", "out", "--model", "nets:build")
    result = lrbench("export", *words, *FAST)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in swept.glob("out/*")) == [
        *("checks.csv", "model.onnx", "model.pt2", "model.safetensors", "plan.json", "rounds.csv", "timing.csv")
    ]
    assert not list(swept.glob(".out*"))

    model = library.load("out", build=sys.modules["nets"].build)
    assert [name for name, _ in model.named_modules() if name.startswith("0")] == ["0", "0.0", "0.1"]
    again = evaluate(model, digits())
    assert (again.correct, again.right) == (trial.kept_accuracy.correct, trial.kept_accuracy.right)

    images = torch.cat([batch for batch, _ in digits()])
    with torch.inference_mode():
        expected = model(images)
        program = torch.export.load("out/model.pt2").module()
        session = onnxruntime.InferenceSession("out/model.onnx", providers=["CPUExecutionProvider"])
        for count in (1, 7, len(images)):
            (logits,) = session.run(None, {"images": images[:count].numpy()})
            assert np.abs(logits - expected[:count].numpy()).max() <= 1e-4
            assert torch.allclose(program(images[:count]), expected[:count], atol=1e-4, rtol=0)

    checks = pd.read_csv("out/checks.csv").set_index("artefact")
    assert list(checks.index) == list(ARTEFACTS)
    assert checks["ok"].all()
    assert (checks["images"] == 360).all()
    assert checks.loc["safetensors", "correct"] == trial.finetuned.correct
    assert checks["size_bytes"].tolist() == [(Path("out") / one.file).stat().st_size for one in ARTEFACTS.values()]
    timing, rounds = pd.read_csv("out/timing.csv"), pd.read_csv("out/rounds.csv")
    assert timing["runtime"].tolist() == ["eager", "torch.export", "onnxruntime"]
    assert timing[["ratio_low", "ratio_high"]].isna().all(axis=None), "one process tells no interval"
    medians = rounds.groupby("runtime", sort=False)[["latency_s", "dense_latency_s"]].median().reset_index(drop=True)
    pd.testing.assert_frame_equal(medians, timing[["latency_s", "dense_latency_s"]])

    refused = lrbench("export", *words, *FAST)
    assert (refused.exit_code, "already exists: choose a new or empty folder" in refused.output) == (2, True)
    fresh = lrbench("export", *words, *FAST, "--fresh", "--format", "safetensors", "--set", "data.name=none:such")
    assert (fresh.exit_code, "out was moved to out.old-1" in fresh.output) == (0, True), fresh.output
    assert "random images, so accuracy was not checked: data.name='none:such' cannot be imported" in fresh.output
    assert pd.read_csv("out/checks.csv")["correct"].isna().all()
    assert not Path("out/model.onnx").exists()


def test_a_trial_without_any_training_leaves_as_the_model_that_was_measured(swept: Path, lrbench) -> None:
    untrained = ("baseline.epochs=0", "finetune.epochs=0", "sweep.ranks=['rank=2']")
    words = [word for key in untrained for word in ("--set", key)]
    assert lrbench("sweep", "tiny.toml", "--only", "accuracy", "--out", "plain", *words).exit_code == 0
    trial = factorized(swept / "plain")
    words = ["plain", trial.trial.key, "--to", "out", "--model", "nets:build", "--format", "safetensors", *FAST]
    result = lrbench("export", *words)
    assert result.exit_code == 0, result.output
    again = evaluate(library.load("out", build=sys.modules["nets"].build), digits())
    assert (again.correct, again.right) == (trial.kept_accuracy.correct, trial.kept_accuracy.right)


def test_loading_refuses_what_was_changed_and_runs_no_code_that_a_file_names(swept: Path, lrbench) -> None:
    words = ("results/tiny", factorized(swept / "results/tiny").trial.key, "--to", "out", "--model", "nets:build")
    assert lrbench("export", *words, *FAST, "--format", "safetensors").exit_code == 0
    build = sys.modules.pop("nets").build
    with pytest.raises(InputError, match=r"model 'nets:build' is your own code: pass its builder"):
        library.load("out")
    assert "nets" not in sys.modules
    with pytest.raises(InputError, match="does not fit model 'nets:build'"):
        library.load(
            "out", build=lambda: torch.nn.Sequential(*list(build())[:4], torch.nn.Sigmoid(), *list(build())[6:])
        )
    state = torch.random.get_rng_state()
    library.load("out", build=build)
    assert torch.equal(torch.random.get_rng_state(), state)

    plan = json.loads(Path("out/plan.json").read_text())
    assert plan["class_names"] == list("0123456789")
    for key, value, reason in (
        ("mean", [0.0, 0.0, 0.0], "was changed after the export"),
        ("schema", 2, "schema must be 1, got 2"),
    ):
        Path("out/plan.json").write_text(json.dumps({**plan, key: value}))
        with pytest.raises(InputError, match=reason):
            library.load("out", build=build)
    Path("out/plan.json").write_text(json.dumps(plan))
    save_file(
        {name: 2 * tensor for name, tensor in load_file("out/model.safetensors").items()}, "out/model.safetensors"
    )
    with pytest.raises(InputError, match=r"model\.safetensors was changed after the export"):
        library.load("out", build=build)
    for content in ("[]", "no json", '{"schema": 1}', '"text"'):
        Path("out/plan.json").write_text(content)
        with pytest.raises(InputError, match=r"plan\.json(: schema must| is not a valid plan| was changed)"):
            library.load("out", build=build)
    with pytest.raises(InputError, match="is not an export"):
        library.load("results/tiny", build=build)


def test_an_export_that_answers_otherwise_is_never_called_done(swept: Path, lrbench) -> None:
    folder = swept / "results/tiny"
    trial = factorized(folder)
    words = ("results/tiny", trial.trial.key, "--to", "out", "--model", "nets:build", "--format", "pt2")
    missed = replace(trial.finetuned, correct=trial.finetuned.correct - 1)
    wrong = replace(trial, finetuned=missed)
    records = [wrong if one == trial else one for one in read_records(folder)]
    (folder / LOG).write_text("".join(f"{to_line(one)}\n" for one in records))
    result = lrbench("export", *words, *FAST)
    assert result.exit_code == 1
    assert "not exported: safetensors gives other outputs than the trial" in result.output
    others = [replace(one, finetuned=replace(missed, samples=999)) if one == wrong else one for one in records]
    (folder / LOG).write_text("".join(f"{to_line(one)}\n" for one in others))
    result = lrbench("export", *words, *FAST)
    assert result.exit_code == 2
    assert "999 test images, data.root has 360" in result.output
    assert not list(swept.glob("*out*"))


def test_what_cannot_be_exported_is_refused_in_a_sentence(
    swept: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*words: str) -> str:
        result = lrbench("export", *words, "--to", "out")
        assert result.exit_code == 2, result.output
        return result.output

    key = factorized(swept / "results/tiny").trial.key
    (swept / "empty").mkdir()
    assert "records.jsonl cannot be read" in refused("empty", "abc")
    assert "no finished trial begins with 'zzz'" in refused("results/tiny", "zzz")
    assert "2 trials begin with ''" in refused("results/tiny", "")
    assert "pass --model nets:build" in refused("results/tiny", key)
    named = ("results/tiny", key, "--model", "nets:build")
    assert "--set takes only data.root, data.name" in refused(*named, "--set", "data.mean=[0,0,0]")
    assert f"{key}.safetensors, the weights of trial" in refused(*named, "--cache", "elsewhere")
    monkeypatch.setattr("lrbench.measure.prepared.find_spec", lambda name: None)
    assert "onnxscript, onnxruntime: pip install lrbench[export]" in refused(*named, "--format", "onnx")
    (swept / "nets.py").write_text((swept / "nets.py").read_text() + "\n# edited\n")
    assert "has changed since it was measured" in refused(*named)
    assert not list(swept.glob("*out*"))


class Branching(torch.nn.Module):
    """Which way it goes depends on what an image shows: no exporter can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) if images.sum() > 0 else -images.mean((2, 3))


def test_a_model_that_no_runtime_takes_is_refused_by_the_name_of_the_file(tmp_path: Path) -> None:
    plan = Plan(
        input="",
        trial="t0",
        label="",
        architecture=samples.architecture(),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        correct=0,
        samples=1,
        weights_sha256="",
    )
    with pytest.raises(InputError, match=r"^model\.pt2 cannot be made from this model: "):
        write_artefacts(Branching().eval(), plan, tmp_path, names=("safetensors", "pt2"))


def records(*keys: str) -> list[Record]:
    return [samples.measurement(samples.trial(key)) for key in keys]


def test_a_trial_is_found_by_an_unambiguous_beginning() -> None:
    made = records("abc1", "abd2")
    assert find_measurement(made, "abd") is made[1]
    again = replace(made[0], attempt=2)
    assert find_measurement([*made, again], "abc1") is again
    with pytest.raises(InputError, match=r"2 trials begin with 'ab':\n  abc1  channel early rank=8 seed 0\n  abd2 "):
        find_measurement(made, "ab")
    with pytest.raises(InputError, match=r"trial f0 .* failed: DivergedError"):
        find_measurement([*made, samples.failure(samples.trial("f0"))], "f")
    with pytest.raises(InputError, match=r"and 3 more \(trials\.csv\)$"):
        find_measurement(records(*(f"k{number}" for number in range(LISTED + 3))), "x")
    with pytest.raises(InputError, match="has no finished trial"):
        find_measurement([], "x")


def checked(run: Callable[[torch.Tensor], torch.Tensor], *, scale: float = 1.0, correct: range = range(4, 5)) -> bool:
    """Whether a file passes for a model of two classes that answers 4 of 4 images rightly."""
    images = scale * torch.tensor([[1.0, -1.0], [-1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])

    def opened(images: torch.Tensor) -> Prepared:
        return Prepared(call=lambda: run(images), renew=lambda: None, peak_bytes=lambda: None)

    labels = torch.tensor([0, 1, 0, 1])
    batches = [(images, labels)]
    return check_artefacts(lambda p: p, {"safetensors": opened}, batches, correct=correct, within=1e-4)[0].ok


def test_a_check_sees_differences_other_answers_and_numbers_that_are_none() -> None:
    assert checked(lambda part: part)
    assert checked(lambda part: part + 0.9e-4)
    assert not checked(lambda part: part + 1.1e-4)
    assert checked(lambda part: part + 0.9e-2, scale=1000), "float32 rounds large logits in proportion"
    assert not checked(lambda part: part + 5e-2, scale=1000)
    assert not checked(lambda part: part * torch.nan)
    assert not checked(lambda part: part, correct=range(3, 4))
    assert not checked(lambda part: part if len(part) > 1 else part + 1), "one image alone is another shape"


def test_answers_must_be_the_trials_where_it_was_measured_and_nearly_so_elsewhere() -> None:
    accuracy = Accuracy(correct=1500, samples=2000, loss=1.0)
    trial = replace(samples.measurement(samples.trial()), finetuned=accuracy, deterministic=True)
    assert right_answers(trial, environment="e0") == range(1500, 1501)
    assert right_answers(trial, environment="e1") == range(1498, 1503)
    assert right_answers(replace(trial, deterministic=False), environment="e0") == range(1498, 1503)


def test_every_artefact_can_be_asked_for_and_is_installed_for_tests() -> None:
    assert [one.value for one in Format] == list(ARTEFACTS)
    require_packages(ARTEFACTS)
