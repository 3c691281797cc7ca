"""Budget rules: which (scheme, rank) each layer gets, so that the whole model keeps to a budget.

To add one, write a function from options to choices and add one entry to `ALLOCATIONS`.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from types import MappingProxyType

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from lrbench.lowrank.cuts import Cut

COSTS = ("macs", "params", "latency")
"""What a budget may count, each as a share of the dense model's."""


class OverBudgetError(ValueError):
    """No choice of options keeps to the budget; the least sum of costs is the argument."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to keep a layer: dense, or factorized.

    Attributes:
        cut: what happens to the layer.
        params: of the layer, bias included.
        macs: of the layer.
        cost: what it changes in what the budget counts, as a share of the whole dense model's; below 0 it saves.
        score: what it loses, in what the allocation looks at; 0 when dense.
        damage: predicted damage to the whole model; damages of layers add up.
        added_s: seconds that it adds to a call of the model, None when that is not known.
    """

    cut: Cut
    params: int
    macs: int
    cost: float = 0.0
    score: float = 0.0
    damage: float = 0.0
    added_s: float | None = 0.0


Layers = Sequence[Sequence[Option]]
"""The options of each layer; the dense one is among them."""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """A way to spend a budget: which score it compares options by (`SCORES` of `plan/budgets.py`), and its choice."""

    paper: str
    score: str
    choose: Callable[[Layers, float], tuple[Option, ...]]


TOLERANCE = 1e-6
"""How far HiGHS may exceed a constraint; the budget is lowered by as much."""

SCALE = 1e4
"""The largest score as HiGHS sees it, whose sums are exact to 1e-6."""


def least_sum(layers: Layers, budget: float) -> tuple[Option, ...]:
    """One option a layer with the least sum of scores within the budget: a multiple-choice knapsack, solved exactly.

    HiGHS compares sums to a fixed precision. So options that alone lose more than a sum already found are left out,
    and what remains is solved again on its own scale, until none is left out.

    Raises: OverBudgetError when even the cheapest options exceed the budget.
    """
    _check_reachable(layers, budget - TOLERANCE)
    least = [min(option.score for option in layer) for layer in layers]
    kept = [list(layer) for layer in layers]
    while True:
        chosen = _solve(kept, least, budget - TOLERANCE)
        reached = sum(option.score - low for option, low in zip(chosen, least, strict=True))
        fewer = [[o for o in layer if o.score - low <= reached] for layer, low in zip(kept, least, strict=True)]
        if fewer == kept:
            return chosen
        kept = fewer


def _solve(layers: Layers, least: Sequence[float], budget: float) -> tuple[Option, ...]:
    """One option a layer with the least sum of scores above the `least` of each layer, to a 1e-10th of the largest."""
    options = list(chain.from_iterable(layers))
    owner = np.repeat(np.arange(len(layers)), [len(layer) for layer in layers])
    scores = np.array([option.score for option in options]) - np.array(least)[owner]
    one_each = csr_array((np.ones(len(options)), (owner, np.arange(len(options)))), shape=(len(layers), len(options)))
    costs = np.array([[option.cost for option in options]])
    solution = milp(
        SCALE * scores / (scores.max() or 1),
        integrality=np.ones(len(options)),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(costs, -inf, budget)],
        options={"mip_rel_gap": 0},
    )
    assert solution.x is not None, solution.message
    return tuple(option for option, taken in zip(options, solution.x, strict=True) if taken > 0.5)


def least_level(layers: Layers, budget: float) -> tuple[Option, ...]:
    """The lowest level such that the cheapest option of each layer whose score keeps to it is within the budget.

    The rest of the budget then goes, step by step, to the layer that is worst off and can afford a better option.

    Raises: OverBudgetError when even the cheapest options exceed the budget.
    """
    _check_reachable(layers, budget)

    def at(level: float) -> tuple[Option, ...]:
        allowed = ([option for option in layer if option.score <= level] for layer in layers)
        return tuple(min(options, key=lambda option: (option.cost, option.score)) for options in allowed)

    levels = sorted({option.score for option in chain.from_iterable(layers)})
    least = bisect_left(levels, True, key=lambda level: _cost(at(level)) <= budget)
    return _spend_rest(layers, at(levels[least]), budget)


def _spend_rest(layers: Layers, chosen: tuple[Option, ...], budget: float) -> tuple[Option, ...]:
    best = list(chosen)
    while True:
        left = budget - _cost(best)
        for i in sorted(range(len(best)), key=lambda i: -best[i].score):
            better = [o for o in layers[i] if o.score < best[i].score and o.cost - best[i].cost <= left]
            if better:
                best[i] = min(better, key=lambda option: (option.cost, option.score))
                break
        else:
            return tuple(best)


def _cost(chosen: Sequence[Option]) -> float:
    return sum(option.cost for option in chosen)


def _check_reachable(layers: Layers, budget: float) -> None:
    least = sum(min(option.cost for option in layer) for layer in layers)
    if least > budget:
        raise OverBudgetError(least)


ALLOCATIONS: Mapping[str, Allocation] = MappingProxyType(
    {
        "knapsack": Allocation(
            paper="multiple-choice knapsack (Kellerer, Pferschy & Pisinger 2004, ch. 11), by HiGHS branch and bound",
            score="damage",
            choose=least_sum,
        ),
        "uniform": Allocation(paper="one share of its MACs for every layer", score="macs_saved", choose=least_level),
        "global-energy": Allocation(
            paper="one share of energy for every layer (PCA energy of Kim, Khan & Kyung 2019, arXiv 1811.12781)",
            score="energy_lost",
            choose=least_level,
        ),
        "greedy": Allocation(
            paper="one accuracy, each layer truncated alone (AIMET's greedy selection of compression ratios)",
            score="drop",
            choose=least_level,
        ),
        "minmax": Allocation(
            paper="the least largest relative spectral error (ALDS, Liebenwein et al. 2021, arXiv 2107.11442)",
            score="spectral_error",
            choose=least_level,
        ),
    }
)
"""By name, the ways to spend a budget."""


@dataclass(frozen=True, kw_only=True)
class BudgetRule:
    """`knapsack macs=0.5`: an allocation, what its budget counts, and the share of the dense model's to spend."""

    allocation: str
    cost: str
    share: float

    needs_weights = True

    def __post_init__(self) -> None:
        """Raises: ValueError naming what is allowed."""
        if self.cost not in COSTS:
            raise ValueError(f"a budget counts one of {', '.join(COSTS)}, got {self.cost!r}")
        if not 0 < self.share < 1:
            raise ValueError(f"a budget must lie between 0 and 1, got {self.share}")

    def __str__(self) -> str:
        """The text that reads back as the rule."""
        return f"{self.allocation} {self.cost}={self.share!r}"


def parse_budget(text: str) -> BudgetRule | None:
    """Read `knapsack macs=0.5`; None when the text names no allocation.

    Raises: ValueError when it does, and the rest is not one budget.
    """
    name, *rest = text.split() or [""]
    if name not in ALLOCATIONS:
        return None
    cost, _, share = rest[0].partition("=") if len(rest) == 1 else ("", "", "")
    try:
        number = float(share)
    except ValueError:
        usage = " or ".join(f"{name} {cost}=0.5" for cost in COSTS)
        raise ValueError(f"{text!r}: {name} must be followed by one budget: {usage}") from None
    return BudgetRule(allocation=name, cost=cost, share=number)
