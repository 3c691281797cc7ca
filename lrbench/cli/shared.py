"""What all commands share: the app, common options, printing, and exit codes."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from lrbench.errors import InputError
from lrbench.guard import forget_signals, note_signal, signals
from lrbench.screen import console

app = typer.Typer(
    help="Which rank, in which layers, buys me that latency, and what accuracy does it cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
out, err = console(stderr=False), console(stderr=True)

SpecPath = Annotated[Path, typer.Argument(help="sweep spec, a TOML file", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a key of the spec: `finetune.epochs=1`")
]
Cache = Annotated[Path, typer.Option(envvar="LRBENCH_CACHE", help="directory of decoded images and trained weights")]
Out = Annotated[Path | None, typer.Option("--out", help="results folder", show_default="results/ and the spec's name")]
Folder = Annotated[Path, typer.Argument(help="results folder", show_default=False)]


ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a command to end: Ctrl-C, `kill` or a scheduler, a terminal that closes."""


KEPT, STARTS_ANEW = "what is finished is kept; the same command continues", "nothing was written"


@contextmanager
def exit_codes(*, continues: bool = True) -> Iterator[None]:
    """Turn a user's mistake or a file that cannot be used into one message and exit code 2, a signal into 128 + it.

    `continues`: whether what was finished before a signal is kept.
    """
    forget_signals()
    try:
        with _stoppable():
            yield
    except (InputError, OSError) as error:
        err.print(f"error: {error}", style="bold red", markup=False, highlight=False)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        err.print(f"interrupted: {KEPT if continues else STARTS_ANEW}", markup=False)
        raise typer.Exit(128 + next(iter(signals()), signal.SIGINT)) from error


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let a signal end the command in order; a second one ends it at once, as the system does.

    It is noted: code in C may turn what is raised here into something else, and a user's code may swallow it.
    """
    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in ENDING if in_main}
    handled = [number for number, handler in before.items() if handler != signal.SIG_IGN]  # as under nohup

    def stop(number: int, _: FrameType | None) -> None:
        for other_number in handled:
            signal.signal(other_number, signal.SIG_DFL)
        note_signal(number)
        raise KeyboardInterrupt

    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


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


def folder_for(spec: Path, chosen: Path | None) -> Path:
    """The results folder of a spec."""
    return chosen or Path("results") / spec.stem


def draw(folder: Path) -> None:
    """Draw a folder's figures and say so."""
    from lrbench.report.figures.draw import draw_figures
    from lrbench.report.results import Results

    drawn = draw_figures(Results(folder))
    say(f"{len(drawn)} figures in {folder / 'figures'}, each as PNG and SVG")
