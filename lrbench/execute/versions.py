"""What is installed where this runs. It imports nothing else of lrbench: a node answers in a moment."""

from importlib.metadata import version
from platform import python_version

COMPARED = ("lrbench", "torch", "torchvision", "numpy")
"""Packages whose versions driver and nodes must share, so that no record depends on where a trial ran."""


def read_versions() -> dict[str, str]:
    """Versions of Python and of what is compared."""
    return {"python": python_version(), **{name: version(name) for name in COMPARED}}
