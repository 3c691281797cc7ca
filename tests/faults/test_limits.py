"""One set of limits: what a spec accepts its tables accept; a line beyond is damage; names of layers stay whole."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import samples
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import lrbench as package
from lrbench.config.ranges import LARGEST
from lrbench.errors import InputError
from lrbench.export.plan import PLAN, WEIGHTS, _digest, sha256_of
from lrbench.learn.architectures import make_architecture, shaped
from lrbench.learn.weights import fits, keep_weights, recall_weights, save_weights
from lrbench.lowrank.cuts import Cut, format_cuts, format_names, parse_cuts, parse_names
from lrbench.plan.spec import make_spec
from lrbench.results.log import LOG, Store, read_records
from lrbench.results.records import Epoch, from_line, to_line
from lrbench.results.tables import load_table
from lrbench.results.valid import require_readable

NAMES = [
    "my layer",
    "a/b",
    "größe 層",
    "x" * 300,
    "$x^{",
    "a:b:c",
    "100%",
    "%20",
    "-x",
    "=cmd()",
    "[a]*?",
    "tab\tnl\nem\u2003",
    "&<b>",
]


@given(st.lists(st.text(min_size=1) | st.sampled_from(NAMES), min_size=1))
def test_names_of_layers_come_back_from_a_cell_whatever_is_in_them(names: list[str]) -> None:
    assert list(parse_names(format_names(names))) == names
    cuts = tuple(Cut(layer=name, scheme="channel", rank=number + 1) for number, name in enumerate(names))
    assert parse_cuts(format_cuts(cuts)) == cuts


def test_usual_names_are_written_as_ever() -> None:
    cuts = [Cut(layer="layer1.0.conv1", scheme="spatial", rank=16), Cut(layer="fc", scheme="channel", rank=2)]
    assert format_cuts(cuts) == "layer1.0.conv1:spatial:16 fc:channel:2"


ODD_NET = """
from torch import nn


def build(num_classes):
    net = nn.Sequential()
    for number, name in enumerate({names}):
        net.add_module(name, nn.Conv2d(8 if number else 3, 8, 3, padding=1))
    net.add_module("pool", nn.AdaptiveAvgPool2d(1))
    net.add_module("flat", nn.Flatten())
    net.add_module("last one", nn.Linear(8, num_classes))
    return net
