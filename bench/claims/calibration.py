"""How much more sure `lrbench recommend` was than right: of results/choices, for two documents."""

import pandas as pd

from bench.claims.tables import table, where
from bench.study_choices import SPLITS

KNOWN, OTHERS = "all that the prior knows", "all others"
KNOWN_STUDIES = ("imagenette, train", "imagenette, train, not finetuned")


def overconfidence(study: str, constraint: str = "max-drop", limits: str = "all") -> list[float]:
    """Points by which choices held less often than said, in each bin of their probability from 0.5 up."""
    rows = where(table("choices/calibration.csv"), study=study, constraint=constraint, limits=limits)
    weighed = rows.assign(over=100 * rows["choices"] * (rows["probability"] - rows["held"]))
    sums: pd.DataFrame = weighed.groupby("bin")[["over", "choices"]].sum()
    return [float(share) for share in sums["over"] / sums["choices"]]


def splits() -> int:
    """How many search splits were drawn from the studies that the prior knows."""
    return len(KNOWN_STUDIES) * sum(SPLITS.values())
