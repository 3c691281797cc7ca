"""The user's own code, named as `package.module:callable`."""

import hashlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lrbench.errors import InputError


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
    try:
        value: Any = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the user's module may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{key}={name!r} cannot be imported as package.module:callable: {reason}") from error
    if not callable(value):
        raise InputError(f"{key}={name!r} must be callable, got {type(value).__name__}")
    result: Callable[..., Any] = value
    return result


def call(name: str, *args: Any, key: str, **named: Any) -> Any:
    """Import the user's callable and call it.

    Raises: InputError when it cannot be imported, or raises any exception.
    """
    return call_guarded(import_callable(name, key=key), *args, name=name, key=key, **named)


def call_guarded(function: Callable[..., Any], *args: Any, name: str, key: str, **named: Any) -> Any:
    """Call the user's callable, which the spec key `key` names `name`.

    Raises: InputError when it raises any exception.
    """
    try:
        return function(*args, **named)
    except Exception as error:
        raise InputError(f"{key}={name!r} raised {type(error).__name__}: {error}") from error


def source_digest(name: str, *, key: str) -> str:
    """A digest of the file that defines the user's callable, so that editing it makes new trials.

    The modules that it imports do not count.
    """
    import_callable(name, key=key)
    path = getattr(sys.modules[name.partition(":")[0]], "__file__", None)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16] if path else "builtin"
