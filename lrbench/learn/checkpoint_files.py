"""Files of weights as people have them: found, and read without running what is in them.

`torch.load` runs with `weights_only=True`. Objects that trainers put beside the weights (an `argparse.Namespace`, a
numpy number, a config) become empty stand-ins; their own code is not imported. What else a file holds is named.
"""

import hashlib
import re
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lrbench.config.sections import ModelChoice
from lrbench.errors import InputError, reading
from lrbench.learn.extras import require_extra

FILES = (".safetensors", ".pt", ".pth", ".ckpt", ".pth.tar", ".th", ".bin")
HUB = "hf://"
"""Before a file of the Hugging Face Hub: `hf://owner/repository/file`, perhaps `@revision` behind it."""

WORDS = f"a {'/'.join(FILES)} file or {HUB}owner/repository/file"

SAVE = "save its state dict where it was made: torch.save(model.state_dict(), 'weights.pt')"
LISTED = 5
"""The most objects that an error lists."""

BESIDE = frozenset(
    (
        *("addict", "argparse", "collections", "copyreg", "datetime", "easydict", "functools", "lightning"),
        *("ml_collections", "ml_dtypes", "mmcv", "mmengine", "numpy", "omegaconf", "pathlib", "pytorch_lightning"),
        *("types", "typing", "yacs"),
    )
)
"""Modules whose objects are often beside the weights; each becomes a stand-in."""
TYPES = frozenset(f"builtins.{name}" for name in ("bool", "dict", "float", "frozenset", "int", "list", "object", "str"))
MAPPINGS = ("AttributeDict", "AttrDict", "CfgNode", "ConfigDict", "Dict", "EasyDict", "defaultdict")
"""Classes of `BESIDE` that are dictionaries."""

_UNSAFE = re.compile(r"(?:Unsupported global: GLOBAL|Trying to load unsupported GLOBAL) (\S+)")
_STAND_INS = 100
"""The most kinds of objects that are stood in for."""


class StandIn:
    """In place of an object that is not needed: takes whatever it would have been made of, and does nothing."""

    def __init__(self, *_: object) -> None:
        """Forget the arguments."""

    def __setstate__(self, _: object) -> None:
        """Forget the state."""


class MappingStandIn:
    """In place of a class of dictionaries: makes an empty one."""

    def __new__(cls, *_: object) -> Any:
        """A dictionary."""
        return {}


def names_file(weights: str) -> bool:
    """Whether `model.weights` names a file, and not weights of a library."""
    return weights.startswith(HUB) or weights.lower().endswith(FILES)


def weights_digest(choice: ModelChoice) -> str | None:
    """The SHA-256 of the file of given weights, hexadecimal; None when they are not in a file that is there.

    Raises: InputError when it is on a hub, and cannot be had from there.
    """
    if not names_file(choice.weights):
        return None
    path = local_file(choice.weights)
    if not path.is_file():
        return None
    with reading(f"model.weights={choice.weights!r}"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def local_file(weights: str) -> Path:
    """Where a file of weights lies here; one of a hub is downloaded once, into the cache of `huggingface_hub`.

    Raises: InputError when it cannot be had from the hub.
    """
    if not weights.startswith(HUB):
        return Path(weights)
    place, _, revision = weights.removeprefix(HUB).partition("@")
    owner, _, rest = place.partition("/")
    name, _, file = rest.partition("/")
    if not (owner and name and file.lower().endswith(FILES)):
        raise InputError(f"model.weights={weights!r} must be {HUB}owner/repository/file, the file a {'/'.join(FILES)}")
    hub = require_extra("huggingface_hub", extra="hub", what=f"model.weights={weights!r}")
    with reading(f"model.weights={weights!r}", "could not be downloaded"):
        return Path(hub.hf_hub_download(f"{owner}/{name}", file, revision=revision or None))


def read_file(weights: str) -> Any:
    """What a file of weights holds: tensors and plain values, in dictionaries and lists. No code of it is run.

    Raises: InputError when there is no such file, or it holds something else; it says what to do.
    """
    path, what = local_file(weights), f"model.weights={weights!r}"
    if not path.is_file():
        raise InputError(f"{what} does not exist")
    if kind := _other_kind(path):
        raise InputError(f"{what} {kind}")
    with reading(what, "cannot be read as plain tensors"):
        if path.name.lower().endswith(".safetensors"):
            return load_file(path)
        return _read_pickle(path, what)


def _other_kind(path: Path) -> str:
    """What a file is when it is none of weights, and what to do; "" when it may be one."""
    with reading(path), path.open("rb") as file:
        head = file.read(256)
    if not head:
        return "is empty"
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the weights: git lfs pull fetches them"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "is a web page, not the weights: download the file itself"
    if head.startswith(b"PK\x03\x04"):
        if not zipfile.is_zipfile(path):
            return "is cut short, its archive has no end: copy or download it again"
        with reading(path, "is damaged"), zipfile.ZipFile(path) as archive:
            parts = {name.rpartition("/")[2] for name in archive.namelist()}
        if "constants.pkl" in parts:
            return f"is a TorchScript program, not a state dict: {SAVE}, or of torch.jit.load(...)"
        if "archive_format" in parts:
            return f"is a torch.export program, not a state dict: {SAVE}"
    return ""


def _read_pickle(path: Path, what: str) -> Any:
    """What `torch.save` wrote, with stand-ins for what is not needed."""
    stand_ins: dict[str, type] = {}
    for _ in range(_STAND_INS):
        try:
            with (
                warnings.catch_warnings(action="ignore"),
                torch.serialization.safe_globals([(kind, name) for name, kind in stand_ins.items()]),
            ):
                return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            found = _unsafe_in(path) or _UNSAFE.findall(str(error))
            unsafe = {name if "." in name else f"builtins.{name}" for name in found}
            new = {name: stand_in for name in unsafe if (stand_in := _stand_in(name))}
            if foreign := sorted(unsafe - new.keys()):
                raise InputError(f"{what} {_pickled(foreign)}") from error
            if not new.keys() - stand_ins.keys():
                raise
            stand_ins |= new
    raise InputError(f"{what} holds more than {_STAND_INS} kinds of objects beside tensors: {SAVE}")


def _unsafe_in(path: Path) -> set[str]:
    """The classes and functions in a file that `weights_only` does not know; empty where they cannot be listed."""
    try:
        listed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # an older format, or another protocol: the error of loading names one at a time
        return set()
    return set(listed)


def _stand_in(name: str) -> type | None:
    """What stands in for a class or function; None when it must not be stood in for."""
    module, _, last = name.rpartition(".")
    if name in TYPES or module.partition(".")[0] in BESIDE:
        return MappingStandIn if last in MAPPINGS else StandIn
    return None


def _pickled(names: list[str]) -> str:
    """That a file holds objects, in words."""
    shown = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    model = any(name.startswith(("torch.nn.modules.", "torchvision.models.", "timm.models.")) for name in names)
    kind = "is a whole pickled model" if model else "holds objects beside its tensors"
    return f"cannot be read as plain tensors: it {kind} ({shown}), which could run any code. Instead {SAVE}"
