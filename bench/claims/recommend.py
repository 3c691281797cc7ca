"""docs/recommend.md."""

from collections.abc import Iterator

from bench.claims.calibration import KNOWN, OTHERS, overconfidence, splits
from bench.claims.claim import Claim, computed
from bench.claims.tables import EPYC, advised, mean, timing, trials, where
from lrbench.config.names import ADVICE_CONFIDENCE
from lrbench.statistics import paired, posterior
from lrbench.statistics.luck import PRIOR


def claims() -> Iterator[Claim]:
    """The example, then how sure the command is."""
    found = advised("imagenette", {"max-drop": 0.01})
    taken = found.taken
    yield computed(
        f"trial {taken['trial']}, seed 0; least latency of those that keep to each limit with a probability of {{}}% "
        "or more, chosen on the search split among {} points ...",
        100 * ADVICE_CONFIDENCE,
        found.candidates,
    )
    yield computed(
        "On the {} test images, which no choice saw, it is {} points better than its dense control ({} worse to {} "
        "better, {} %) at {} of dense's time ({}-{}, {} %) on the machine timed most",
        mean(where(trials(), trial=taken["trial"]), "samples"),
        -100 * taken["test_drop"],
        100 * taken["test_drop_high"],
        -100 * taken["test_drop_low"],
        100 * posterior.CONFIDENCE,
        taken["ratio"],
        taken["ratio_low"],
        taken["ratio_high"],
        100 * paired.CONFIDENCE,
    )
    own = timing(taken["trial"], EPYC)
    yield computed("on the study's own it takes {} ({}-{})", own["ratio"], own["ratio_low"], own["ratio_high"])
    yield computed('"tied with {} others on {} images"', found.tied, taken["samples"])
    yield computed("not significantly different ({} %, paired, training", 100 * posterior.CONFIDENCE)
    yield computed("hold with `--confidence` ({})", ADVICE_CONFIDENCE)
    yield computed("for the example {} and {} %", 100 * found.probability, 100 * found.retrained)
    yield computed(
        "({} points of a drop, which count as {} degrees of freedom)", 100 * PRIOR.variance**0.5, PRIOR.freedom
    )
    all_limits, tight, others = (
        overconfidence(study, limits=limits)[:-1]
        for study, limits in ((KNOWN, "all"), (KNOWN, "at most 2 points"), (OTHERS, "all"))
    )
    yield computed(
        "on {} search splits drawn from this study, drops said to keep their limit with {} to {} did so {} to {} "
        "points less often, with limits of at most {} points {} to {} less; on the digits, of which the prior knows "
        "nothing, {} to {} points more often",
        splits(),
        0.5,
        0.9,
        min(all_limits),
        max(all_limits),
        2,
        min(tight),
        max(tight),
        -max(others),
        -min(others),
    )
