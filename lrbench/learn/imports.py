"""The user's own code, named as `package.module:callable`: imported and called under guard."""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import torch

from lrbench.errors import InputError
from lrbench.guard import guarded
from lrbench.processes import describe_exit, how_it_ends

PATIENCE_S = 60.0
"""Seconds in which a copy of this process may try a user's code; past them the code is trusted."""

_tried: list[tuple[object, tuple[object, ...]]] = []
"""Callables that passed, with what they depend on."""


def import_callable(name: str, *, key: str) -> Callable[..., Any]:
    """Import `package.module:callable`, the current directory included.

    Args:
        name: what to import.
        key: the spec key it came from, for the message.

    Raises: InputError when it cannot be imported or called.
    """
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with guarded(f"{key}={name!r} cannot be imported as package.module:callable:"):
        value: Any = getattr(importlib.import_module(module), attribute)
    if not callable(value):
        raise InputError(f"{key}={name!r} must be callable, got {type(value).__name__}")
    result: Callable[..., Any] = value
    return result


def call_fitting(function: Callable[..., Any], argument: Any, *, word: str, name: str, key: str) -> Any:
    """Call the user's callable, named `name` by the spec key `key`, as its signature allows.

    Its parameter `word` gets the argument, else its first parameter if that must be given; else it gets nothing.

    Raises: InputError when it raises anything, or needs more than that.
    """
    with guarded(f"{key}={name!r} raised"):
        positional, named = _arguments(function, argument, word)
    try:
        if (signature := _signature(function)) is not None:
            signature.bind(*positional, **named)
    except TypeError as error:
        raise InputError(
            f"{key}={name!r} must be callable with {word}, with one argument or with none, but it is called as "
            f"{name.rpartition(':')[2]}{signature}: {error}"
        ) from error
    with guarded(f"{key}={name!r} raised"):
        return function(*positional, **named)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # of a callable in C
        return None


def _arguments(function: Callable[..., Any], argument: Any, word: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    signature = _signature(function)
    parameters = list(signature.parameters.values()) if signature else []
    wanted = next((parameter for parameter in parameters if parameter.name == word), None)
    if wanted is not None and wanted.kind in (wanted.POSITIONAL_OR_KEYWORD, wanted.KEYWORD_ONLY):
        return (), {word: argument}
    first = parameters[0] if parameters else None
    if first is None or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        return (), {}
    return ((argument,), {}) if first.default is first.empty or first is wanted else ((), {})


def try_first(work: Callable[[], object], name: str, *facts: object, key: str, limit_s: float | None = None) -> None:
    """Let a copy of this process run a user's code first: a crash in C ends the copy, and not the command.

    Args:
        work: what runs the code.
        name: of the user's callable.
        facts: what the code depends on; what passed with them, and is imported here by now, is not tried again.
        key: the spec key that names it.
        limit_s: seconds in which it must be done; None: after `PATIENCE_S` it is trusted.

    Raises: InputError when the copy is ended by a signal or by the code, or is not done in time.
    """
    module, _, attribute = name.partition(":")
    known = (getattr(sys.modules.get(module), attribute, None), facts)
    if parent_process() is not None or known in _tried:  # a child may crash
        return

    def alone() -> None:
        torch.set_num_threads(1)  # a copy does not have the other threads
        work()

    try:
        code = how_it_ends(alone, limit_s=limit_s or PATIENCE_S)
    except TimeoutError as error:
        if limit_s is not None:
            raise InputError(f"{key}={name!r} cannot be used: {error}") from error
        code = 0
    if code:
        raise InputError(f"{key}={name!r} cannot be used: {describe_exit(code)} when it was tried")
    if known[0] is not None:
        _tried.append(known)


def source_digest(name: str, *, key: str) -> str:
    """A digest of the file that defines the user's callable, so that editing it makes new trials.

    The modules that it imports do not count.
    """
    import_callable(name, key=key)
    path = getattr(sys.modules[name.partition(":")[0]], "__file__", None)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16] if path else "builtin"
