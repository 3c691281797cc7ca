"""How models are trained: the sections `[baseline]` and `[finetune]` of a spec."""

from functools import partial
from operator import eq, is_
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lrbench.config import names
from lrbench.config.choice import Choice
from lrbench.config.ranges import Rate, Real, Seed, Times
from lrbench.config.words import OneOf

Schedule = Annotated[str, OneOf("schedule", lambda: names.SCHEDULES)]


class Recipe(Choice):
    """How a model is trained."""

    epochs: Times = Field(10, ge=0, description="passes over the training images; 0 trains nothing")
    batch_size: Times = Field(32, ge=2, description="images per step")
    optimizer: Annotated[str, OneOf("optimizer", lambda: names.OPTIMIZERS)] = Field("sgd", description="update rule")
    lr: Rate = Field(0.05, gt=0, description="highest learning rate of the schedule")
    momentum: float = Field(0.9, ge=0, lt=1, description="how much earlier gradients count, as the optimizer uses it")
    weight_decay: Real = Field(5e-4, ge=0, description="pull of weights towards 0, as the optimizer applies it")
    schedule: Schedule = Field("one-cycle", description="learning rate over the steps")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread over all classes")
    device: str = Field("auto", description="`auto` (cuda, then mps, then cpu) or a torch device")
    channels_last: bool = Field(True, description="train in channels_last memory format")
    amp: bool | Literal["bfloat16", "auto"] = Field(
        True,
        description="mixed precision: `true`: on CUDA, in bfloat16 if the GPU supports it, else float16; `auto`: as "
        "`true`, and bfloat16 where a processor has units for it and batches are large; `bfloat16`: on any device, on "
        "a processor without such units many times slower; evaluation is always in float32",
    )
    compile: bool = Field(
        False, exclude_if=partial(is_, False), description="train through torch.compile, which takes a minute to start"
    )


class Baseline(Recipe):
    """`[baseline]`: how the dense model is trained before truncation."""

    seed: Seed | None = Field(
        None, description="seed of one baseline for all trials; unset: a baseline for each trial seed"
    )


class Finetune(Recipe):
    """`[finetune]`: the training that every trial gets after truncation, the dense control included.

    A dump leaves out later keys at their defaults, so that the keys of trials and of kept weights do not change.
    """

    epochs: Times = Field(2, ge=0, description="passes over the training images; 0 trains nothing")
    lr: Rate = Field(0.01, gt=0, description="highest learning rate of the schedule")
    schedule: Schedule = Field("cosine", description="learning rate over the steps")
    distill: float = Field(
        0.0,
        ge=0,
        le=1,
        exclude_if=partial(eq, 0.0),
        description="share of the loss taken from the dense model's predictions instead of labels (Hinton et al. 2015)",
    )
    temperature: Real = Field(
        4.0,
        gt=0,
        exclude_if=partial(eq, 4.0),
        description="temperature by which distillation softens predictions",
    )
    batch_norm: Annotated[str, OneOf("batch norm treatment", lambda: names.TUNED_BATCH_NORMS)] = Field(
        "train", exclude_if=partial(eq, "train"), description="what happens to the statistics of batch norm"
    )

    loop: str = Field(
        "",
        exclude_if=partial(eq, ""),
        description="`package.module:callable` that trains in place of lrbench's own loop: called with model, data and "
        "budget, it returns the model (docs/loops.md); unset: lrbench's own",
    )

    @model_validator(mode="after")
    def _what_a_loop_does_itself(self) -> "Finetune":
        if self.loop and (self.distill or self.batch_norm == "frozen"):
            raise ValueError("loop: a loop of your own does distill and frozen batch norm itself; leave both out")
        return self

    @property
    def recipe(self) -> str:
        """What differs beside epochs, in words: the treatment of batch norm, and the share that is distilled."""
        if self.loop:
            return f"{self.batch_norm} loop={self.loop}"
        return f"{self.batch_norm} distill={self.distill:g}" if self.distill else self.batch_norm
