"""The user's own code, named as `package.module:callable`."""

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
        found: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{key}={name!r} cannot be imported as package.module:callable: {error}") from error
    if not callable(found):
        raise InputError(f"{key}={name!r} must be callable, got {type(found).__name__}")
    result: Callable[..., Any] = found
    return result
