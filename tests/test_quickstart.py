"""The quickstart, run as it is written: from a checkpoint to a file, with the accuracy that plain torch finds."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from test_docs import blocks
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from lrbench.config.starting import Start
from lrbench.plan.spec import load_spec

ROOT = Path(__file__).parents[1]
COMMANDS = [
    shlex.split(line, comments=True)[1:] for line in blocks(ROOT / "docs/quickstart.md", "sh")[0].splitlines() if line
]
PIXELS = v2.Compose(
    [
        v2.Resize(37),  # as 256 is to 224
        v2.CenterCrop(32),
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


@pytest.fixture
def checkpoint(workplace: Path) -> Path:
    """A checkpoint trained in plain torch on photographs of three colours."""
    random = np.random.default_rng(0)
    for split, count in (("train", 30), ("val", 12)):
        for label, name in enumerate(("blue", "green", "red")):
            (workplace / "photos" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 130, (40, 48, 3))
                pixels[:, :, 2 - label] += random.integers(0, 90)
                Image.fromarray(pixels.astype(np.uint8)).save(workplace / "photos" / split / name / f"{number}.png")
    images, labels = split_of("train")
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(25):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    torch.save(model.state_dict(), workplace / "checkpoint.pt")
    return workplace


def network() -> torch.nn.Module:
    sys.modules.pop("nets", None)
    from nets import build  # type: ignore[import-not-found]

    model: torch.nn.Module = build(3)
    return model


def split_of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 3, 32, 32) and labels (N,) by torchvision alone."""
    images, labels = zip(*ImageFolder(f"photos/{name}", transform=PIXELS), strict=True)
    return torch.stack(images), torch.tensor(labels)


def right(logits: torch.Tensor, labels: torch.Tensor) -> int:
    return int((logits.argmax(1) == labels).sum())


def run(lrbench, *words: str) -> str:
    result = lrbench(*words)
    assert result.exit_code == 0, result.output
    return str(result.output)


@pytest.mark.long
@pytest.mark.usefixtures("checkpoint", "undrawn")
def test_the_quickstart_leads_from_a_checkpoint_to_a_file_of_the_same_accuracy(lrbench) -> None:
    start, sweep, recommend, export = COMMANDS
    assert "next: lrbench sweep my.toml" in run(lrbench, *start)
    images, labels = split_of("val")
    model = network()
    model.load_state_dict(torch.load("checkpoint.pt", weights_only=True))
    with torch.inference_mode():
        accuracy = right(model.eval()(images), labels) / len(labels)
    told = run(lrbench, *sweep)
    assert f"the model as given: {accuracy:.2%} of {len(labels)} test images right" in told
    assert "in this order: 0 blue, 1 green, 2 red" in told
    trial = json.loads(run(lrbench, *recommend, "--format", "json"))["recommended"]["trial"]
    run(lrbench, *(word.replace("TRIAL", trial) for word in export))

    import onnxruntime

    (logits,) = onnxruntime.InferenceSession("exported/model.onnx").run(None, {"images": images.numpy()})
    trials = pd.read_csv("results/my/trials.csv").set_index("trial")
    assert right(torch.from_numpy(logits), labels) == trials.loc[trial, "correct_kept"]
    assert not Path("exported/timing.csv").exists()
    assert "the shorter side resized to 37" in json.loads(Path("exported/plan.json").read_text())["input"]


@pytest.mark.usefixtures("checkpoint")
def test_a_first_spec_is_commented_checked_and_the_next_command_is_named(lrbench) -> None:
    told = run(lrbench, *COMMANDS[0])
    assert told.splitlines()[0].startswith("data: 90 training images of 3 classes (30 each); 9 search images")
    assert told.splitlines()[-1] == "my.toml has 7 trials; next: lrbench sweep my.toml"
    spec = load_spec(Path("my.toml"))
    assert (spec.data.preset, spec.baseline.epochs, spec.finetune.epochs) == ("imagenet", 0, 0)
    assert Path("my.toml").read_text().count("#") > 10
    again = lrbench(*COMMANDS[0])
    assert (again.exit_code, "my.toml already exists" in again.output) == (2, True)


@pytest.mark.usefixtures("checkpoint")
def test_what_is_not_given_is_asked_for(lrbench) -> None:
    from typer.testing import CliRunner

    from lrbench.cli import app

    result = CliRunner().invoke(app, ["init", "asked.toml"], input="nets:build\nnone\ndigits\n")
    assert result.exit_code == 0, result.output
    assert "Model" in result.output
    spec = load_spec(Path("asked.toml"))
    assert (spec.model.name, spec.model.weights, spec.data.name, spec.data.preset) == (
        "nets:build",
        "none",
        "digits",
        "none",
    )
    assert spec.baseline.epochs == 10


@pytest.mark.usefixtures("checkpoint")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("--data", "nowhere"), "data.root='nowhere' has no train/ and no val/"),
        (("--weights", "nothing.pt"), "model.weights='nothing.pt' does not exist"),
        (("--model", "resnet19"), "unknown model.name='resnet19'"),
        (("--preset", "imagenette"), "unknown preset 'imagenette': did you mean 'imagenet'?"),
        (("--image-size", "3"), "data.image_size"),
    ],
)
def test_a_first_spec_that_cannot_run_is_refused_and_not_written(change: tuple[str, str], told: str, lrbench) -> None:
    result = lrbench(*COMMANDS[0], *change)
    assert result.exit_code == 2
    assert told in result.output
    assert not Path("my.toml").exists()


@pytest.mark.parametrize(
    ("model", "weights", "preset"),
    [
        ("resnet18", "none", "none"),
        ("resnet18", "DEFAULT", "weights"),
        ("resnet18", "mine.pt", "imagenet"),
        ("timm:vit_tiny", "mine.pt", "weights"),
        ("nets:build", "mine.pt", "imagenet"),
    ],
)
def test_a_first_spec_takes_the_transforms_that_a_library_knows(model: str, weights: str, preset: str) -> None:
    assert Start(model=model, weights=weights, data="digits").chosen_preset == preset
