"""Versions of Python and packages that all nodes must share. Imports nothing else of lrbench, so nodes answer fast."""

from importlib.metadata import version
from platform import python_version

COMPARED = ("lrbench", "torch", "torchvision", "numpy")
"""Packages whose versions must be the same on the driver and all nodes, so that records do not depend on the node."""


def read_versions() -> dict[str, str]:
    """Versions of Python and of the compared packages on this machine."""
    return {"python": python_version(), **{name: version(name) for name in COMPARED}}
