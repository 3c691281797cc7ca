"""Budget rules: their texts, and the choices they make, against every choice there is."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.lowrank.allocations import ALLOCATIONS, COSTS, BudgetRule, Option, OverBudgetError, least_level, least_sum
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.rule_texts import format_rule, parse_rule

DENSE = Cut(layer="a", scheme="dense")
KEPT = Option(cut=DENSE, params=1, macs=1)
numbers = st.integers(1, 1000).map(lambda n: n / 1000)


@st.composite
def tables(draw: st.DrawFn) -> list[list[Option]]:
    """Up to four layers with up to four options each, the dense one first; shares of a model add up to at most 1."""
    layers = draw(st.integers(1, 4))
    saved = st.integers(1, 1000).map(lambda n: -n / 1000 / layers)
    options = st.builds(
        Option, cut=st.just(DENSE), params=st.just(1), macs=st.just(1), cost=saved, score=numbers, damage=numbers
    )
    return [[Option(cut=DENSE, params=1, macs=1), *draw(st.lists(options, max_size=3))] for _ in range(layers)]


def cost(chosen: tuple[Option, ...]) -> float:
    return sum(option.cost for option in chosen)


def loss(chosen: tuple[Option, ...]) -> float:
    return sum(option.score for option in chosen)


@given(layers=tables(), share=numbers)
def test_the_knapsack_is_the_best_of_all_choices_within_the_budget(layers: list[list[Option]], share: float) -> None:
    able = [chosen for chosen in product(*layers) if cost(chosen) <= share - 1 - 1e-6]
    if not able:
        with pytest.raises(OverBudgetError):
            least_sum(layers, share - 1)
        return
    found = least_sum(layers, share - 1)
    assert cost(found) <= share - 1 + 1e-12
    assert loss(found) <= min(map(loss, able)) + 1e-9
    assert all(option in some for option, some in zip(found, layers, strict=True))


def drawn(random: np.random.Generator) -> tuple[list[list[Option]], int]:
    """Options whose costs are whole thousandths and whose damages lie anywhere from 1e-8 to 1, and a budget."""
    layers = [
        [
            replace(KEPT, cost=int(thousandths) / 1000, score=10 ** random.uniform(-8, 0))
            for thousandths in random.integers(1, 200, size=random.integers(2, 8))
        ]
        for _ in range(random.integers(2, 7))
    ]
    least, most = (sum(pick(round(one.cost * 1000) for one in layer) for layer in layers) for pick in (min, max))
    return layers, int(random.integers(least, most + 1))


def least_by_dynamic_programme(layers: list[list[Option]], budget: int) -> float:
    """The least sum of scores by a table over the budgets 0, 1, ... thousandths."""
    least = np.zeros(budget + 1)
    for layer in layers:
        taken = np.full(budget + 1, np.inf)
        for one in layer:
            cost = round(one.cost * 1000)
            if cost <= budget:
                taken[cost:] = np.minimum(taken[cost:], least[: budget + 1 - cost] + one.score)
        least = taken
    return float(least[budget])


def test_the_knapsack_is_exact_at_any_scale_of_damage() -> None:
    random = np.random.default_rng(0)
    for _ in range(1000):
        layers, budget = drawn(random)
        found = least_sum(layers, (budget + 0.5) / 1000)
        assert sum(round(one.cost * 1000) for one in found) <= budget
        assert sum(one.score for one in found) == pytest.approx(least_by_dynamic_programme(layers, budget), rel=1e-9)


@given(layers=tables(), share=numbers)
def test_the_worst_layer_of_a_level_is_the_best_of_all_choices(layers: list[list[Option]], share: float) -> None:
    able = [chosen for chosen in product(*layers) if cost(chosen) <= share - 1]
    if not able:
        with pytest.raises(OverBudgetError):
            least_level(layers, share - 1)
        return
    found = least_level(layers, share - 1)
    assert cost(found) <= share - 1 + 1e-12
    assert max(o.score for o in found) == min(max(o.score for o in chosen) for chosen in able)


def test_what_a_level_leaves_over_goes_step_by_step_to_the_layer_that_is_worst_off() -> None:
    stairs = [(-0.4, 0.8), (-0.3, 0.6), (-0.2, 0.4), (-0.1, 0.2)]
    layers = [
        [
            Option(cut=DENSE, params=1, macs=1),
            *(Option(cut=DENSE, params=1, macs=1, cost=c, score=s) for c, s in stairs),
        ]
    ] * 3
    assert [o.score for o in least_level(layers, -1.2)] == [0.8, 0.8, 0.8]
    assert [o.score for o in least_level(layers, -0.85)] == [0.6, 0.6, 0.6]
    assert sorted(o.score for o in least_level(layers, -0.75)) == [0.4, 0.6, 0.6]
    assert sorted(o.score for o in least_level(layers, -0.65)) == [0.4, 0.4, 0.6], "no layer runs ahead of the others"


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("counted", COSTS)
def test_the_text_of_a_budget_parses_back_to_it(allocation: str, counted: str) -> None:
    rule = BudgetRule(allocation=allocation, cost=counted, share=0.375)
    assert format_rule(rule) == f"{allocation} {counted}=0.375"
    assert parse_rule(f" {allocation}  {counted}=0.375 ") == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("knapsack", "knapsack must be followed by one budget: knapsack macs=0.5 or knapsack params=0.5 or"),
        ("knapsack macs", "followed by one budget"),
        ("knapsack macs=0.5 max=full", "followed by one budget"),
        ("uniform time=0.5", "a budget counts one of macs, params, latency, got 'time'"),
        ("greedy macs=1", "a budget must lie between 0 and 1, got 1.0"),
        ("greedy macs=nan", "a budget must lie between 0 and 1, got nan"),
    ],
)
def test_a_wrong_budget_says_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_rule(text)
