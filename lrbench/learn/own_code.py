"""What a user's code is: the file that defines a callable, and the user's other files that it imports."""

import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from lrbench.learn.imports import import_callable

INSTALLED = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
"""Where Python and installed packages lie; their versions are part of the environment."""


def code_digest(name: str, *, key: str) -> str:
    """A digest of the files behind the user's callable `package.module:callable`: editing any of them changes it.

    Where the callable's own file imports no other of the user's, it is `source_digest`.
    """
    import_callable(name, key=key)
    contents = list(_contents(sys.modules[name.partition(":")[0]]))
    if not contents:
        return "builtin"
    if len(contents) == 1:
        return hashlib.sha256(contents[0]).hexdigest()[:16]
    return hashlib.sha256("".join(hashlib.sha256(content).hexdigest() for content in contents).encode()).hexdigest()[
        :16
    ]


def _contents(first: ModuleType) -> Iterator[bytes]:
    """The contents of a module's file and of those behind what is in it, the first first, the others by their names."""
    seen, waiting = {first.__name__: first}, [first]
    while waiting:
        for module in _behind(waiting.pop()):
            if module.__name__ not in seen and _is_users(module):
                seen[module.__name__] = module
                waiting.append(module)
    for name in (first.__name__, *sorted(set(seen) - {first.__name__})):
        if path := getattr(seen[name], "__file__", None):
            yield Path(path).read_bytes()


def _behind(module: ModuleType) -> Iterator[ModuleType]:
    """The modules in a module's names, and those that define the functions and classes in them."""
    for value in list(vars(module).values()):
        found: Any = value if isinstance(value, ModuleType) else sys.modules.get(str(_defined_in(value)))
        if isinstance(found, ModuleType):
            yield found


def _defined_in(value: Any) -> object:
    try:
        return getattr(value, "__module__", None)
    except Exception:  # whatever a user's object does when it is asked
        return None


def _is_users(module: ModuleType) -> bool:
    path = getattr(module, "__file__", None)
    return bool(path) and not str(path).startswith(INSTALLED) and module.__name__.partition(".")[0] != "lrbench"
