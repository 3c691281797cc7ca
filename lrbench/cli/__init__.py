"""The command line: parse, wire, print, exit codes.

Exit codes: 0 done, 1 a check or trial failed, 2 wrong input, 130 Ctrl-C, 141 closed pipe, 143 terminated.
"""

import gc
import os
import sys
from typing import Any

from lrbench.cli.ending import ending_by, fault, leave
from lrbench.shown import shown


def main() -> None:
    """The command `lrbench`, from its first import to its exit code."""
    os.environ["MPLBACKEND"] = "agg"  # whatever a notebook or a profile left there; figures go to files
    with ending_by(leave):
        try:
            from lrbench.cli.commands import app
        except Exception as error:  # a broken installation
            sys.stderr.write(f"error: {shown(fault(error))}\n")
            sys.exit(2)
        gc.set_threshold(50_000, 20, 100)  # what commands import makes a million objects that stay
        app()


def __getattr__(name: str) -> Any:
    """The app of all commands, imported when it is first asked for."""
    if name == "app":
        with ending_by(leave):
            from lrbench.cli.commands import app
        return app
    raise AttributeError(f"module 'lrbench.cli' has no attribute {name!r}")