"""
MODULES = [name.replace(".", "") for name in NAMES]


@pytest.mark.long
def test_odd_names_of_layers_go_through_tables_patterns_and_charts(workplace: Path, lrbench) -> None:
    (workplace / "nets.py").write_text(ODD_NET.replace("{names}", repr(MODULES)))
    words = ("--set", "sweep.ranks=['rank=2']", "--set", "sweep.schemes=['channel']", "--set", "data.image_size=8")
    pattern = ("--set", "layer_sets.convs.include=['my *', 'a/?', 'größe*', 'x*', '$*', '100%', '=*', '-*', 'tab*']")
    for _ in range(2):
        result = lrbench("sweep", "tiny.toml", *words, *pattern)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
    folder = workplace / "results/tiny"
    (cell,) = load_table(folder, "architectures").query("scheme == 'channel'")["layers"]
    cut = [parsed.layer for parsed in parse_cuts(cell)]
    assert cut == [name for name in MODULES if name[:2] in ("my", "a/", "gr", "xx", "$x", "10", "=c", "-x", "ta")]
    assert set(load_table(folder, "layers")["layer"]) == {*MODULES, "last one"}
    for command in (("plots", folder), ("table", folder), ("plan", "tiny.toml", *words, *pattern)):
        assert lrbench(*command).exit_code == 0
    timed = lrbench("layers", "tiny.toml", *words, "--set", "layer_table.step=4", "--set", "layer_table.points=3")
    assert timed.exit_code == 0, timed.output
    assert {name for cell in load_table(folder, "layer_latency")["layers"] for name in parse_names(cell)} <= {*MODULES}
    assert lrbench("plots", folder).exit_code == 0
    assert len(list((folder / "figures").glob("*.png"))) >= 5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("sweep.seeds", [2**53 + 1]),
            ("sweep.seeds", [10**400]),
            ("baseline.seed", 2**63),
            ("finetune.epochs", 10**9),
        ),
        *(
            ("finetune.batch_size", 10**12),
            ("finetune.lr", 1e39),
            ("latency.threads", [10**6]),
            ("latency.rounds", 2**70),
        ),
        *(
            ("latency.limit_s", 1e300),
            ("calibration.images", 2**63),
            ("data.mean", [1e300, 0.0, 0.0]),
            ("run.retries", 2**64),
        ),
        *(("finetune.temperature", 1e300), ("finetune.weight_decay", 1e300), ("latency.batch_sizes", [2**40])),
        *(("data.std", [1e300, 1.0, 1.0]), ("latency.processes", 10**9), ("sensitivity.points", 2**65)),
    ],
)
def test_a_spec_accepts_nothing_that_its_tables_refuse(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"{key}.*(less|greater) than or equal to"):
        make_spec({}, {key: value}, where="spec")


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "\x1b[31mred", "\u202eabc", "\x00"])
def test_a_layer_set_has_a_name_that_can_be_shown(name: str) -> None:
    with pytest.raises(InputError, match="layer_sets"):
        make_spec({"layer_sets": {name: {"include": ["*"]}}}, where="spec")
    make_spec({"layer_sets": {"größe 3/4 $x": {"include": ["*"]}}}, where="spec")


LINES = {
    "seed": ('"seed":0', '"seed":-1'),
    "seed too large": ('"seed":0', f'"seed":{2**54}'),
    "image size": ('"image_size":32', '"image_size":1000000'),
    "classes": ('"classes":10', '"classes":1000000000000'),
    "epochs": ('"finetune_epochs":1', '"finetune_epochs":1e9'),
    "loss": ('"loss":0.5', '"loss":6e23'),
    "negative loss": ('"loss":0.5', '"loss":-1.0'),
    "nan": ('"loss":0.5', '"loss":"NaN"'),
    "infinite": ('"truncate_s":0.1', '"truncate_s":"Infinity"'),
    "correct": ('"correct":80', '"correct":101'),
    "samples": ('"samples":100', '"samples":0'),
    "params": ('"params":1688', '"params":-5'),
    "macs": ('"macs":1688', f'"macs":{2**70}'),
    "accuracy": ('"accuracy":0.9', '"accuracy":1.5'),
    "attempt": ('"attempt":1', '"attempt":0'),
    "name": ('"model":"resnet18"', f'"model":"{"x" * 5000}"'),
}


@pytest.mark.parametrize(("old", "new"), LINES.values(), ids=LINES)
def test_a_line_of_a_log_beyond_the_limits_is_damage_with_file_and_line(
    old: str, new: str, tmp_path: Path, lrbench
) -> None:
    folder = samples.folder_of(tmp_path / "r", samples.sweep())
    content = (folder / LOG).read_text()
    assert old in content
    before = content.replace(old, new)
    (folder / LOG).write_text(before)
    with pytest.raises(InputError, match=rf"{LOG}, line 1, is no record of this version: .*") as error:
        read_records(folder)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="line 1"):
        Store(folder).__enter__()
    assert (folder / LOG).read_text() == before
    result = lrbench("time", folder)
    assert (result.exit_code, result.output.count("\n")) == (2, 1), result.output


def test_what_a_log_or_a_table_would_refuse_is_found_before_it_is_written() -> None:
    good = samples.measurement(samples.trial())
    require_readable([good, samples.session({"a": 0.5}), *samples.sweep()])
    for wrong in (
        replace(good, truncate_s=float("nan")),
        replace(good, layers=(samples.layer(weight_error=float("inf")),)),
        replace(good, epochs=(replace(good.epochs[0], loss=6e23),)),
        replace(samples.session({"a": 0.5}), first_wall_s=(-1.0, 1.0, 1.0)),
    ):
        with pytest.raises(ValueError, match=r"than or equal to|finite number") as error:
            require_readable([wrong])
        assert not isinstance(error.value, InputError)
    edge = replace(good, epochs=(replace(good.epochs[0], loss=-1e-9, learning_rate=1e30),))
    require_readable([edge])
    assert from_line(to_line(edge)) == edge


@pytest.mark.usefixtures("undrawn")
def test_a_training_that_diverges_and_stays_finite_is_a_failed_trial(workplace: Path, lrbench) -> None:
    net = (workplace / "nets.py").read_text().replace("from torch import nn", "import torch\nfrom torch import nn")
    large = """
class Large(nn.Module):
    def forward(self, x):
        return x * 1e24 if self.training else x
"""
    net = net.replace("\n\ndef", f"{large}\n\ndef", 1).replace("num_classes),", "num_classes), Large(),")
    (workplace / "nets.py").write_text(net)
    words = ("--set", "baseline.epochs=0", "--set", "latency.devices=[]", "--set", "sweep.ranks=['rank=2']")
    result = lrbench("sweep", "tiny.toml", *words)
    assert result.exit_code == 1, result.output
    trials = load_table(workplace / "results/tiny", "trials")
    assert trials["reason"].str.startswith("finetune: DivergedError: loss became ").all()
    assert set(trials["failure"]) == {"nan"}
    assert "3 skipped" in lrbench("sweep", "tiny.toml", *words).output, "the folder is as usable as before"


@pytest.mark.usefixtures("undrawn")
def test_logits_beyond_every_table_are_a_failed_trial(workplace: Path, lrbench) -> None:
    net = (workplace / "nets.py").read_text()
    large = """
class Large(nn.Module):
    def forward(self, x):
        return x if self.training else x * 1e30
