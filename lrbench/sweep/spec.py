"""A sweep spec: a TOML file and command-line overrides, validated into frozen records."""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from lrbench.choices import (
    Baseline,
    CalibrationChoice,
    Choice,
    DataChoice,
    Finetune,
    LatencyChoice,
    LayerSetChoice,
    LayerTableChoice,
    ModelChoice,
    RunChoice,
    SweepChoice,
)
from lrbench.errors import InputError, nearest
from lrbench.lowrank.ranks import format_rule, parse_rule
from lrbench.lowrank.schemes import SCHEMES
from lrbench.reading import read_toml, validate


class Grid(SweepChoice):
    """`[sweep]` with the names of schemes and rank rules checked, each rule in its canonical spelling."""

    @field_validator("schemes")
    @classmethod
    def _known_schemes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in SCHEMES:
                raise ValueError(f"unknown scheme {name!r}: {nearest(name, SCHEMES)}")
        return tuple(dict.fromkeys(names))

    @field_validator("ranks")
    @classmethod
    def _readable_rules(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(format_rule(parse_rule(text)) for text in texts))


class SweepSpec(Choice):
    """A whole spec: every section with its defaults."""

    model: ModelChoice = ModelChoice()
    data: DataChoice = DataChoice()
    baseline: Baseline = Baseline()
    finetune: Finetune = Finetune()
    calibration: CalibrationChoice = CalibrationChoice()
    sweep: Grid = Grid()
    layer_sets: dict[str, LayerSetChoice] = Field({"all": LayerSetChoice()}, min_length=1)
    latency: LatencyChoice = LatencyChoice()
    layer_table: LayerTableChoice = LayerTableChoice()
    run: RunChoice = RunChoice()

    @model_validator(mode="after")
    def _known_layer_sets(self) -> "SweepSpec":
        for name in self.sweep.layer_sets:
            if name not in self.layer_sets:
                raise ValueError(f"sweep.layer_sets: unknown layer set {name!r}: {nearest(name, self.layer_sets)}")
        if set(self.sweep.truncations) - {"plain"}:
            if not any(SCHEMES[name].reads_outputs for name in self.sweep.schemes):
                able = ", ".join(name for name, scheme in SCHEMES.items() if scheme.reads_outputs)
                raise ValueError(f"sweep.truncations: output and sequential need one of the schemes {able}")
            if self.calibration.images == 0:
                raise ValueError("calibration.images: output and sequential truncation need at least 1, got 0")
        return self

    def methods(self) -> tuple[tuple[str, str], ...]:
        """Each scheme with each truncation that it has; only schemes that read outputs have more than `plain`."""
        return tuple(
            (scheme, truncation)
            for scheme in self.sweep.schemes
            for truncation in dict.fromkeys(self.sweep.truncations)
            if truncation == "plain" or SCHEMES[scheme].reads_outputs
        )

    def left_out(self) -> tuple[str, ...]:
        """What the grid cannot hold, in words: schemes that do not read outputs have plain truncation only."""
        truncations = [name for name in dict.fromkeys(self.sweep.truncations) if name != "plain"]
        return tuple(
            f"scheme {scheme} has no {truncation} truncation: left out"
            for scheme in self.sweep.schemes
            for truncation in truncations
            if not SCHEMES[scheme].reads_outputs
        )

    def chosen_layer_sets(self) -> tuple[str, ...]:
        """The layer sets that the grid ranges over."""
        return tuple(dict.fromkeys(self.sweep.layer_sets)) or tuple(self.layer_sets)


def load_spec(path: Path, overrides: Sequence[str] = ()) -> SweepSpec:
    """Read a spec.

    Args:
        path: a TOML file.
        overrides: `section.key=value` texts, the value as in TOML (a bare word is a string).

    Raises: InputError naming file, key and what is allowed.
    """
    return make_spec(read_toml(path, what="spec"), overrides, where=f"spec {path}")


def make_spec(document: dict[str, Any], overrides: Sequence[str] = (), *, where: str) -> SweepSpec:
    """Validate a document, which overrides change (in place); `where` it came from stands in errors.

    Raises: InputError naming key and what is allowed.
    """
    for text in overrides:
        _override(document, text)
    return validate(SweepSpec, document, where=where + (" with --set" if overrides else ""))


def _override(document: dict[str, Any], text: str) -> None:
    """Set one key of the document (in place)."""
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"--set takes section.key=value, got {text!r}")
    section: Any = document
    for key in keys[:-1]:
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            raise InputError(f"--set {text}: {key} is no section")
    section[keys[-1]] = _parse_value(value.strip())


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def flat_keys(spec: SweepSpec) -> tuple[tuple[str, str], ...]:
    """Every key of a spec that has a say in results, with its value as JSON."""

    def walk(values: Mapping[str, Any], place: str) -> Iterable[tuple[str, str]]:
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield from walk(value, f"{place}{name}.")
            else:
                yield f"{place}{name}", json.dumps(value)

    return tuple(walk(spec.model_dump(mode="json", exclude={"run"}), ""))


def differences(old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What changed from one spec to another, a line a key: `finetune.epochs: 2 -> 1`."""
    before, after = dict(old), dict(new)
    return tuple(
        f"{key}: {before.get(key, 'unset')} -> {after.get(key, 'unset')}"
        for key in (*before, *(key for key in after if key not in before))
        if before.get(key) != after.get(key)
    )
