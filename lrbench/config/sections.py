"""What a user chooses: the sections of a sweep spec, each key with its default, range and meaning."""

from functools import partial
from operator import eq, is_
from typing import Annotated, Literal

from pydantic import Field

from lrbench.config import axes, names
from lrbench.config.choice import Choice
from lrbench.config.grid import LayerSetChoice, SweepChoice
from lrbench.config.ranges import Above0, Home, Real, Threads, Times
from lrbench.config.recipes import Baseline, Finetune
from lrbench.config.words import OneOf

Triple = tuple[Real, Real, Real]
Positive = Annotated[Times, Field(ge=1)]


class ModelChoice(Choice):
    """`[model]`: the CNN to compress."""

    name: str = Field(
        "resnet18",
        description="a torchvision classification builder, `timm:NAME` (extra `timm`), or `package.module:callable`",
    )
    weights: Home = Field(
        "none",
        description="`none`; weights of torchvision or timm by name (`DEFAULT`: those recommended); or a file: "
        ".safetensors, .pt, .pth, .ckpt, .pth.tar, .th, .bin, also of the Hugging Face Hub, "
        "`hf://owner/repository/file` (extra `hub`)",
    )
    weights_key: str = Field(
        "",
        exclude_if=partial(eq, ""),
        description="name of the state dict within the file of weights; unset: the first of `state_dict`, "
        "`model_state_dict`, `model`, `net`, `module`, `ema`, `state_dict_ema` that is there",
    )
    materialize: bool = Field(
        False,
        exclude_if=partial(is_, False),
        description="make weights that are computed (weight norm, spectral norm, pruning, parametrizations) plain "
        "parameters, so that their layers can be factorized",
    )

    @property
    def has_weights(self) -> bool:
        """Whether weights are given: the model is not trained from random ones."""
        return self.weights != "none"

    @property
    def words(self) -> str:
        """The weights in words: their name or file, and the key within it."""
        return f"{self.weights} ({self.weights_key})" if self.weights_key else self.weights


class DataChoice(Choice):
    """`[data]`: the images that the model is trained and evaluated on."""

    name: Annotated[str, OneOf("data set", lambda: names.SOURCES, own="package.module:callable")] = Field(
        "digits", description="the images"
    )
    root: Home = Field("data", description="directory of the images; downloads go there")
    image_size: int = Field(32, ge=8, le=1024, description="height and width in pixels, resized and centre-cropped")
    preset: Annotated[str, OneOf("preset", lambda: names.PRESETS)] = Field(
        "none",
        exclude_if=partial(eq, "none"),
        description="what sets those of `image_size`, `resize`, `interpolation`, `mean` and `std` that are not written",
    )
    resize: int = Field(
        0,
        ge=0,
        le=2048,
        exclude_if=partial(eq, 0),
        description="pixels of the shorter side before the middle is cut to `image_size`; 0: as `image_size`",
    )
    interpolation: Annotated[str, OneOf("interpolation", lambda: names.INTERPOLATIONS)] = Field(
        "bilinear", exclude_if=partial(eq, "bilinear"), description="how images are resized"
    )
    mean: Triple = Field((0.5, 0.5, 0.5), description="subtracted per RGB channel, after scaling to 0..1")
    std: tuple[Above0, Above0, Above0] = Field((0.5, 0.5, 0.5), description="divisor per RGB channel")
    augment: Annotated[str, OneOf("augmentation", lambda: names.AUGMENTATIONS)] = Field(
        "none", description="random change of each training image"
    )
    search_share: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="share of the training images set aside for choosing among trials; never used for training or "
        "for reported accuracies",
    )
    search: Home = Field(
        "",
        exclude_if=partial(eq, ""),
        description="directory of images, a folder for each class, to choose among trials by instead of that share",
    )

    @property
    def has_search(self) -> bool:
        """Whether there are images to choose among trials by."""
        return bool(self.search or self.search_share)


class CalibrationChoice(Choice):
    """`[calibration]`: images for output truncation and batch norm, never augmented."""

    images: Times = Field(256, ge=0, description="number of images; 0: none, and batch norm is not re-estimated")
    batch_size: Times = Field(64, ge=2, description="images per batch")
    split: Annotated[str, OneOf("split", lambda: names.CALIBRATION_SPLITS)] = Field(
        "train", description="where they come from"
    )
    recalibrate: bool | Literal["best"] | None = Field(
        None,
        exclude_if=partial(is_, None),
        description="whether batch norm is re-estimated on them after truncation, before finetuning; `best`: a trial "
        "keeps that one of its stages which is best on the search split: truncated, re-estimated or finetuned; unset: "
        "`best` where `model.weights` are given and there is a search split, else `true`",
    )


