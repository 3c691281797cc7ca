"""A first spec for a model and its images, with a comment on what one may want to change."""

from dataclasses import dataclass
from pathlib import Path

from lrbench.config.names import SOURCES, is_in_library
from lrbench.config.writing import written

Key = tuple[str, object, str]
"""A key with its value and a comment."""

LATER = '# search = "DIR"            # other images to choose by, a folder for each class, which the model has not seen'


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a first spec is made of; `preset` and `image_size` are None where they follow from the others."""

    model: str
    weights: str
    data: str
    preset: str | None = None
    image_size: int | None = None

    @property
    def is_given(self) -> bool:
        """Whether the model has weights."""
        return self.weights != "none"

    @property
    def chosen_preset(self) -> str:
        """That of the weights where a library knows them, else ImageNet's; none for a model without weights."""
        if self.preset is not None:
            return self.preset
        if not self.is_given:
            return "none"
        is_known = is_in_library(self.model) or not Path(self.weights).suffix
        return "weights" if is_known else "imagenet"


def first_spec(start: Start) -> str:
    """A spec as a text."""
    own = start.data in SOURCES or ":" in start.data
    named: list[Key] = [("name", start.data, "")]
    folder: list[Key] = [("name", "folder", ""), ("root", start.data, "has train/CLASS/ and val/CLASS/")]
    untold = (
        "; the weights do not tell these: check them" if start.is_given and start.chosen_preset == "imagenet" else ""
    )
    preset = f"sets image_size, resize, interpolation, mean and std; what is written here wins{untold}"
    size: list[Key] = [("image_size", start.image_size, "height and width in pixels")] if start.image_size else []
    trained = "the weights are trained" if start.is_given else "passes over the training images"
    sections: dict[str, list[Key]] = {
        "model": [
            ("name", start.model, "a torchvision builder, timm:NAME, or package.module:callable"),
            ("weights", start.weights, "none, a name of weights, or a file with a state dict"),
        ],
        "data": [
            *(named if own else folder),
            ("preset", start.chosen_preset, preset),
            *size,
            ("search_share", 0.1, "of the training images, set aside to choose by"),
        ],
        "baseline": [("epochs", 0 if start.is_given else 10, trained)],
        "finetune": [("epochs", 0 if start.is_given else 2, "after each cut: a few regain much of what it loses")],
        "sweep": [
            ("schemes", ["channel", "spatial"], "how a layer is split in two: docs/methods.md"),
            ("ranks", ["macs=0.5", "macs=0.33", "macs=0.25"], "each layer's share of its own MACs"),
        ],
        "latency": [("devices", ["cpu"], "[] times nothing"), ("threads", [1], "of torch")],
    }
    lines = [
        "# Every key with its default: docs/keys.md, or lrbench sweep --help. Paths count from the current directory."
    ]
    for name, keys in sections.items():
        lines += ["", f"[{name}]", *(_line(*key) for key in keys), *([LATER] if name == "data" else [])]
    return "\n".join(lines) + "\n"


def _line(key: str, value: object, comment: str) -> str:
    assigned = f"{key} = {written(value)}"
    return f"{assigned:<27} # {comment}" if comment else assigned
