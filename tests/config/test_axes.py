"""Axes of a setting and tables of names: specs, labels, filters, help and errors follow what is declared once."""

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
import samples

from lrbench.config import axes, names
from lrbench.config.axes import AXES, FORMER_KEYS, USUAL, Setting, in_file_name, in_words
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.execute.executors import EXECUTORS
from lrbench.learn import batches, optimizers, sources
from lrbench.lowrank.allocations import ALLOCATIONS
from lrbench.lowrank.ranks import RULES
from lrbench.lowrank.rule_texts import parse_rule
from lrbench.lowrank.schemes import SCHEMES
from lrbench.measure import settings, side_by_side
from lrbench.plan.spec import SweepSpec, make_spec
from lrbench.report.frames.latency import describe

PLAIN = Setting(device="cpu", batch_size=1, threads=1, memory_format="channels_last")
OTHER = Setting(
    device="cuda",
    batch_size=8,
    threads=2,
    memory_format="contiguous",
    dtype="bfloat16",
    runtime="cuda-graph",
    folded=True,
)
"""A setting that shares nothing with the plain one."""


def beside(name: str) -> Setting:
    """The plain setting but for one axis."""
    return replace(PLAIN, **{name: getattr(OTHER, name)})


def flat(output: str) -> str:
    """What a command printed, without frames and line ends."""
    return " ".join(output.replace("│", " ").split())


def test_a_setting_reads_as_it_always_did() -> None:
    assert PLAIN.label == "cpu, batch 1, threads 1, channels_last"
    assert OTHER.label == "cuda, batch 8, threads 2, contiguous, bfloat16, cuda-graph, batch norm folded"
    assert in_file_name(vars(PLAIN)) == "cpu_b1_t1_channels_last"
    assert in_file_name(vars(OTHER)) == "cuda_b8_t2_contiguous_bfloat16_cuda-graph_folded"
    assert tuple(axes.AXES) == ("device", "batch_size", "threads", "memory_format", "dtype", "runtime", "folded")


@pytest.mark.parametrize("name", AXES)
def test_settings_that_differ_in_one_axis_have_other_names(name: str) -> None:
    other = beside(name)
    assert other.label != PLAIN.label
    assert in_file_name(vars(other)) != in_file_name(vars(PLAIN))
    assert describe(vars(other).items()) == in_words(vars(other)) == other.label


@pytest.mark.parametrize("name", AXES)
def test_an_axis_is_a_key_of_latency_that_takes_its_words_and_no_others(name: str) -> None:
    axis = AXES[name]
    words = tuple(axis.words()) if axis.words else (1, 2, 16)
    choice = LatencyChoice(**{axis.key: words})
    assert getattr(choice, axis.key) == words
    assert LatencyChoice.model_fields[axis.key].description.startswith(axis.meaning)
    with pytest.raises(InputError, match=f"latency.{axis.key}.0"):
        make_spec({"latency": {axis.key: ["smurf" if axis.words else 0]}}, where="test")
    assert [axis.word(axis.value(word)) for word in words] == list(words)


@pytest.mark.parametrize("name", [name for name in AXES if name not in ("device", "runtime")])
def test_the_keys_of_a_setting_give_the_setting_back(name: str) -> None:
    other = beside(name)
    words = {axis.key: (axis.word(getattr(other, one)),) for one, axis in AXES.items()}
    assert settings.settings(LatencyChoice(**words)) == (other,)


@pytest.mark.parametrize("name", AXES)
def test_an_axis_is_a_filter_of_recommend(name: str, tmp_path: Path, lrbench) -> None:
    log = [
        samples.measurement(
            samples.trial("d", scheme="dense", layer_set="none", rank_rule="none"), macs=100, arch="dense"
        ),
        samples.measurement(samples.trial("t")),
        samples.session({"a0": 0.5}, setting=PLAIN),
        samples.session({"a0": 0.5}, setting=PLAIN),
        samples.session({"a0": 0.7}, setting=beside(name)),
    ]
    folder = samples.folder_of(tmp_path, log)

    def ratio(*words: object) -> float:
        result = lrbench("recommend", folder, "--macs", 0.9, "--format", "json", *words)
        return json.loads(result.output)["recommended"]["ratio"]

    option, word = AXES[name].option, AXES[name].word
    assert ratio() == pytest.approx(0.5)
    assert ratio(option, word(getattr(PLAIN, name))) == pytest.approx(0.5)
    assert ratio(option, word(getattr(OTHER, name))) == pytest.approx(0.7)
    missing = lrbench("recommend", folder, "--macs", 0.9, option, "smurf" if AXES[name].words else 99)
    assert missing.exit_code == 2
    assert f"nothing was timed with {AXES[name].noun}" in missing.output
    assert option in flat(lrbench("recommend", folder, "--macs", 0.9).output), "how to choose another is said"
    assert option in flat(lrbench("recommend", "--help").output)