"""
    net = net.replace("\n\ndef", f"{large}\n\ndef", 1).replace("num_classes),", "num_classes), Large(),")
    (workplace / "nets.py").write_text(net)
    words = ("--set", "latency.devices=[]", "--set", "sweep.ranks=['rank=2']")
    assert lrbench("sweep", "tiny.toml", *words).exit_code == 1
    trials = load_table(workplace / "results/tiny", "trials")
    assert set(trials["state"]) == {"failed"}
    assert trials["reason"].str.contains("the loss on the images is").all()


class Tied(nn.Module):
    """Convolutions that share a weight, a part of one, a transposed view, and a buffer seen twice."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.first, self.second = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.second.weight = self.first.weight
        self.head, self.other = nn.Linear(8, classes), nn.Linear(classes, 8, bias=False)
        self.other.weight = nn.Parameter(self.head.weight.t())
        self.register_buffer("scale", torch.ones(8))
        self.register_buffer("part", self.scale[:4])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.second(self.first(self.stem(x))).mean((2, 3)) * self.scale)
        return logits


EPOCHS = (Epoch(stage="finetune", epoch=1, loss=1.0, accuracy=0.5, learning_rate=0.1, seconds=1.0),)


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_tied_and_strided_weights_are_kept_and_come_back(memory_format: torch.memory_format, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = Tied().to(memory_format=memory_format)  # type: ignore[call-overload]
    keep_weights(model, tmp_path / "w.safetensors", epochs=EPOCHS)
    torch.manual_seed(2)
    other = Tied()
    assert fits(other, tmp_path / "w.safetensors")
    assert recall_weights(other, tmp_path / "w.safetensors") == EPOCHS
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_weights_that_safetensors_deduplicated_are_read(tmp_path: Path) -> None:
    from safetensors.torch import save_model

    torch.manual_seed(1)
    model, other = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    for net in (model, other):
        net[1].weight = net[0].weight
    save_model(model, str(tmp_path / "w.safetensors"), metadata={"epochs": "[]"})
    assert recall_weights(other, tmp_path / "w.safetensors") == ()
    assert torch.equal(model[0].weight, other[1].weight)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    save_model(plain, str(tmp_path / "a"))
    save_weights(plain, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes(), "usual models are kept as ever"


@pytest.mark.usefixtures("undrawn")
def test_a_model_whose_weights_cannot_be_written_is_measured_all_the_same(
    workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("view size is not compatible")

    monkeypatch.setattr("lrbench.trials.dense.keep_weights", refuse)
    result = lrbench("sweep", "tiny.toml", "--set", "latency.devices=[]", "--set", "sweep.ranks=['rank=2']")
    assert result.exit_code == 0, result.output
    assert "its weights cannot be kept: RuntimeError: view size is not compatible" in result.output
    assert set(load_table(workplace / "results/tiny", "trials")["state"]) == {"done"}


def forge(folder: Path, change: dict) -> Path:
    """An export whose plan says other things, its digest made anew."""
    folder.mkdir()
    save_weights(nn.Linear(2, 2), folder / WEIGHTS)
    cut = {"layer": "conv1", "scheme": "channel", "truncation": "plain", "rank": 8, "reason": None, "gains_bias": False}
    shape = {"key": "a", "model": "resnet18", "image_size": 32, "classes": 10, "layers": [cut]}
    fields = {
        "input": "images",
        "trial": "t",
        "label": "l",
        "architecture": shape,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "correct": 1,
        "samples": 2,
        "weights_sha256": sha256_of(folder / WEIGHTS),
        "class_names": [],
    }
    for key, value in change.items():
        target = cut if key in cut else shape if key in shape else fields
        target[key] = value
    (folder / PLAN).write_text(json.dumps({"schema": 1, "digest": _digest(fields), **fields}))
    return folder


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"classes": 10**12},
            {"classes": 0},
            {"image_size": 10**6},
            {"image_size": -1},
            {"rank": 10**12},
            {"rank": 0},
        ),
        *({"rank": -3}, {"layer": "nowhere"}, {"scheme": "evil"}, {"model": "x" * 5000}, {"std": [0.0, 1.0, 1.0]}),
        *(
            {"mean": [1e300, 0, 0]},
            {"samples": 0},
            {"correct": -1},
            {"classes": 1e30},
            {"rank": 2**80},
            {"model": "no"},
        ),
    ],
)
def test_a_forged_plan_is_an_error_before_memory_is_taken(change: dict, tmp_path: Path) -> None:
    folder = forge(tmp_path / "export", change)
    with pytest.raises(InputError) as error:
        package.load(folder)
    assert "\n" not in str(error.value)


def test_a_forged_architecture_of_a_log_is_refused_before_it_is_built() -> None:
    dense = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 2))
    for cut, words in (
        (Cut(layer="0", scheme="channel", rank=9), "rank must lie in 1..8, got 9"),
        (Cut(layer="0", scheme="spatial", rank=10**15), "rank must lie in 1..9"),
        (Cut(layer="1", scheme="channel", rank=1), "cannot be factorized|no layer"),
    ):
        shape = make_architecture("resnet18", image_size=8, classes=2, cuts=[cut])
        with pytest.raises(InputError, match=words):
            shaped(dense, shape)


def test_the_largest_number_is_one_for_all() -> None:
    from lrbench.results.columns.column import NUMBER

    assert NUMBER.most == LARGEST
    assert pd.Series([2**53]).astype(float).iloc[0] == 2**53