class LatencyChoice(Choice):
    """`[latency]`: the settings and the length of the timing sessions."""

    devices: tuple[Annotated[str, OneOf("device", lambda: {**names.AUTO_DEVICE, **axes.DEVICES})], ...] = Field(
        ("auto",), description=f"{axes.AXES['device'].meaning}; empty: nothing is timed"
    )
    batch_sizes: tuple[Positive, ...] = Field((1,), min_length=1, description=axes.AXES["batch_size"].meaning)
    threads: tuple[Threads, ...] = Field((1,), min_length=1, description=axes.AXES["threads"].meaning)
    memory_formats: tuple[Annotated[str, OneOf("memory format", lambda: axes.MEMORY_FORMATS)], ...] = Field(
        ("channels_last",), min_length=1, description=axes.AXES["memory_format"].meaning
    )
    dtypes: tuple[Annotated[str, OneOf("dtype", lambda: axes.DTYPES)], ...] = Field(
        ("float32",), min_length=1, description=axes.AXES["dtype"].meaning
    )
    runtimes: tuple[Annotated[str, OneOf("runtime", lambda: axes.RUNTIMES)], ...] = Field(
        ("eager",),
        min_length=1,
        description=axes.AXES["runtime"].meaning,
    )
    batch_norms: tuple[Annotated[str, OneOf("batch norm", lambda: axes.BATCH_NORMS)], ...] = Field(
        ("kept",), min_length=1, description=axes.AXES["folded"].meaning
    )
    precision: Above0 = Field(
        0.02, gt=0, description="a session ends when every 99 % interval has at most this half width, as a share"
    )
    rounds: Times = Field(
        160, ge=10, description="maximum number of rounds, in each of which every architecture runs once"
    )
    limit_s: Above0 = Field(60.0, gt=0, description="seconds after which a session ends, once it has 10 rounds")
    timeout_s: Above0 = Field(
        1800.0, gt=0, description="seconds after which a process of a timing is ended and counts as failed"
    )
    processes: Times = Field(
        3,
        ge=1,
        description="fresh processes that repeat a session; 1: the session runs in the command's own process, unless "
        "the model is code of your own",
    )
    control_within: Above0 = Field(
        0.05, gt=0, description="largest half width, as a share, of the A/A control's interval of a fit timing"
    )
    block_s: Above0 = Field(0.001, gt=0, description="shortest duration of one timed block of calls, in seconds")
    warmup_s: Real = Field(
        0.15,
        ge=0,
        description="seconds of one stretch of warm-up, repeated until a stretch is no faster than the one before",
    )
    group: Times = Field(
        10, ge=1, description="maximum number of architectures in one session, beside the dense model and its copy"
    )


class LayerTableChoice(Choice):
    """`[layer_table]`: the ranks at which `lrbench layers` times each layer."""

    step: Times = Field(
        16, ge=1, description="ranks are multiples of it, up to the first that reaches break-even in MACs"
    )
    points: Times = Field(8, ge=3, description="maximum number of ranks per layer and scheme, evenly spread")


class SensitivityChoice(Choice):
    """`[sensitivity]`: the ranks at which each layer is truncated alone; budget rules choose among them."""

    step: Times = Field(
        8, ge=1, description="ranks are multiples of it, up to the first that reaches break-even in MACs"
    )
    points: Times = Field(
        12, ge=2, description="maximum number of ranks per layer and method, denser towards low ranks"
    )
    accuracy_points: Times = Field(
        0,
        ge=0,
        description="number of these ranks at which accuracy on the search split is measured too (`greedy` needs it)",
    )


class RunChoice(Choice):
    """`[run]`: how a sweep is carried out. No result depends on it, so it is not part of a trial's key."""

    checkpoint_minutes: Real = Field(
        10.0, ge=0, description="minutes of training between checkpoints, which are written at the end of an epoch"
    )
    retries: Times = Field(2, ge=0, description="times that a trial is repeated when its worker or node was lost")
    weights_uri: str = Field(
        "",
        description="URI, writable by fsspec, where the nodes of a cluster put the weights of finished trials; unset: "
        "the weights return to the cache of the command",
    )


SECTIONS: dict[str, type[Choice]] = {
    "model": ModelChoice,
    "data": DataChoice,
    "baseline": Baseline,
    "finetune": Finetune,
    "calibration": CalibrationChoice,
    "sweep": SweepChoice,
    "layer_sets.NAME": LayerSetChoice,
    "latency": LatencyChoice,
    "layer_table": LayerTableChoice,
    "sensitivity": SensitivityChoice,
    "run": RunChoice,
}
"""Every section of a spec by its name."""
