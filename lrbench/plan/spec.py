"""A sweep spec: a TOML file and command-line overrides, validated into frozen records."""

import json
import tomllib
from collections.abc import Container, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from lrbench.config.axes import FORMER_KEYS
from lrbench.config.choice import Choice
from lrbench.config.grid import LayerSetChoice
from lrbench.config.names import MIXED
from lrbench.config.ranges import ShownName
from lrbench.config.reading import read_toml, validate
from lrbench.config.recipes import Baseline, Finetune
from lrbench.config.sections import (
    CalibrationChoice,
    DataChoice,
    LatencyChoice,
    LayerTableChoice,
    ModelChoice,
    RunChoice,
    SensitivityChoice,
)
from lrbench.errors import InputError, nearest, reading
from lrbench.lowrank.allocations import parse_budget
from lrbench.lowrank.schemes import SCHEMES
from lrbench.plan.grid import Grid, Point
from lrbench.results.records import SpecRecord


class SweepSpec(Choice):
    """A whole spec: every section with its defaults."""

    model: ModelChoice = ModelChoice()
    data: DataChoice = DataChoice()
    baseline: Baseline = Baseline()
    finetune: Finetune = Finetune()
    calibration: CalibrationChoice = CalibrationChoice()
    sweep: Grid = Grid()
    layer_sets: dict[ShownName, LayerSetChoice] = Field({"all": LayerSetChoice()}, min_length=1)
    latency: LatencyChoice = LatencyChoice()
    layer_table: LayerTableChoice = LayerTableChoice()
    sensitivity: SensitivityChoice = SensitivityChoice()
    run: RunChoice = RunChoice()

    @model_validator(mode="after")
    def _known_layer_sets(self) -> "SweepSpec":
        tables = self.sweep.tables()
        for name in (name for table in tables for name in table.layer_sets):
            if name not in self.layer_sets:
                raise ValueError(f"sweep.layer_sets: unknown layer set {name!r}: {nearest(name, self.layer_sets)}")
        if {truncation for table in tables for truncation in table.truncations} - {"plain"}:
            if not any(SCHEMES[name].is_data_aware for name in self.sweep.schemes_used()):
                able = ", ".join(name for name, scheme in SCHEMES.items() if scheme.is_data_aware)
                raise ValueError(f"sweep.truncations: output and sequential need one of the schemes {able}")
            if self.calibration.images == 0:
                raise ValueError("calibration.images: output and sequential truncation need at least 1, got 0")
        return self

    @model_validator(mode="after")
    def _images_that_do(self) -> "SweepSpec":
        if self.calibration.images == 1:
            raise ValueError("calibration.images: must be 0 or at least 2 (a batch never holds one image), got 1")
        if 0 < self.data.resize < self.data.image_size:
            least = f"0 or at least image_size, {self.data.image_size}"
            raise ValueError(f"data.resize: must be {least}, got {self.data.resize}")
        return self

    @model_validator(mode="after")
    def _something_to_calibrate_on(self) -> "SweepSpec":
        if self.finetune.batch_norm == "re-estimated" and self.calibration.images == 0:
            raise ValueError("calibration.images: re-estimated batch norm needs at least 1, got 0")
        if self.calibration.recalibrate and self.calibration.images == 0:
            raise ValueError("calibration.images: calibration.recalibrate needs at least 1, got 0")
        if self.calibration.recalibrate == "best" and not self.data.has_search:
            raise ValueError('data.search_share: calibration.recalibrate = "best" needs a search split, got 0')
        return self

    @model_validator(mode="after")
    def _spendable_budgets(self) -> "SweepSpec":
        for table in self.sweep.tables():
            if MIXED in table.schemes and not any(map(parse_budget, table.ranks)):
                raise ValueError(
                    f"sweep.schemes: {MIXED} needs a budget rule among sweep.ranks, such as knapsack macs=0.5"
                )
        rules = [rule for table in self.sweep.tables() for rule in map(parse_budget, table.ranks) if rule]
        if self.sensitivity.accuracy_points == 0 and any(rule.allocation == "greedy" for rule in rules):
            raise ValueError("sensitivity.accuracy_points: rule greedy needs at least 2, got 0")
        if any(rule.cost == "latency" for rule in rules) and not self.latency.devices:
            raise ValueError("latency.devices: a latency budget needs at least one device, got none")
        return self

    def points(self) -> tuple[Point, ...]:
        """Scheme, truncation, layer set and rank rule of each point of the grid, the dense control left out."""
        return tuple(dict.fromkeys(self.sweep.points(tuple(self.layer_sets))))

    def recalibrate(self) -> bool | Literal["best"]:
        """The value of `calibration.recalibrate`: unset, `best` for given weights that can be judged, else true."""
        if self.calibration.recalibrate is not None:
            return self.calibration.recalibrate
        return "best" if self.model.has_weights and self.data.has_search else True

    def grid_methods(self) -> tuple[tuple[str, str], ...]:
        """Each scheme of the grid with each truncation that it supports."""
        return tuple(dict.fromkeys(point[:2] for point in self.points()))

    def methods(self, scheme: str, truncation: str) -> tuple[tuple[str, str], ...]:
        """The methods that a layer may have in a trial: see `Grid.methods`."""
        return self.sweep.methods(scheme, truncation)

    def left_out(self) -> tuple[str, ...]:
        """The combinations that the grid leaves out, in words."""
        return tuple(dict.fromkeys(self.sweep.left_out()))

    def chosen_layer_sets(self) -> tuple[str, ...]:
        """The layer sets of the grid."""
        return tuple(dict.fromkeys(point[2] for point in self.points()))


