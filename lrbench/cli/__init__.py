"""The command line: parse, wire, print, exit codes.

Exit codes: 0 done, 1 a check or trial failed, 2 wrong input, 130 Ctrl-C, 141 closed pipe, 143 terminated.
"""

import gc

from lrbench.cli import export, gate, look, plan, recommend, sweep, timing
from lrbench.cli.shared import app

__all__ = ["app", "export", "gate", "look", "plan", "recommend", "sweep", "timing"]

gc.set_threshold(
    50_000, 20, 100
)  # what commands import makes a million objects that stay: looking them through is slow
