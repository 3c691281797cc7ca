"""The command that writes a first spec."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli.shared import Cache, app, say
from lrbench.config import names
from lrbench.config.starting import Start, first_spec
from lrbench.errors import InputError
from lrbench.whole import write_whole


@app.command()
def init(  # noqa: PLR0913 - the options of a command
    spec: Annotated[Path, typer.Argument(help="TOML file to write")] = Path("my.toml"),
    model: Annotated[
        str, typer.Option(prompt="Model: a torchvision name, or package.module:callable", help="its builder")
    ] = "resnet18",
    weights: Annotated[
        str, typer.Option(prompt="Weights: a file, a torchvision weights name, or none", help="a file, a name, or none")
    ] = "none",
    data: Annotated[
        str,
        typer.Option(
            prompt="Images: a directory of train/CLASS/ and val/CLASS/, package.module:callable, or a name (digits)",
            help="a directory, package.module:callable, or the name of a data set",
        ),
    ] = "digits",
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"how images are made ready: {', '.join(names.PRESETS)}",
            show_default="weights for a weights name, imagenet for a file",
        ),
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="pixels", show_default="as the preset has it")] = None,
    cache: Cache = Path("cache"),
) -> None:
    """Write a spec with comments for a model and its images, check it, and name the next command.

    Asks for the model, its weights and the images where they are not given.

    Example: `lrbench init my.toml --model resnet18 --weights checkpoint.pt --data photos`
    """
    if spec.exists():
        raise InputError(f"{spec} already exists: give another name, or remove it")
    text = first_spec(Start(model=model, weights=weights, data=data, preset=preset, image_size=image_size))
    import tomllib

    from lrbench.plan.run import prepare
    from lrbench.plan.spec import make_spec

    run = prepare(make_spec(tomllib.loads(text), where="the spec of these answers"), cache=cache)
    write_whole(spec, text.encode())
    for note in run.notes:
        say(note)
    say(f"{spec} has {len(run.trials):,} trials; next: {shlex.join(['lrbench', 'sweep', str(spec)])}")
