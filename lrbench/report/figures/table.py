"""The table of figures, by file name."""

from collections.abc import Mapping
from types import MappingProxyType

from lrbench.report.figures import (
    accuracy_latency,
    accuracy_macs,
    accuracy_params,
    accuracy_stages,
    additivity,
    audit,
    budgets,
    damage_calibration,
    hypervolumes,
    layers,
    layers_heat,
    learning_curves,
    macs_latency,
    score_correlations,
    sensitivity,
    spectra,
    truncation_errors,
)
from lrbench.report.figures.figure import Figure, alone, by_setting, with_subject

FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "accuracy_params": Figure(
            info=accuracy_params.info,
            draw=accuracy_params.draw,
            pictures=with_subject,
            title="Accuracy against params",
            needs=lambda results: results.trials,
            tables={"standings": lambda results: results.standings},
        ),
        "accuracy_macs": Figure(
            info=accuracy_macs.info,
            draw=accuracy_macs.draw,
            pictures=with_subject,
            title="Accuracy against MACs of one image",
            needs=lambda results: results.trials,
        ),
        "accuracy_stages": Figure(
            info=accuracy_stages.info,
            draw=accuracy_stages.draw,
            pictures=alone,
            needs=lambda results: results.trials,
        ),
        "spectra": Figure(info=spectra.info, draw=spectra.draw, pictures=alone, needs=lambda results: results.trials),
        "accuracy_latency": Figure(
            info=accuracy_latency.info,
            draw=accuracy_latency.draw,
            pictures=by_setting,
            title="Accuracy against latency",
            tables={"latency_ratios": lambda results: results.latency_ratios},
        ),
        "truncation_errors": Figure(
            info=truncation_errors.info,
            draw=truncation_errors.draw,
            pictures=alone,
            tables={"truncation_errors": truncation_errors.info},
        ),
        "score_correlations": Figure(
            info=score_correlations.info,
            draw=score_correlations.draw,
            pictures=alone,
            tables={"score_correlations": score_correlations.info},
        ),
        "hypervolumes": Figure(
            info=hypervolumes.info,
            draw=hypervolumes.draw,
            pictures=alone,
            tables={"hypervolumes": lambda results: results.hypervolumes},
        ),
        "budgets": Figure(info=budgets.info, draw=budgets.draw, pictures=alone, tables={"budgets": budgets.info}),
        "learning_curves": Figure(info=learning_curves.info, draw=learning_curves.draw, pictures=alone),
        "macs_latency": Figure(
            info=macs_latency.info, draw=macs_latency.draw, pictures=by_setting, title="Latency against MACs"
        ),
        "layers": Figure(
            info=layers.info,
            draw=layers.draw,
            pictures=by_setting,
            title="Latency of single layers",
            tables={"layer_latency_ratios": layers.info, "layer_breakeven": lambda results: results.breakeven},
        ),
        "layers_heat": Figure(
            info=layers_heat.info, draw=layers_heat.draw, pictures=by_setting, title="Latency ratio of layers"
        ),
        "additivity": Figure(
            info=additivity.info,
            draw=additivity.draw,
            pictures=by_setting,
            title="Layers against whole models",
            tables={"additivity": additivity.info},
        ),
        "audit": Figure(
            info=audit.info,
            draw=audit.draw,
            pictures=alone,
            tables={"audit": audit.info, "audit_correlations": lambda results: results.audit_correlations},
        ),
        "damage_calibration": Figure(
            info=damage_calibration.info,
            draw=damage_calibration.draw,
            pictures=alone,
            tables={
                "damage_calibration": damage_calibration.info,
                "damage_order": lambda results: results.damage_order,
            },
        ),
        "sensitivity": Figure(
            info=sensitivity.info, draw=sensitivity.draw, pictures=alone, tables={"sensitivity": sensitivity.info}
        ),
    }
)
"""What `lrbench plots` draws. To add a figure, write `info` and `draw` in a file of its name, and an entry here."""
