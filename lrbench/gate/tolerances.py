"""How much worse is still the same: the keys of `tolerances.toml`, which lies beside a baseline."""

from pathlib import Path

from pydantic import Field

from lrbench.config.choice import Choice
from lrbench.config.manual import describe_keys
from lrbench.config.reading import read_toml, validate

FILE = "tolerances.toml"


class WeightTolerance(Choice):
    """`[toleranced]`: figures that depend on trained weights, which differ from processor to processor."""

    weight_error: float = Field(0.01, ge=0, description="share by which a trial's weight errors may rise")
    chosen_costs: float = Field(
        0.02, ge=0, description="share by which params and MACs may rise where trained weights decide the ranks"
    )
    full_rank_loss: float = Field(1e-3, ge=0, description="nats by which full-rank factors may change the loss")


class AccuracyTolerance(Choice):
    """`[accuracy]`: a drop is worse when it surely exceeds the tolerance, over the noise of images and seeds."""

    drop: float = Field(0.01, ge=0, le=1, description="drop in accuracy that is allowed, 0..1")
    confidence: float = Field(
        0.99, gt=0.5, lt=1, description="confidence that a drop exceeds what is allowed, over all names together"
    )
    seed_sd: float = Field(
        0.0032,
        ge=0,
        le=1,
        description="standard deviation of an accuracy from seed to seed, 0..1, where too few seeds show their own "
        "(0.0032: of finetuning in results/imagenette, 14 pairs of seeds)",
    )


class TimeTolerance(Choice):
    """`[timed]`: a ratio is worse when its lower bound exceeds the slack and a second session says so too."""

    slack: float = Field(0.05, ge=0, description="share by which a latency may rise")
    confidence: float = Field(0.99, gt=0.5, lt=1, description="confidence of the lower bound, over all names together")


class Tolerances(Choice):
    """All of them."""

    toleranced: WeightTolerance = WeightTolerance()
    accuracy: AccuracyTolerance = AccuracyTolerance()
    timed: TimeTolerance = TimeTolerance()


def describe_tolerances() -> str:
    """Every key of a file of tolerances with its default and meaning."""
    sections: dict[str, type[Choice]] = {
        "toleranced": WeightTolerance,
        "accuracy": AccuracyTolerance,
        "timed": TimeTolerance,
    }
    return describe_keys(f"Keys of {FILE}", sections)


def load_tolerances(path: Path) -> Tolerances:
    """Read a file of tolerances.

    Raises: InputError naming file, key and what is allowed.
    """
    return validate(Tolerances, read_toml(path, what="tolerances"), where=f"tolerances {path}")


def tolerances_beside(baseline: Path) -> Tolerances:
    """Those of a baseline's own file, or the defaults when it has none."""
    path = baseline / FILE
    return load_tolerances(path) if path.is_file() else Tolerances()
