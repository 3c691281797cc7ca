"""What all commands share: the app, its options, how it speaks, and its exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lrbench.errors import InputError
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
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a key: `finetune.epochs=1`")
]
Out = Annotated[Path | None, typer.Option("--out", help="results folder", show_default="results/ and the spec's name")]
Folder = Annotated[Path, typer.Argument(help="results folder", show_default=False)]


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn a user's mistake into one message and exit code 2, Ctrl-C into 130."""
    try:
        yield
    except InputError as error:
        err.print(f"error: {error}", style="bold red", markup=False, highlight=False)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        err.print("interrupted: what is finished is kept; the same command continues", markup=False)
        raise typer.Exit(130) from error


def say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False)


def folder_for(spec: Path, chosen: Path | None) -> Path:
    """The results folder of a spec."""
    return chosen or Path("results") / spec.stem


def draw(folder: Path) -> None:
    """Draw a folder's figures and say so."""
    from lrbench.report.draw import draw_figures

    drawn = draw_figures(folder)
    say(f"{len(drawn)} figures in {folder / 'figures'}, each as PNG and SVG")
