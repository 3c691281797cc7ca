"""Whether the images that chose may have been trained on before."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd

from lrbench.config.reading import read_toml
from lrbench.errors import InputError
from lrbench.results.log import SPEC


def seen_before(folder: Path, trials: pd.DataFrame, split: str) -> Iterator[str]:
    """What has to be said where weights were given and the search split is a share of the training images."""
    if split == "search" and (trials["weights"] != "none").any() and not _has_own_search(folder / SPEC):
        yield (
            "The weights were given, and the search split is a share of the training images: the model may have been "
            'trained on them, and then accuracies and drops there are not those of new images (data.search = "DIR" '
            "names others)."
        )


def _has_own_search(spec: Path) -> bool:
    """Whether a folder's spec has a directory of images to choose by; a folder without a spec has none."""
    data = None
    with suppress(InputError):  # a damaged one says nothing
        data = read_toml(spec, what="spec").get("data") if spec.is_file() else None
    return isinstance(data, dict) and bool(data.get("search"))
