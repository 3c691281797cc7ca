"""The axes of a setting: their names, the words they take, their labels. Each axis is declared once, in `Setting`.

To add a word, add one entry to its table here and one to the table of functions behind it (a test compares the two).
To add an axis, add a field to `Setting`, and to `LatencyChoice` the key that its axis names.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any

Words = Mapping[str, str]
"""What may be chosen, each word with its meaning."""

DEVICES: Words = MappingProxyType({"cpu": "the processor", "cuda": "an NVIDIA GPU", "mps": "an Apple GPU"})

MEMORY_FORMATS: Words = MappingProxyType({"contiguous": "channels outermost", "channels_last": "channels innermost"})

DTYPES: Words = MappingProxyType(
    {
        "float32": "weights and input",
        "bfloat16": "weights and input",
        "amp": "float32 weights, autocast to bfloat16",
    }
)

RUNTIMES: Words = MappingProxyType(
    {"eager": "operator by operator", "compile": "with torch.compile", "cuda-graph": "as one captured CUDA graph"}
)

BATCH_NORMS: Words = MappingProxyType(
    {"kept": "as separate layers", "folded": "into the preceding convolutions, as for deployment"}
)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The declaration of one axis.

    Attributes:
        key: its key in `[latency]`, where a spec lists the words to time.
        meaning: what it says about a timing.
        option: the command-line option that takes one of its words.
        words: looks up the allowed words; None where the axis takes whole numbers from 1.
        values: the value of each word in a `Setting` and on disk, where that is not the word itself.
        label: format of a word in a label, beside those of other axes.
        slug: format of a word in a file name.
        formerly: the earlier name of its column, by which old logs and tables are read; "" when it never changed.
        former_key: the earlier name of its key.
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
        """Its name in error messages: `memory format`."""
        return self.option.removeprefix("--").replace("-", " ")

    def value(self, word: Any) -> Any:
        """The value of a word in a `Setting`."""
        return self.values.get(word, word) if self.values else word

    def word(self, value: Any) -> Any:
        """The word for a value of a `Setting` or of a table."""
        return next((word for word, stored in self.values.items() if stored == value), value)


_DEVICE = Axis(key="devices", meaning="device that runs the model", option="--device", words=lambda: DEVICES)
_BATCH = Axis(key="batch_sizes", meaning="images per call", option="--batch", label="batch {}", slug="b{}")
_THREADS = Axis(key="threads", meaning="CPU threads of torch", option="--threads", label="threads {}", slug="t{}")
_MEMORY_FORMAT = Axis(
    key="memory_formats",
    meaning="memory layout of weights and input",
    option="--memory-format",
    words=lambda: MEMORY_FORMATS,
)
_DTYPE = Axis(key="dtypes", meaning="number format of the computation", option="--dtype", words=lambda: DTYPES)
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
    """Where a latency is taken, axis by axis. Labels leave out an axis that is at its default."""

    device: str = field(metadata={"axis": _DEVICE})
    batch_size: int = field(metadata={"axis": _BATCH})
    threads: int = field(metadata={"axis": _THREADS})
    memory_format: str = field(metadata={"axis": _MEMORY_FORMAT})
    dtype: str = field(default="float32", metadata={"axis": _DTYPE})
    runtime: str = field(default="eager", metadata={"axis": _RUNTIME})
    folded: bool = field(default=False, metadata={"axis": _BATCH_NORM})

    @property
    def label(self) -> str:
        """A label without default values: `cpu, batch 1, threads 1, channels_last`."""
        return in_words(vars(self))


AXES: Mapping[str, Axis] = MappingProxyType({declared.name: declared.metadata["axis"] for declared in fields(Setting)})
"""Every axis by the name of its column."""

FORMER_KEYS: Mapping[str, str] = MappingProxyType(
    {f"latency.{axis.former_key}": f"latency.{axis.key}" for axis in AXES.values() if axis.former_key}
)
"""The keys of a spec that had another name in earlier versions: that name -> today's."""

USUAL: Mapping[str, Any] = MappingProxyType({declared.name: declared.default for declared in fields(Setting)})
"""The usual value of each axis, `MISSING` where it has none."""


def _unusual(setting: Mapping[Any, Any]) -> list[tuple[Axis, Any]]:
    """The axes that are not at their usual values, with their words."""
    unusual = {name: axis for name, axis in AXES.items() if USUAL[name] is MISSING or setting[name] != USUAL[name]}
    return [(axis, axis.word(setting[name])) for name, axis in unusual.items()]


def in_words(setting: Mapping[Any, Any]) -> str:
    """The axes of a setting, or of a row of a table, in words: `cpu, batch 1, threads 1, channels_last`."""
    return ", ".join(axis.label.format(word) for axis, word in _unusual(setting))


def in_file_name(setting: Mapping[Any, Any]) -> str:
    """The same for a file name: `cpu_b1_t1_channels_last`."""
    return "_".join(axis.slug.format(word) for axis, word in _unusual(setting))
