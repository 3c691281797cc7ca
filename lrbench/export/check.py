"""Whether artefacts give what the trial gave: logits image by image, and right answers on the test split."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from lrbench.errors import InputError
from lrbench.export.artefacts import ARTEFACTS
from lrbench.export.find import Source
from lrbench.learn.batches import Batching, test_batches
from lrbench.learn.datasets import load_dataset
from lrbench.measure.prepared import Opened
from lrbench.results.records import Measurement

SCHEMA = 1

RANDOM_IMAGES, RANDOM_BATCH = 64, 16

FLIPS = 0.001
"""Share of the answers that may differ from the trial's where another machine or device sums in another order."""

ROUNDING = 1e-5
"""Share of the largest logit that a difference may reach where that is more: float32 rounds in proportion. Of a
ResNet-18 with logits up to 113, float32 is 8e-5 away from float64, and one memory format as far from the other.
"""

Batches = Iterable[tuple[Tensor, Tensor | None]]
"""Images with their labels, or with None where nobody knows any."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """What artefacts are checked on: batches, what they are in words, and class names if known."""

    batches: Batches
    words: str
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """How an artefact compares with the trial's model on `images` images.

    `difference` is the largest absolute difference between its logits and those of the trial's model, `allowed` how
    large it may be, `correct` its right answers of `samples` (None: the images have no labels), `ok` whether both
    difference and answers are as they must be.
    """

    artefact: str
    images: int
    difference: float
    allowed: float
    correct: int | None
    samples: int | None
    ok: bool


def images_of(source: Source, *, cache: Path, named: bool) -> Images:
    """The test images as the trial saw them, or random ones where they are not available.

    Args:
        source: the trial.
        cache: directory of decoded images.
        named: whether the user named the data set in this command; only then code of their own may be run.

    Raises: InputError when the test split has another number of images than the trial saw.
    """
    spec, samples = source.spec, source.measurement.kept_accuracy.samples
    try:
        if ":" in spec.data.name and not named:
            raise InputError(
                f"data {spec.data.name!r} is your own code; pass --set data.name=... to allow lrbench to run it"
            )
        data = load_dataset(spec.data, cache=cache)
    except InputError as error:
        random = _random_batches(spec.data.image_size)
        return Images(batches=random, words=f"random images, so accuracy was not checked: {error}")
    if (count := len(data.test)) != samples:
        raise InputError(f"the trial was measured on {samples} test images, data.root has {count}")
    batching = Batching(
        size=spec.finetune.batch_size,
        data=spec.data,
        device=torch.device("cpu"),
        memory_format=torch.channels_last if spec.finetune.channels_last else torch.contiguous_format,
    )
    words = f"the {count} test images of {spec.data.name}"
    return Images(batches=test_batches(data.test, batching), words=words, class_names=data.class_names)


def _random_batches(size: int) -> Iterator[tuple[Tensor, None]]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(RANDOM_IMAGES // RANDOM_BATCH):
        yield torch.randn(RANDOM_BATCH, 3, size, size, generator=generator), None


def check_artefacts(
    model: Callable[[Tensor], Tensor],
    opened: Mapping[str, Opened],
    batches: Batches,
    *,
    correct: range,
    within: float,
) -> tuple[Check, ...]:
    """Run artefacts beside the trial's model on the same batches.

    Args:
        model: the trial's.
        opened: artefacts by name.
        batches: of images, at least one.
        correct: right answers that an exact artefact may give.
        within: difference of a logit that is always allowed.
    """
    with torch.inference_mode():
        seen = pd.DataFrame(row for images, labels in batches for row in _compare(model, opened, images, labels))
    allowed = max(within, ROUNDING * float(seen["largest"].max()))

    def check(name: str) -> Check:
        rows = seen[seen["artefact"] == name]
        difference = float(rows["difference"].to_numpy().max())  # NaN stays NaN, and is within nothing
        images, labelled = int(rows["images"].sum()), bool(rows["labelled"].all())
        answers = int(rows["correct"].sum()) if labelled else None
        as_trial = answers is None or answers in correct or not ARTEFACTS[name].exact
        return Check(
            artefact=name,
            images=images,
            difference=difference,
            allowed=allowed,
            correct=answers,
            samples=images if labelled else None,
            ok=difference <= allowed and as_trial,
        )

    return tuple(map(check, opened))


def _compare(
    model: Callable[[Tensor], Tensor], opened: Mapping[str, Opened], images: Tensor, labels: Tensor | None
) -> Iterator[dict[str, Any]]:
    """What each artefact gives for a batch beside a model, the first image also alone."""
    expected, alone = model(images), model(images[:1])
    for name, artefact in opened.items():
        logits = artefact(images).call()
        gaps = (logits - expected).abs().max(), (artefact(images[:1]).call() - alone).abs().max()
        yield {
            "artefact": name,
            "images": len(images),
            "largest": float(expected.abs().max()),
            "difference": float(torch.stack(gaps).max()),
            "labelled": labels is not None,
            "correct": 0 if labels is None else int((logits.argmax(1) == labels).sum()),
        }


def right_answers(measurement: Measurement, *, environment: str) -> range:
    """The right answers that the trial's model may give here: the trial's own where it was measured, on the CPU."""
    correct, samples = measurement.kept_accuracy.correct, measurement.kept_accuracy.samples
    same = measurement.environment == environment and measurement.deterministic
    slack = 0 if same else ceil(FLIPS * samples)
    return range(correct - slack, correct + slack + 1)


@contextmanager
def threads_of(measurement: Measurement) -> Iterator[int]:
    """As many threads as the trial had: another number of them sums in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(measurement.threads or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def checks_table(checks: Sequence[Check], *, measurement: Measurement, folder: Path) -> pd.DataFrame:
    """One row an artefact."""
    return pd.DataFrame(
        {
            "schema": SCHEMA,
            "artefact": check.artefact,
            "file": ARTEFACTS[check.artefact].file,
            "size_bytes": (folder / ARTEFACTS[check.artefact].file).stat().st_size,
            "images": check.images,
            "difference": check.difference,
            "allowed": check.allowed,
            "correct": check.correct,
            "samples": check.samples,
            "trial_correct": measurement.kept_accuracy.correct,
            "ok": check.ok,
        }
        for check in checks
    )
