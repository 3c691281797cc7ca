"""docs/ci.md."""

from collections.abc import Iterator

from bench.claims import gate
from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import table, trials, where
from lrbench.gate.accuracy import FOUND
from lrbench.gate.tolerances import Tolerances


def claims() -> Iterator[Claim]:
    """Accuracy, history, and `lrbench regress`."""
    tolerances = Tolerances()
    yield computed("is refused at {} %", 100 * tolerances.accuracy.confidence)
    yield computed("the {} % lower bound", 100 * tolerances.timed.confidence)
    yield computed("else `seed_sd`, {} points", 100 * tolerances.accuracy.seed_sd)
    yield computed("to be found in {} of {} runs", 10 * FOUND, 10)
    alarms = gate.alarms("measured")
    cases = table("gate/accuracy.csv")["cases"].max()
    yield computed(
        "that is {} points with one seed and {} with six; {} points were found in {} % with one seed, {} in {} % with "
        "six, and an allowed drop was called worse in at most {} of {} cases",
        gate.stated_excess(1),
        gate.stated_excess(6),
        2.5,
        gate.found(0.025, 1),
        1.5,
        gate.found(0.015, 6),
        alarms.max() / 100 * cases,
        cases,
    )
    yield computed("{} points is what finetuning's seed does there", 100 * tolerances.accuracy.seed_sd)
    yield from where_seeds_do_more()
    yield from history()
    yield stated("setting", "wait for 15 % of their own time", "bench/study_gate.py")


def seed_deviations(column: str) -> dict[tuple[str, str], float]:
    """The standard deviation of an accuracy over seeds on digits, in points, by share of the rank and truncation."""
    cut = trials("truncation")
    cut = cut[cut["scheme"] != "dense"]
    groups = cut.groupby(["rank_rule", "truncation"])[column]
    return {
        (str(rule).removeprefix("fraction="), str(truncation)): 100 * float(accuracies.std())
        for (rule, truncation), accuracies in groups
    }


def where_seeds_do_more() -> Iterator[Claim]:
    """Digits, and the false alarms of the default there."""
    recalibrated = [
        points for (share, _), points in seed_deviations("accuracy_recalibrated").items() if share != "0.05"
    ]
    truncated = seed_deviations("accuracy_truncated")
    yield computed(
        "({} to {} points on digits, whose dense models differ too, with batch norm re-estimated; {} to {} points for",
        min(recalibrated),
        max(recalibrated),
        truncated["0.05", "output"],
        truncated["0.05", "plain"],
    )
    yield computed("raises false alarms, {} % where seeds do four times as much", gate.alarms("four times")[1])


def history() -> Iterator[Claim]:
    """`lrbench history` on noise, and on planted steps."""
    noise = gate.marked("noise")
    yield computed(
        "whose autocorrelation reaches {}, rounded or not, at most {} %", noise["lag"].max(), noise["marked"].max()
    )
    small, large = gate.steps(0.02), gate.steps(0.03)
    yield computed(
        "{} % more in the last eight runs was found in {} % where runs differ by {} % and eight came before, in {} % "
        "where they differ by {} %, then in {} % with 22 before",
        10,
        small[0],
        2,
        large[0],
        3,
        where(gate.marked("step"), sd=0.03, lag=0.0, runs=30)["marked"].iloc[0],
    )
