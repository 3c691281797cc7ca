"""Sweep specs: defaults, overrides, and one clear message for each mistake."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.config.choice import Choice
from lrbench.config.manual import describe_spec
from lrbench.config.sections import SECTIONS
from lrbench.config.writing import to_toml
from lrbench.errors import InputError
from lrbench.lowrank.schemes import SCHEMES
from lrbench.plan.spec import SweepSpec, load_spec, make_spec
from lrbench.plan.trials import plan_trials

SPECS = Path(__file__).parents[2] / "bench" / "sweeps"


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_spec_of_the_project_is_valid(path: Path) -> None:
    assert load_spec(path).sweep.ranks


def test_a_spec_that_ships_is_known_by_its_name_unless_a_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_spec(Path("digits")) == load_spec(SPECS / "digits.toml")
    for other in (Path("digit"), tmp_path / "digits"):
        with pytest.raises(InputError, match="cannot be read"):
            load_spec(other)
    Path("digits").write_text("sweep.seeds = [7]")
    assert load_spec(Path("digits")).sweep.seeds == (7,)


def keys(choice: Choice) -> Iterator[tuple[str, Any]]:
    """Every key of a section that is set, as TOML would read it."""
    yield from ((key, as_read(value)) for key, value in choice if value is not None)


def as_read(value: Any) -> Any:
    if isinstance(value, tuple):
        return [as_read(item) for item in value]
    return dict(keys(value)) if isinstance(value, Choice) else value


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_resolved_spec_has_every_key_and_plans_the_same_trials(path: Path, tmp_path: Path) -> None:
    spec = load_spec(path, ["finetune.distill=0.5", "baseline.seed=3", "layer_sets.one.include=['layer1.*']"])
    resolved = tmp_path / "spec.toml"
    resolved.write_text(to_toml(spec), encoding="utf-8")
    again = load_spec(resolved)
    assert again == spec
    assert plan_trials(again, identity="images") == plan_trials(spec, identity="images")
    document = tomllib.loads(resolved.read_text(encoding="utf-8"))
    assert set(document) == set(SweepSpec.model_fields)
    for name, choice in spec:
        if name != "layer_sets":
            assert document[name] == dict(keys(choice)), name
    assert document["layer_sets"] == {name: dict(keys(choice)) for name, choice in spec.layer_sets.items()}


def test_defaults_are_written_out_too() -> None:
    document = tomllib.loads(to_toml(SweepSpec()))
    assert (document["finetune"]["distill"], document["run"]["retries"], "seed" in document["baseline"]) == (
        0.0,
        2,
        False,
    )


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SHOWN = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1)


@given(
    root=TEXTS,
    names=st.lists(SHOWN, min_size=1, unique=True),
    patterns=st.lists(TEXTS, min_size=1),
    lr=st.floats(0, 1e38),
)
def test_any_text_and_number_of_a_spec_reads_back(root: str, names: list[str], patterns: list[str], lr: float) -> None:
    document = {
        "data": {"root": root},
        "finetune": {"lr": lr or 1.0},
        "layer_sets": {name: {"include": patterns} for name in names},
        "sweep": {"layer_sets": names, "seeds": [2**53, 0]},
    }
    spec = make_spec(document, where="here")
    assert make_spec(tomllib.loads(to_toml(spec)), where="there") == spec


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    assert load_spec(tmp_path / "empty.toml") == SweepSpec()


def test_overrides_win_and_may_name_what_the_file_does_not(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[finetune]\nepochs = 7\n")
    spec = load_spec(
        tmp_path / "s.toml",
        ["finetune.epochs=1", "data.name=folder", "sweep.ranks=['rank = 4']", "layer_sets.one.include=['a.*']"],
    )
    assert (spec.finetune.epochs, spec.data.name, spec.sweep.ranks) == (1, "folder", ("rank=4",))
    assert spec.layer_sets["one"].include == ("a.*",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[finetune]\nepoch = 1", "unknown key finetune.epoch: did you mean 'epochs'? allowed: amp, batch_norm"),
        ("[fine]\nepochs = 1", "unknown key fine: did you mean 'finetune'? allowed: baseline, calibration"),
        ("[layer_sets.a]\nincludes = ['*']", "unknown key layer_sets.a.includes: did you mean 'include'?"),
        ("[finetune]\nepochs = '3'", 'finetune.epochs: Input should be a valid integer, got "3"'),
        ("[finetune]\nepochs = true", "finetune.epochs: Input should be a valid integer, got true"),
        ("[finetune]\nepochs = -1", "finetune.epochs: Input should be greater than or equal to 0, got -1"),
        ("[finetune]\nlr = inf", "finetune.lr"),
        (
            "[finetune]\noptimizer = 'adam'",
            "finetune.optimizer: unknown optimizer 'adam': did you mean 'adamw'?",
        ),
        (
            "[data]\nname = 'digit'",
            "data.name: unknown data set 'digit': did you mean 'digits'?",
        ),
        ("[data]\nname = 'mnist'", "allowed: cifar10, digits, folder, imagenette, or package.module:callable"),
        (
            "[latency]\ndevices = ['gpu']",
            "latency.devices.0: unknown device 'gpu': did you mean 'cpu'?",
        ),
        ("[finetune]\noptimizer = 3", "finetune.optimizer: Input should be a valid string, got 3"),
        ("[finetune]\nlr = 2020-01-01", "finetune.lr: Input should be a valid number"),
        ("finetune = 3", "finetune: Input should be an object"),
        ("[sweep]\nranks = []", "sweep.ranks: Tuple should have at least 1 item after validation, not 0"),
        ("[sweep]\nranks = ['rank=0']", "sweep.ranks: rank must be at least 1, got 0"),
        ("[sweep]\nranks = ['fraction=1.5']", "sweep.ranks: fraction must lie in (0, 1], got 1.5"),
        ("[sweep]\nschemes = ['chanel']", "sweep.schemes.0: unknown scheme 'chanel': did you mean 'channel'?"),
        ("[sweep]\nlayer_sets = ['al']", "sweep.layer_sets: unknown layer set 'al': did you mean 'all'?"),
        ("[data]\nsearch_share = 0.7", "data.search_share: Input should be less than or equal to 0.5, got 0.7"),
        ("[data]\nmean = [0.5]", "data.mean"),
        ("[latency]\nbatch_sizes = [0]", "latency.batch_sizes.0: Input should be greater than or equal to 1, got 0"),
        ("[model\n", "is not valid TOML"),
    ],
)
def test_a_mistake_names_file_key_and_what_is_allowed(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_spec(path)
    assert str(caught.value).startswith(f"spec {path}")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["finetune.epochs", "=3", "finetune..epochs=1", "data.root.x=1"])
def test_a_wrong_override_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[data]\nroot = 'here'\n")
    with pytest.raises(InputError, match="--set"):
        load_spec(tmp_path / "s.toml", [text])


def test_one_mistake_gives_one_complaint(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[sweep]\ntruncations = ['outpt']\n")
    with pytest.raises(InputError) as caught:
        load_spec(tmp_path / "s.toml")
    assert str(caught.value).endswith(
        "sweep.truncations.0: unknown truncation 'outpt': did you mean 'output'? allowed: output, plain, sequential"
    )


def test_a_missing_spec_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.toml cannot be read: No such file"):
        load_spec(tmp_path / "absent.toml")


def test_every_key_is_described_with_its_default() -> None:
    text = describe_spec()
    assert set(SECTIONS) == {name.replace("layer_sets", "layer_sets.NAME") for name in SweepSpec.model_fields}
    for section in SECTIONS.values():
        for key, field in section.model_fields.items():
            assert field.description, key
            assert f"`{key} = " in text
    assert all(f"`{name}`" in text for name in SCHEMES)
    assert "`crop-flip`: both" in text
