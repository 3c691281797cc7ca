"""What an export is: `plan.json` beside the weights. Needs no torch."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lrbench.config.ranges import Above0, Count, Name, Whole
from lrbench.config.sections import Triple
from lrbench.errors import InputError, reading
from lrbench.results.records import first_mistake
from lrbench.results.sessions import Architecture
from lrbench.whole import write_whole

SCHEMA = 1
PLAN = "plan.json"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which model the weights belong to, and how accurate it was.

    Attributes:
        input: what the model takes, in words.
        trial: its key.
        label: its name for people.
        architecture: the model's builder, image size, classes, and each factorized layer with scheme and rank.
        mean: of each channel.
        std: of each channel.
        correct: right answers of the trial on its test split.
        samples: images of that split.
        weights_sha256: of the file with the weights.
        class_names: in the order of the logits; empty when the data set has none, or was not available.
    """

    input: str
    trial: Name
    label: Name
    architecture: Architecture
    mean: Triple
    std: tuple[Above0, Above0, Above0]
    correct: Whole
    samples: Count
    weights_sha256: Name
    class_names: tuple[str, ...] = ()


_adapter = TypeAdapter(Plan)


def write_plan(plan: Plan, folder: Path) -> None:
    """Write a plan with the digest of its content."""
    fields = _adapter.dump_python(plan, mode="json")
    document = {"schema": SCHEMA, "digest": _digest(fields), **fields}
    write_whole(folder / PLAN, f"{json.dumps(document, indent=2)}\n".encode())


def read_plan(folder: Path) -> Plan:
    """The plan of an export; checks that it and the weights are as they were written.

    Raises: InputError when there is none, or one of another schema, or when either file was changed.
    """
    path, weights = folder / PLAN, folder / WEIGHTS
    with reading(path, "is not a valid plan", hint=f"{folder} is not an export, or was damaged"):
        document: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    with reading(weights, hint=f"{folder} is not an export, or was damaged"):
        weights_sha256 = sha256_of(weights)
    version, digest = document.pop("schema", None), document.pop("digest", None)
    if version != SCHEMA:
        raise InputError(f"{path}: schema must be {SCHEMA}, got {version}")
    with reading(path, "is not a valid plan"):
        if digest != _digest(document):
            raise InputError(f"{path} was changed after the export: its digest does not match its content")
        try:
            plan = _adapter.validate_python(document)
        except ValidationError as error:
            raise InputError(f"{path} is not a valid plan: {first_mistake(error)}") from error
    if weights_sha256 != plan.weights_sha256:
        raise InputError(f"{weights} was changed after the export: its digest does not match {PLAN}")
    return plan


def sha256_of(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
