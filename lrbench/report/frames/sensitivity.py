"""What cutting one layer alone costs, by layer and by the share of its MACs that is left."""

import numpy as np
import pandas as pd

from lrbench.report.frames.trials import name_methods

STEP = 0.1
"""Width of a bin of MAC shares."""


def sensitivity_grid(sensitivity: pd.DataFrame) -> pd.DataFrame:
    """Output error and accuracy loss of single layers, each binned by its share of the dense layer's MACs.

    Of several baselines the first counts.

    Args:
        sensitivity: rows of `sensitivity.csv`.

    Returns: one row a method, layer and `mac_share` (the bin's upper end): `output_error` and `accuracy_loss` (of the
        dense model less that of the cut one on the search split; empty where not measured), means over its `ranks`.
    """
    of_first = sensitivity[sensitivity["baseline"].isin(sensitivity["baseline"].iloc[:1])]
    share = of_first["macs"].astype(float) / of_first["dense_macs"].astype(float)
    known = of_first.assign(
        method=name_methods(of_first),
        mac_share=(np.ceil(share / STEP - 1e-9) * STEP).round(9),
        output_error=of_first["output_error"].astype(float),
        accuracy_loss=of_first["dense_accuracy"].astype(float) - of_first["accuracy"].astype(float),
    )
    groups = known.groupby(["baseline", "method", "layer", "mac_share"], sort=False, as_index=False)
    return groups.agg(
        output_error=("output_error", "mean"), accuracy_loss=("accuracy_loss", "mean"), ranks=("rank", "nunique")
    )
