"""Options that say how trials are run, and what they come to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrbench.config import names
from lrbench.errors import InputError, nearest

if TYPE_CHECKING:
    from lrbench.execute.workers import Workers

Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="trials at a time, in child processes that share the threads", metavar="N"),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0.001, help="after which a trial is ended and counts as failed", metavar="SECONDS"),
]
Where = Annotated[
    str | None,
    typer.Option(
        "--executor",
        show_default="pool with --jobs or --timeout, else here",
        metavar="NAME",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(help="of a Ray cluster: `auto`, `host:port`", show_default="a Ray that ends with the command"),
]
TrialCpus = Annotated[int | None, typer.Option(min=1, help="CPUs of a trial on a cluster", show_default="1")]
TrialGpus = Annotated[
    float | None, typer.Option(min=0, help="GPUs of a trial on a cluster, or a share of one", show_default="0")
]
On = Annotated[
    list[str] | None,
    typer.Option("--on", metavar="KEY=VALUE", help="time only on nodes of a cluster that have this label"),
]


def choose_workers(executor: str | None, options: Mapping[str, Any]) -> "Workers":
    """How trials are to be run.

    Args:
        executor: its name, None for the first one that takes what was given.
        options: `jobs`, `timeout`, `address`, `cpus-per-trial`, `gpus-per-trial`, `on`; None where not given.

    Raises: InputError for an unknown executor, or an option that means nothing to it.
    """
    from lrbench.execute import executors
    from lrbench.execute.workers import Workers

    given = [name for name, value in options.items() if value is not None]
    if executor is not None and executor not in names.EXECUTORS:
        raise InputError(f"unknown --executor {executor!r}: {nearest(executor, names.EXECUTORS)}")
    table = executors.EXECUTORS
    if executor is None:
        able = (name for name, one in table.items() if not one.by_name and one.takes.issuperset(given))
        executor = next(able, next(iter(table)))
    for name in given:
        if name not in table[executor].takes:
            able_names = [other for other, one in table.items() if name in one.takes]
            raise InputError(f"--{name} goes with --executor {' or '.join(able_names)}, not {executor}")
    return Workers(
        executor=executor, jobs=options["jobs"] or 1, timeout_s=options["timeout"], cluster=_cluster(options)
    )


def _cluster(options: Mapping[str, Any]) -> Any:
    """What a trial holds of a cluster."""
    from lrbench.execute.workers import Cluster

    gpus, on = options["gpus-per-trial"] or 0.0, options["on"] or ()
    if gpus > 1 and gpus % 1:
        raise InputError(f"--gpus-per-trial takes a whole number or a share below 1, got {gpus:g}")
    if wrong := [text for text in on if "=" not in text]:
        raise InputError(f"--on takes KEY=VALUE, got {wrong[0]!r}")
    labels = dict(text.partition("=")[::2] for text in on)
    return Cluster(address=options["address"], cpus=options["cpus-per-trial"] or 1, gpus=gpus, on=labels)
