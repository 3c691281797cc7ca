"""The command line: parse, wire, print, exit codes (0 done, 1 no, 2 unusable, 130 Ctrl-C, 141 no reader, 143 ended)."""

from lrbench.cli import export, gate, look, plan, recommend, sweep, timing
from lrbench.cli.shared import app

__all__ = ["app", "export", "gate", "look", "plan", "recommend", "sweep", "timing"]
