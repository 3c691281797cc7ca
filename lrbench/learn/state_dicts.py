"""A state dict out of what a file of weights holds, and into a model: what was done is said, what is wrong listed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.errors import InputError, nearest, reading

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "module", "ema", "state_dict_ema")
"""Under which names files have their state dicts, in the order in which one is taken."""

PREFIXES = ("module.", "model.", "_orig_mod.", "backbone.")
"""What DataParallel, wrappers and torch.compile put before all names."""

COUNTER = "num_batches_tracked"
"""What state dicts from before torch 0.4.1 do not have; torch fills it with 0."""

EXTRA_STATE = "_extra_state"
AVERAGED = "n_averaged"
"""What `torch.optim.swa_utils.AveragedModel` has beside its weights."""

LISTED = 10
"""The most names of a kind that an error lists."""

NARROW = (torch.float16, torch.bfloat16)

ODD: Mapping[str, Callable[[Any], bool]] = {
    "no tensor": lambda value: not isinstance(value, Tensor),
    "nested": lambda value: value.is_nested,
    "sparse": lambda value: value.layout is not torch.strided,
    "quantized": lambda value: value.is_quantized,
    "complex": lambda value: value.is_complex(),
    "without values (device meta)": lambda value: value.is_meta,
}
"""What a value of a state dict may be that no layer can take: the first that it is counts."""


@dataclass(frozen=True, kw_only=True)
class State:
    """Tensors by name (extra state may be anything), and in words what was chosen and changed to get them."""

    tensors: Mapping[str, Any]
    notes: tuple[str, ...]


def choose_state(content: Any, *, key: str, what: str) -> State:
    """The state dict of a file: what lies under a key, or under the first of `WRAPPERS`, or the whole.

    Args:
        content: of the file.
        key: the name that the user chose, perhaps with dots for names within names; "" for none.
        what: the file, for messages.

    Raises: InputError when there is none, or it holds what is no dense tensor.
    """
    chosen, notes = (_under(content, key, what), ()) if key else _found(content, what)
    return _checked(chosen, notes, what)


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(entry, Tensor) for entry in value.values())


def _states_in(content: Any) -> dict[str, Any]:
    """The state dicts among the entries of a file, and what wraps others, by name."""
    if not isinstance(content, Mapping):
        return {}
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and (_is_state(value) or (name in WRAPPERS and _states_in(value)))
    }


def _under(content: Any, key: str, what: str) -> Any:
    """What lies under a key that the user chose."""
    if isinstance(content, Mapping) and key in content:
        return content[key]
    first, _, rest = key.partition(".")
    if rest and isinstance(content, Mapping) and isinstance(content.get(first), Mapping):
        return _under(content[first], rest, what)
    there = _states_in(content)
    allowed = nearest(key, there) if there else "the file has no state dict under a name, leave model.weights_key out"
    raise InputError(f"model.weights_key={key!r} is not in {what}: {allowed}")


def _found(content: Any, what: str) -> tuple[Any, tuple[str, ...]]:
    """The state dict that is taken where the user chose none, and what else there was, in words."""
    there = _states_in(content)
    if not there:
        return content, ()
    name = next((wrapper for wrapper in WRAPPERS if wrapper in there), None)
    if name is None and _is_state(content):
        return content, ()
    if name is None and len(there) > 1:
        raise InputError(f"{what} must hold a state dict: choose one by model.weights_key: {', '.join(sorted(there))}")
    name = name or next(iter(there))
    others = [f"`{other}`" for other in there if other != name]
    beside = f"; {', '.join(others)} {'is' if len(others) == 1 else 'are'} there too (model.weights_key)"
    inner, notes = (there[name], ()) if _is_state(there[name]) else _found(there[name], what)
    return inner, (f"took `{name}`{beside if others else ''}", *notes)


def _checked(state: Any, notes: tuple[str, ...], what: str) -> State:
    """A state dict of dense tensors, without what no layer needs.

    Raises: InputError that lists all that is no such tensor.
    """
    must = f"{what} must hold a state dict: tensors by name"
    if not isinstance(state, Mapping) or not state:
        raise InputError(f"{must}, got {'nothing' if isinstance(state, Mapping) else f'a {type(state).__name__}'}")
    if named := [f"{name!r} ({type(name).__name__})" for name in state if not isinstance(name, str)]:
        raise InputError(f"{must}, but of its names these are no texts: {_some(named)}")
    extra = {name for name in state if name.endswith(EXTRA_STATE)}
    averaged = AVERAGED in state and any(name.startswith("module.") for name in state)
    kept = {name: value for name, value in state.items() if not (averaged and name == AVERAGED)}
    odd = [(_odd(value), name) for name, value in kept.items() if name not in extra]
    wrong = [
        f"{word}: {_some([name for kind, name in odd if kind == word])}"
        for word in dict.fromkeys(word for word, _ in odd)
        if word
    ]
    if wrong or not kept:
        raise InputError(f"{must}, all of them dense and real; here are {'; '.join(wrong) or 'none'}")
    narrow = sorted({str(value.dtype).removeprefix("torch.") for value in kept.values() if _is_narrow(value)})
    said = (
        *notes,
        *([f"left out `{AVERAGED}` of an averaged model"] if averaged else []),
        *([f"{', '.join(narrow)} is read as the model's own type"] if narrow else []),
    )
    return State(tensors=kept, notes=said)


def _odd(value: Any) -> str:
    return next((word for word, is_odd in ODD.items() if is_odd(value)), "")


def _is_narrow(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in NARROW


def renamed(state: State, own: Mapping[str, Any]) -> State:
    """A state dict without the prefixes that all its names have, as far as that makes them more like a model's own."""
    chain, taken = [dict(state.tensors)], [""]
    while prefix := next((one for one in PREFIXES if all(name.startswith(one) for name in chain[-1])), ""):
        chain.append({name.removeprefix(prefix): value for name, value in chain[-1].items()})
        taken.append(taken[-1] + prefix)
    best = max(range(len(chain)), key=lambda i: (len(chain[i].keys() & own.keys()), i))
    said = [f"took `{taken[best]}` off all names"] if best else []
    return State(tensors=chain[best], notes=(*state.notes, *said))


