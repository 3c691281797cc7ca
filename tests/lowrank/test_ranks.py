"""Rank rules: their texts, and the ranks they give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.lowrank.ranks import RULES, Energy, Fraction, Rank, format_rule, parse_rule

shares = st.floats(0, 1, exclude_min=True)


@given(st.builds(Rank, st.integers(1, 10**6)) | st.builds(Fraction, shares) | st.builds(Energy, shares))
def test_the_text_of_a_rule_parses_back_to_the_rule(rule: Rank | Fraction | Energy) -> None:
    assert parse_rule(format_rule(rule)) == rule


@given(share=shares, largest=st.integers(1, 5000))
def test_a_fraction_gives_a_possible_rank(share: float, largest: int) -> None:
    assert 1 <= Fraction(share).rank(largest, ()) <= largest


@given(share=shares, values=st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_energy_gives_the_least_rank_that_keeps_the_share(share: float, values: list[float]) -> None:
    total = sum(sorted(values, reverse=True))
    kept = tuple(sum(sorted(values, reverse=True)[: i + 1]) / total for i in range(len(values)))
    rank = Energy(share).rank(len(values), kept)
    assert kept[rank - 1] >= share - 1e-9
    assert rank == 1 or kept[rank - 2] < share


def test_a_whole_fraction_is_the_largest_rank() -> None:
    assert Fraction(1.0).rank(57, ()) == 57
    assert Fraction(0.3).rank(10, ()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rank=0", "rank must be at least 1, got 0"),
        ("rank=2.5", "rank must be a whole number, got '2.5'"),
        ("fraction=1.5", r"fraction must lie in \(0, 1\], got 1.5"),
        ("energy=0", r"energy must lie in \(0, 1\], got 0.0"),
        ("energy=nan", r"energy must lie in \(0, 1\], got nan"),
        ("energy=lots", "energy must be a number, got 'lots'"),
        ("ranks=8", "'ranks=8' is no rank rule; allowed: rank=VALUE, fraction=VALUE, energy=VALUE"),
        ("8", "is no rank rule"),
    ],
)
def test_a_wrong_rule_says_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_rule(text)


def test_every_rule_says_whether_it_needs_weights() -> None:
    assert {name: rule.needs_weights for name, (rule, _) in RULES.items()} == {
        "rank": False,
        "fraction": False,
        "energy": True,
    }