Overrides = Sequence[str] | Mapping[str, Any]
"""`section.key=value` texts, the value as in TOML (a bare word is a string), or values by `section.key`."""


SHIPPED = Path(__file__).parents[1] / "specs"
"""Specs that ship with lrbench, known by their names."""


def load_spec(path: Path, overrides: Overrides = ()) -> SweepSpec:
    """Read a spec.

    Args:
        path: a TOML file; or `digits`, the name of one that ships, where there is no such file.
        overrides: keys with the values that replace those of the file.

    Raises: InputError with the file, the key and what is allowed.
    """
    shipped = SHIPPED / f"{path.name}.toml"
    is_name = path == Path(path.name) and shipped.is_file() and not path.exists()
    return make_spec(read_toml(shipped if is_name else path, what="spec"), overrides, where=f"spec {path}")


def make_spec(document: Mapping[str, Any], overrides: Overrides = (), *, where: str) -> SweepSpec:
    """Validate a document with overrides; errors name `where` it came from.

    Raises: InputError with the key and what is allowed.
    """
    with reading(where, "cannot be used"):
        changed = deepcopy(dict(document))
        _rename_former_keys(changed)
    given = "overrides" if isinstance(overrides, Mapping) else "--set"
    pairs = overrides.items() if isinstance(overrides, Mapping) else map(_parse_override, overrides)
    for name, value in pairs:
        try:
            _set(changed, FORMER_KEYS.get(name, name), value)
        except TypeError as error:
            raise InputError(f"{given} {name}={value}: {error}") from error
    return validate(SweepSpec, changed, where=f"{where} with {given}" if overrides else where)


def kept_sections(record: SpecRecord, sections: Container[str]) -> dict[str, Any]:
    """Some sections of a spec that a log keeps, as a document that `make_spec` reads."""
    document: dict[str, Any] = {}
    for key, value in record.keys:
        section, _, name = key.partition(".")
        if section in sections:
            document.setdefault(section, {})[name] = json.loads(value)
    return document


def _rename_former_keys(document: dict[str, Any]) -> None:
    """Give keys that had another name in earlier versions the one that they have now (in place)."""
    for former, now in FORMER_KEYS.items():
        section, old = former.split(".")
        keys, new = document.get(section), now.split(".")[1]
        if isinstance(keys, dict) and old in keys and new not in keys:
            keys[new] = keys.pop(old)


def _parse_override(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not all(name.strip().split(".")):
        raise InputError(f"--set must be section.key=value, got {text!r}")
    return name.strip(), _parse_value(value.strip())


def _set(document: dict[str, Any], name: str, value: Any) -> None:
    """Set one key of a document (in place). Raises: TypeError when it is below something that is not a section."""
    *sections, last = name.split(".")
    section: Any = document
    for key in sections:
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            raise TypeError(f"{key} is not a section")
    section[last] = value


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def flat_keys(spec: SweepSpec) -> tuple[tuple[str, str], ...]:
    """Every key of a spec that may affect results, with its value as JSON."""

    def walk(values: Mapping[str, Any], place: str) -> Iterable[tuple[str, str]]:
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield from walk(value, f"{place}{name}.")
            else:
                yield f"{place}{name}", json.dumps(value)

    return tuple(walk(spec.model_dump(mode="json", exclude={"run"}), ""))


def differences(old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The differences between two specs, a line per key: `finetune.epochs: 2 -> 1`."""
    before, after = dict(old), dict(new)
    return tuple(
        f"{key}: {before.get(key, 'unset')} -> {after.get(key, 'unset')}"
        for key in (*before, *(key for key in after if key not in before))
        if before.get(key) != after.get(key)
    )
