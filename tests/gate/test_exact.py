"""Which rank rules depend on trained weights, compared with the ranks that they give."""

import pytest

from lrbench.config import names
from lrbench.gate.exact import depends_on_weights
from lrbench.lowrank.allocations import ALLOCATIONS, COSTS
from lrbench.lowrank.ranks import Candidate
from lrbench.lowrank.rule_texts import parse_rule


def layer(*values: float) -> Candidate:
    """A layer of ten useful ranks whose weight has these singular values."""
    squares = [value**2 for value in values]
    return Candidate(
        max_rank=10,
        params_share=lambda rank: rank / 12,
        macs_share=lambda rank: rank / 12,
        energies=tuple(sum(squares[: i + 1]) / sum(squares) for i in range(10)),
        singular_values=values,
        matrix=(20, 10),
    )


STEEP, FLAT = layer(100.0, 90.0, 80.0, 70.0, 60.0, *[0.1] * 5), layer(*[100.0] * 9, 1.0)


@pytest.mark.parametrize("more", ["", " multiple=4", " max=full"])
@pytest.mark.parametrize("rule", names.RULES)
def test_a_rule_depends_on_weights_when_other_weights_get_other_ranks(rule: str, more: str) -> None:
    asked = parse_rule(rule + more)
    assert depends_on_weights(rule + more) == (asked.rank(STEEP) != asked.rank(FLAT))


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_every_budget_depends_on_weights(allocation: str, cost: str) -> None:
    assert depends_on_weights(f"{allocation} {cost}=0.5")


@pytest.mark.parametrize("text", ["none", "nan", "", "alchemy gold=0.5", "energy", "knapsack macs"])
def test_an_unknown_rule_is_judged_exactly(text: str) -> None:
    assert not depends_on_weights(text)