def load_state_(model: nn.Module, state: State, *, what: str, name: str) -> tuple[str, ...]:
    """Load a state dict into a model (in place); counters of batch norm that it lacks become 0, as torch does.

    Args:
        model: whose head has as many outputs as the state dict's.
        state: with the model's names.
        what: the file, for messages.
        name: of the model.

    Returns: what was filled in or left out, in words.

    Raises: InputError that lists all that does not fit.
    """
    own = model.state_dict()
    absent = [key for key in own if key not in state.tensors]
    filled = [key for key in absent if key.rpartition(".")[2] == COUNTER]
    extra = [key for key in state.tensors if key.endswith(EXTRA_STATE) and key not in own]
    given = {key: value for key, value in state.tensors.items() if key not in extra}
    given |= {key: own[key] for key in absent if key in filled or key.endswith(EXTRA_STATE)}
    if wrong := _misfits(own, given):
        raise InputError(f"{what} does not fit {name}: {wrong}")
    with reading(what, f"does not fit {name}"):
        model.load_state_dict(given)
    return (
        *([f"{len(filled)} {COUNTER} set to 0, as torch does"] if filled else []),
        *([f"left out extra state: {_some(extra)}"] if extra else []),
    )


def _misfits(own: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """All that keeps a state dict from fitting, in words; "" when it fits."""
    missing, unknown = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    shapes = [
        f"{key} is {_size(given[key])}, not {_size(value)}"
        for key, value in own.items()
        if isinstance(value, Tensor) and isinstance(given.get(key), Tensor) and given[key].shape != value.shape
    ]
    if not (missing or unknown or shapes):
        return ""
    other = f"; other shapes: {_some(shapes)}" if shapes else ""
    return f"missing tensors: {_some(missing)}; unexpected tensors: {_some(unknown)}{other}"


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}" if names else "none"