@pytest.mark.parametrize(
    ("said", "done"),
    [
        (names.OPTIMIZERS, optimizers.OPTIMIZERS),
        (names.SCHEDULES, optimizers.SCHEDULES),
        (names.AUGMENTATIONS, batches.AUGMENTATIONS),
        (names.SOURCES, sources.SOURCES),
        (names.SCHEMES, {**SCHEMES, names.MIXED: None}),
        (names.ALLOCATIONS, ALLOCATIONS),
        (names.EXECUTORS, EXECUTORS),
        (axes.DTYPES, side_by_side.DTYPES),
        (axes.MEMORY_FORMATS, side_by_side.MEMORY_FORMATS),
        (axes.DEVICES, settings.PRESENT),
    ],
    ids=lambda table: f"{next(iter(table))}...",
)
def test_what_is_named_is_what_is_there(said: axes.Words, done: dict[str, object]) -> None:
    assert list(said) == list(done)
    assert all(said.values())


def test_the_examples_of_rank_rules_are_one_of_each() -> None:
    assert [type(parse_rule(text).base) for text in names.RULES] == [rule for rule, _ in RULES.values()]


def test_usual_words_are_those_that_specs_have_unless_they_say_otherwise() -> None:
    for name in ("dtype", "runtime", "folded"):
        assert getattr(LatencyChoice(), AXES[name].key) == (AXES[name].word(USUAL[name]),)


def test_a_new_runtime_is_known_wherever_runtimes_are_named(monkeypatch: pytest.MonkeyPatch, lrbench) -> None:
    text = '[latency]\nruntimes = ["toy"]'
    with pytest.raises(InputError, match=r"latency\.runtimes\.0: unknown runtime 'toy': allowed: .*cuda-graph"):
        make_spec({"latency": {"runtimes": ["toy"]}}, where=text)
    monkeypatch.setattr(axes, "RUNTIMES", MappingProxyType({**axes.RUNTIMES, "toy": "by a test"}))
    assert make_spec({"latency": {"runtimes": ["toy"]}}, where=text).latency.runtimes == ("toy",)
    assert replace(PLAIN, runtime="toy").label.endswith(", toy")
    with pytest.raises(InputError, match=r"unknown runtime 'toi': did you mean 'toy'\? allowed: .*, toy"):
        make_spec({"latency": {"runtimes": ["toi"]}}, where=text)
    for command in ("sweep", "layers", "recommend"):
        assert "toy: by a test" in flat(lrbench(command, "--help").output)


def test_a_new_optimizer_is_known_wherever_optimizers_are_named(monkeypatch: pytest.MonkeyPatch, lrbench) -> None:
    monkeypatch.setattr(names, "OPTIMIZERS", MappingProxyType({**names.OPTIMIZERS, "toy": "by a test"}))
    assert make_spec({"finetune": {"optimizer": "toy"}}, where="test").finetune.optimizer == "toy"
    with pytest.raises(InputError, match=r"finetune\.optimizer: unknown optimizer 'toi': did you mean 'toy'"):
        make_spec({"finetune": {"optimizer": "toi"}}, where="test")
    assert "toy: by a test" in flat(lrbench("plan", "--help").output)


@pytest.mark.usefixtures("workplace")
def test_a_new_executor_is_known_wherever_executors_are_named(monkeypatch: pytest.MonkeyPatch, lrbench) -> None:
    monkeypatch.setattr(names, "EXECUTORS", MappingProxyType({**names.EXECUTORS, "toy": "by a test"}))
    refused = lrbench("sweep", "tiny.toml", "--executor", "toi")
    assert refused.exit_code == 2
    assert "unknown --executor 'toi': did you mean 'toy'? allowed: here, pool," in flat(refused.output)
    assert "toy: by a test" in flat(lrbench("sweep", "--help").output)


def test_a_default_spec_takes_no_word_that_is_not_in_its_table() -> None:
    """Defaults are not validated by themselves."""
    assert make_spec(json.loads(SweepSpec().model_dump_json()), where="test") == SweepSpec()


@pytest.mark.parametrize("former", FORMER_KEYS)
def test_a_former_key_is_its_new_one_in_files_and_overrides(former: str) -> None:
    key, value = FORMER_KEYS[former].split(".")[1], ["compile"]
    read = [
        make_spec({"latency": {former.split(".")[1]: value}}, where="spec"),
        make_spec({"latency": {key: ["eager"]}}, {former: value}, where="spec"),
        make_spec({"latency": {key: ["eager"]}}, [f"{former}={value}"], where="spec"),
    ]
    assert [getattr(spec.latency, key) for spec in read] == [("compile",)] * 3
    with pytest.raises(InputError, match=f"unknown key {former}"):
        make_spec({"latency": {key: value, former.split(".")[1]: value}}, where="spec")
