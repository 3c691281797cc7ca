"""The axes of a setting: what each is called, which words it takes, how it reads. Each is declared once, in `Setting`.

To add a word, add one entry to its table here and one to the table of functions behind it (a test compares the two).
To add an axis, add a field to `Setting`, and to `LatencyChoice` the key that its axis names.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any

Words = Mapping[str, str]
"""What may be chosen, each word with its meaning."""

DEVICES: Words = MappingProxyType({"cpu": "the processor", "cuda": "a GPU by CUDA", "mps": "a GPU of Apple's"})

MEMORY_FORMATS: Words = MappingProxyType(
    {"contiguous": "channels are outermost", "channels_last": "channels are innermost"}
)

DTYPES: Words = MappingProxyType(
    {
        "float32": "of weights and input",
        "bfloat16": "of weights and input",
        "amp": "float32 weights, autocast to bfloat16",
    }
)

RUNTIMES: Words = MappingProxyType(
    {"eager": "as it stands", "compile": "by torch.compile", "cuda-graph": "as one captured CUDA graph"}
)

BATCH_NORMS: Words = MappingProxyType(
    {"kept": "layers of their own", "folded": "into the convolutions before them, as for deployment"}
)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is known of one axis.

    Attributes:
        key: of `[latency]`; a spec lists there the words that are timed.
        meaning: what it says of a timing.
        option: by which a command takes one word of it.
        words: looks up what it takes; None where it takes whole numbers from 1.
        values: what stands for each word in a `Setting` and on disk, where that is not the word itself.
        label: how a word reads beside those of other axes.
        slug: how it reads in the name of a file.
        formerly: what its column was called once, under which old logs and tables are read; "" when it has its name.
        former_key: what its key was called.
    """

    key: str
    meaning: str
    option: str
    words: Callable[[], Words] | None = None
    values: Mapping[str, bool] = field(default_factory=dict)
    label: str = "{}"
    slug: str = "{}"
    formerly: str = ""
    former_key: str = ""

    @property
    def noun(self) -> str:
        """What one is called in errors: `memory format`."""
        return self.option.removeprefix("--").replace("-", " ")

    def value(self, word: Any) -> Any:
        """What stands for a word in a `Setting`."""
        return self.values.get(word, word) if self.values else word

    def word(self, value: Any) -> Any:
        """The word that a value of a `Setting`, or of a table, stands for."""
        return next((word for word, kept in self.values.items() if kept == value), value)


_DEVICE = Axis(key="devices", meaning="what computes", option="--device", words=lambda: DEVICES)
_BATCH = Axis(key="batch_sizes", meaning="images a call", option="--batch", label="batch {}", slug="b{}")
_THREADS = Axis(key="threads", meaning="CPU threads of torch", option="--threads", label="threads {}", slug="t{}")
_MEMORY_FORMAT = Axis(
    key="memory_formats",
    meaning="order of weights and input in memory",
    option="--memory-format",
    words=lambda: MEMORY_FORMATS,
)
_DTYPE = Axis(key="dtypes", meaning="in which numbers it computes", option="--dtype", words=lambda: DTYPES)
_RUNTIME = Axis(
    key="runtimes",
    meaning="how the model is run",
    option="--runtime",
    words=lambda: RUNTIMES,
    formerly="mode",
    former_key="modes",
)
_BATCH_NORM = Axis(
    key="batch_norms",
    meaning="where batch norm is computed",
    option="--batch-norm",
    words=lambda: BATCH_NORMS,
    values=MappingProxyType({"kept": False, "folded": True}),
    label="batch norm {}",
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where a latency is taken, axis by axis. An axis with a default is left out of words while it has it."""

    device: str = field(metadata={"axis": _DEVICE})
    batch_size: int = field(metadata={"axis": _BATCH})
    threads: int = field(metadata={"axis": _THREADS})
    memory_format: str = field(metadata={"axis": _MEMORY_FORMAT})
    dtype: str = field(default="float32", metadata={"axis": _DTYPE})
    runtime: str = field(default="eager", metadata={"axis": _RUNTIME})
    folded: bool = field(default=False, metadata={"axis": _BATCH_NORM})

    @property
    def label(self) -> str:
        """In words, usual values left out: `cpu, batch 1, threads 1, channels_last`."""
        return in_words(vars(self))


AXES: Mapping[str, Axis] = MappingProxyType({one.name: one.metadata["axis"] for one in fields(Setting)})
"""Every axis, by the name of its column."""

USUAL: Mapping[str, Any] = MappingProxyType({one.name: one.default for one in fields(Setting)})
"""The usual value of each axis, `MISSING` where it has none."""


def _told(setting: Mapping[Any, Any]) -> list[tuple[Axis, Any]]:
    """The axes that are not as usual, with their words."""
    odd = {name: axis for name, axis in AXES.items() if USUAL[name] is MISSING or setting[name] != USUAL[name]}
    return [(axis, axis.word(setting[name])) for name, axis in odd.items()]


def in_words(setting: Mapping[Any, Any]) -> str:
    """The axes of a setting, or of a row of a table, in words: `cpu, batch 1, threads 1, channels_last`."""
    return ", ".join(axis.label.format(word) for axis, word in _told(setting))


def in_file_name(setting: Mapping[Any, Any]) -> str:
    """The same as a part of a file's name: `cpu_b1_t1_channels_last`."""
    return "_".join(axis.slug.format(word) for axis, word in _told(setting))
