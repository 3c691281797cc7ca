"""What all commands share: the app, common options, printing, and exit codes."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lrbench.cli.ending import KEPT, STARTS_ANEW, fault, stoppable
from lrbench.errors import InputError
from lrbench.guard import forget_signals, signals
from lrbench.screen import ClosedPipe, console

TOLD: tuple[type[BaseException], ...] = (typer.Exit, typer.Abort, *typer.BadParameter.__mro__[1:3], ClosedPipe)
"""What has its exit code and its line already; UsageError and ClickException are told by the parser of options."""


GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "From a spec to a model": ("init", "plan", "sweep", "recommend", "export"),
        "Look at results": ("report", "table", "plots", "audit"),
        "Measure more": ("time", "sensitivity", "layers", "doctor"),
        "Guard against regressions": ("check", "regress", "history"),
    }
)
"""The commands by purpose, the main flow first, as the help lists them."""


class Commands(TyperGroup):
    """All commands, under the one net that `exit_codes` is."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order of `GROUPS`; each is told to stand under its heading."""
        known = super().list_commands(ctx)
        for heading, names in GROUPS.items():
            for name in names:
                if name in self.commands:
                    self.commands[name].rich_help_panel = heading  # type: ignore[attr-defined]
        ordered = [name for names in GROUPS.values() for name in names if name in known]
        return [*ordered, *(name for name in known if name not in ordered)]

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        with exit_codes():
            return super().invoke(ctx)


app = typer.Typer(
    cls=Commands,
    help="Which rank, in which layers, buys me that latency, and what accuracy does it cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
out, err = console(stderr=False), console(stderr=True)

SpecPath = Annotated[Path, typer.Argument(help="sweep spec, a TOML file; or `digits`, which ships", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a key of the spec: `finetune.epochs=1`")
]
Cache = Annotated[Path, typer.Option(envvar="LRBENCH_CACHE", help="directory of decoded images and trained weights")]
Out = Annotated[Path | None, typer.Option("--out", help="results folder", show_default="results/ and the spec's name")]
Folder = Annotated[Path, typer.Argument(help="results folder", show_default=False)]


@contextmanager
def exit_codes(*, continues: bool = True) -> Iterator[None]:
    """Turn what ends a command into one line and its exit code: mistakes and faults into 2, a signal into 128 + it.

    `continues`: whether what was finished before a signal is kept.
    """
    forget_signals()
    try:
        with stoppable():
            yield
    except TOLD:
        raise
    except BaseException as error:
        if signals() or isinstance(error, KeyboardInterrupt):
            err.print(f"interrupted: {KEPT if continues else STARTS_ANEW}", markup=False)
            raise typer.Exit(128 + next(iter(signals()), signal.SIGINT)) from error
        text = str(error) if isinstance(error, InputError | OSError) else fault(error)
        err.print(f"error: {text}", style="bold red", markup=False, highlight=False)
        raise typer.Exit(2) from error


def explained(
    epilog: Callable[[], str] = str, options: Mapping[str, Callable[[], str]] = MappingProxyType({})
) -> type[TyperCommand]:
    """A class of command whose help is written when it is asked for, from the tables as they are then.

    Args:
        epilog: gives the text below the options; none by default.
        options: by parameter, gives the help text of an option.
    """

    class Explained(TyperCommand):
        def format_help(self, ctx: Any, formatter: Any) -> None:
            self.epilog = epilog()
            for parameter in self.params:
                if parameter.name in options:
                    parameter.help = options[parameter.name]()  # type: ignore[attr-defined]
            super().format_help(ctx, formatter)

    return Explained


def say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False)


def tell(sentence: str) -> None:
    """Print a sentence; on a terminal it wraps at words."""
    out.print(sentence, markup=False, highlight=False, soft_wrap=not out.is_terminal)


def _version(asked: bool) -> None:
    if asked:
        say(f"lrbench {version('lrbench')}")
        raise typer.Exit


@app.callback()
def _all_commands(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version of lrbench")
    ] = False,
) -> None:
    """Which rank, in which layers, buys me that latency, and what accuracy does it cost?"""


def folder_for(spec: Path, chosen: Path | None) -> Path:
    """The results folder of a spec."""
    return chosen or Path("results") / spec.stem


def draw(folder: Path) -> None:
    """Draw a folder's figures and say so, unless they are there and belong to its tables."""
    from lrbench.report.figures.draw import are_drawn

    if not are_drawn(folder):
        redraw(folder)


def redraw(folder: Path) -> None:
    """Draw a folder's figures and say so."""
    from lrbench.report.figures.draw import draw_figures
    from lrbench.report.results import Results

    drawn = draw_figures(Results(folder))
    say(f"{len(drawn)} figures in {folder / 'figures'}, each as PNG and SVG")
