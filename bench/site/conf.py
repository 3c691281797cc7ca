"""What Sphinx is told; `make docs` runs it over the pages that `bench.site` lays out."""

import re
from importlib import metadata

from sphinx.application import Sphinx

project = "lrbench"
author = "The lrbench authors"
release = metadata.version("lrbench")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # the first page of a README may begin below its title
default_role = "code"
autodoc_typehints_format = "short"
html_theme = "furo"
html_title = "lrbench"
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


def mend_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Make one line of `Raises: ValueError when ...`, whose next lines are indented in the sources."""
    text = "\n".join(lines)
    lines[:] = re.sub(r"^((?:Raises|Warns|Returns): .*(?:\n +\S.*)+)", _joined, text, flags=re.MULTILINE).split("\n")


def _joined(paragraph: re.Match[str]) -> str:
    return " ".join(paragraph[1].split())


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", mend_docstring, priority=1)
