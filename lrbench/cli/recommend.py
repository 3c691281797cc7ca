"""Commands that choose: the trial that a sweep recommends, and how well budget trials were predicted; no torch."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial, wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from lrbench.cli.shared import Folder, app, explained, out, say, tell
from lrbench.config import axes, names
from lrbench.fitted import table


class Format(StrEnum):
    """How a recommendation is printed."""

    TABLE = "table"
    JSON = "json"


class Cost(StrEnum):
    """What can be minimised."""

    LATENCY = "latency"
    MACS = "macs"
    PARAMS = "params"


Ratio = Annotated[float | None, typer.Option(min=0.0, max=2.0, help="largest ratio to the dense model")]
Drop = Annotated[
    float | None,
    typer.Option(
        help="largest loss in accuracy against the dense control (where nothing was finetuned: the untouched dense "
        "model), in percentage points"
    ),
]
Accuracy = Annotated[float | None, typer.Option(min=1.0, max=100.0, help="least accuracy in percent")]
Latency = Annotated[float | None, typer.Option(min=1e-9, max=2.0, help="largest ratio of latencies to the dense model")]
Confidence = Annotated[float, typer.Option(min=0.01, max=0.999, help="least probability that each limit holds")]
Minimise = Annotated[
    Cost | None,
    typer.Option(help="cost to minimise", show_default="the first cost with a limit, else latency, else macs"),
]
Among = Annotated[str | None, typer.Option(help="choose among trials with this in their name: `12+1 epochs`")]


def _options() -> Iterator[Parameter]:
    """An option for each axis of a setting."""
    for name, axis in axes.AXES.items():
        annotation = str | None if axis.words else int | None
        option = typer.Option(axis.option, metavar="WORD" if axis.words else "N")
        yield Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Annotated[annotation, option])


def _meaning(name: str) -> str:
    """The help text of an axis's option."""
    axis = axes.AXES[name]
    return f"setting of the latencies: {axis.meaning}" + (f" ({names.in_a_row(axis.words())})" if axis.words else "")


def with_axes(command: Callable[..., None]) -> Callable[..., None]:
    """A command that has an option for each axis where it has a parameter `words`, which gets those that were used."""

    @wraps(command)
    def taking(**given: Any) -> None:
        asked = {name: given.pop(name) for name in axes.AXES}
        command(**given, words={name: word for name, word in asked.items() if word is not None})

    mine = signature(command)
    parameters = [
        option for given in mine.parameters.values() for option in (_options() if given.name == "words" else (given,))
    ]
    taking.__dict__["__signature__"] = mine.replace(parameters=parameters)
    return taking


@app.command(cls=explained(options={name: partial(_meaning, name) for name in axes.AXES}))
@with_axes
def recommend(  # noqa: PLR0913 - the options of a command
    folder: Folder,
    max_drop: Drop = None,
    accuracy: Accuracy = None,
    latency: Latency = None,
    macs: Ratio = None,
    params: Ratio = None,
    confidence: Confidence = names.ADVICE_CONFIDENCE,
    minimise: Minimise = None,
    environment: Annotated[str | None, typer.Option(help="environment of the timings: a key's beginning")] = None,
    *,
    words: dict[str, str | int],
    among: Among = None,
    chosen: Annotated[Format, typer.Option("--format", help="how the recommendation is printed")] = Format.TABLE,
) -> None:
    """Recommend a trial: chosen on the search split, reported on the test split, with the chance that it holds.

    A trial is chosen only if it keeps each limit with probability --confidence: the cheapest of many that just keep a
    limit on the search split was often only lucky there, and the probability allows for that. With a limit on accuracy,
    the cheapest trial is taken; with limits on costs alone, the most accurate, of those tied with it the one of least
    loss. The dense control is a candidate too, and nothing is taken that another trial beats in cost and accuracy.
    Latencies are of one setting: the one with the most timings, unless options name another. Exit code 1 when no trial
    keeps all limits: then the nearest is shown.

    Example: `lrbench recommend results/digits --max-drop 1.0 --latency 0.6`
    """
    from lrbench.report.advice.advice import advise
    from lrbench.report.advice.advice_texts import headline, tables_of, to_json
    from lrbench.report.choice.constraints import limits_of
    from lrbench.report.frames.rivals import Where
    from lrbench.report.results import Results

    asked = {"max-drop": max_drop, "accuracy": accuracy, "latency": latency, "macs": macs, "params": params}
    where = Where(environment=environment, words=words)
    results, limits = Results(folder), limits_of(asked)
    advice = advise(results, limits, confidence=confidence, minimise=minimise, where=where, among=among)
    if chosen is Format.JSON:
        say(to_json(advice))
    else:
        tell(headline(advice))
        for warning in advice.warnings:
            tell(f"Warning: {warning}")
        for texts in tables_of(advice):
            out.print(table(texts))
        for note in advice.notes:
            tell(f"- {note}")
        say(f"to export {'it' if advice.choice.point else 'what comes closest'}: {advice.command}")
    if advice.choice.point is None:
        raise typer.Exit(1)


@app.command()
def audit(folder: Folder) -> None:
    """Report how well budget trials were predicted (MACs, latency, damage), and rank them by what was measured.

    Exit code 1 when the MACs or params of a trial differ from those predicted.

    Example: `lrbench audit results/my`
    """
    from lrbench.report.advice.audit_texts import tell_audit
    from lrbench.report.results import Results

    told = tell_audit(Results(folder))
    for texts in told.tables:
        out.print(table(texts))
    for sentence in told.sentences:
        tell(f"- {sentence}")
    if not told.exact:
        raise typer.Exit(1)
