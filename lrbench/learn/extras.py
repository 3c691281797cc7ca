"""Packages of the extras: imported when they are first needed, and named with their command when they are missing."""

import importlib
from typing import Any

from lrbench.errors import InputError, reading


def require_extra(package: str, *, extra: str, what: str) -> Any:
    """The module of a package that an extra of lrbench installs.

    Args:
        package: its name.
        extra: of `pyproject.toml`.
        what: needs it.

    Raises: InputError with the command that installs it.
    """
    try:
        with reading(f"{package}, which {what} needs,", "cannot be imported"):
            return importlib.import_module(package)
    except InputError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            raise InputError(f"{what} needs {package}: pip install 'lrbench[{extra}]'") from error
        raise
