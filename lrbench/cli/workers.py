"""Options for how trials are run, and the workers that follow from them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrbench.errors import InputError

if TYPE_CHECKING:
    from lrbench.execute.workers import Workers
    from lrbench.plan.spec import SweepSpec

Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="trials at a time, in child processes that share the CPU threads", metavar="N"),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.001,
        help="end a trial, or a baseline, after this time; it counts as failed (timings: `latency.timeout_s`)",
        metavar="SECONDS",
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        "--executor",
        show_default="pool with --jobs, --timeout or code of your own, else here",
        metavar="NAME",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(help="address of a Ray cluster: `auto` or `host:port`", show_default="a Ray started for this command"),
]
TrialCpus = Annotated[int | None, typer.Option(min=1, help="CPUs for each trial on a cluster", show_default="1")]
TrialGpus = Annotated[
    float | None, typer.Option(min=0, help="GPUs for each trial on a cluster, or a share of one", show_default="0")
]
On = Annotated[
    list[str] | None,
    typer.Option("--on", metavar="KEY=VALUE", help="time only on cluster nodes with this label"),
]


def choose_workers(executor: str | None, options: Mapping[str, Any], *, spec: "SweepSpec | None" = None) -> "Workers":
    """How trials are to be run.

    Args:
        executor: its name, None for the first executor that takes the given options, and is fit for the spec.
        options: `jobs`, `timeout`, `address`, `cpus-per-trial`, `gpus-per-trial`, `on`; None where not given.
        spec: what is run: a user's own code in it may crash, which must not end the command.

    Raises: InputError for an unknown executor, or an option that it does not take.
    """
    from lrbench.execute.executors import choose
    from lrbench.execute.workers import Workers
    from lrbench.timing import isolation

    given = [name for name, value in options.items() if value is not None]
    isolated = spec is not None and isolation.needs_child(spec.model.name, spec.data.name, spec.finetune.loop)
    return Workers(
        executor=choose(executor, given, prefix="--", isolated=isolated),
        jobs=options["jobs"],
        timeout_s=options["timeout"],
        cluster=_cluster(options),
    )


def _cluster(options: Mapping[str, Any]) -> Any:
    """The share of a cluster that a trial gets."""
    from lrbench.execute.workers import Cluster

    gpus, on = options["gpus-per-trial"] or 0.0, options["on"] or ()
    if gpus > 1 and gpus % 1:
        raise InputError(f"--gpus-per-trial must be a whole number or a share below 1, got {gpus:g}")
    if wrong := [text for text in on if "=" not in text]:
        raise InputError(f"--on must be KEY=VALUE, got {wrong[0]!r}")
    labels = dict(text.partition("=")[::2] for text in on)
    return Cluster(address=options["address"], cpus=options["cpus-per-trial"] or 1, gpus=gpus, on=labels)
