"""All commands: each file of this room adds its own to the app."""

from lrbench.cli import export, gate, init, look, plan, recommend, sweep, timing
from lrbench.cli.shared import app

__all__ = ["app", "export", "gate", "init", "look", "plan", "recommend", "sweep", "timing"]
