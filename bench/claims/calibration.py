"""How much more sure `lrbench recommend` was than right: of results/choices, for two documents."""

import pandas as pd

from bench.claims.tables import table, where

KNOWN, OTHERS = "all that the prior knows", "all others"


def overconfidence(study: str, constraint: str = "max-drop", limits: str = "all") -> list[float]:
    """Points by which choices held less often than said, in each bin of their probability from 0.5 up."""
    rows = where(table("choices/calibration.csv"), study=study, constraint=constraint, limits=limits)
    weighed = rows.assign(over=100 * rows["choices"] * (rows["probability"] - rows["held"]))
    sums: pd.DataFrame = weighed.groupby("bin")[["over", "choices"]].sum()
    return [float(share) for share in sums["over"] / sums["choices"]]
