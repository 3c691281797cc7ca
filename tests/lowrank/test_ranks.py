"""Rank rules: their texts, and the ranks they give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.lowrank.evbmf import TAU, evbmf_rank, free_energy, noise_variance
from lrbench.lowrank.ranks import RULES, Candidate, RankRule
from lrbench.lowrank.rule_texts import format_rule, parse_rule

shares = st.floats(0, 1, exclude_min=True)


@st.composite
def rules(draw: st.DrawFn) -> RankRule:
    kind, number = RULES[draw(st.sampled_from(sorted(RULES)))]
    values = {int: st.integers(1, 10**6), float: shares}
    base = kind() if number is None else kind(draw(values[number]))
    return RankRule(base=base, multiple=draw(st.integers(1, 64)), limit=draw(st.sampled_from(["breakeven", "full"])))


def layer(largest: int, **changes: object) -> Candidate:
    """A layer whose factors cost rank / largest / 2 of its params and rank / largest of its MACs."""
    made = {"params_share": lambda r: r / largest / 2, "macs_share": lambda r: r / largest}
    return Candidate(max_rank=largest, **{**made, **changes})


@given(rule=rules())
def test_the_text_of_a_rule_parses_back_to_the_rule(rule: RankRule) -> None:
    assert parse_rule(format_rule(rule)) == rule


@given(rule=rules(), largest=st.integers(1, 500), seed=st.integers(0, 99))
def test_every_rule_but_an_explicit_rank_gives_a_possible_rank(rule: RankRule, largest: int, seed: int) -> None:
    values = np.sort(np.random.default_rng(seed).exponential(size=largest))[::-1]
    kept = np.cumsum(values**2) / np.sum(values**2)
    candidate = layer(largest, energies=tuple(kept), singular_values=tuple(values), matrix=(largest, largest + seed))
    rank = rule.rank(candidate)
    assert rank >= 1
    assert rank <= largest or format_rule(rule).startswith("rank=")


@given(share=shares, values=st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_energy_gives_the_least_rank_that_keeps_the_share(share: float, values: list[float]) -> None:
    kept = np.cumsum(sorted(values, reverse=True)) / np.sum(values)
    rank = parse_rule(f"energy={share!r}").rank(layer(len(values), energies=tuple(kept)))
    assert kept[rank - 1] >= share - 1e-9
    assert rank == 1 or kept[rank - 2] < share


@given(share=shares, largest=st.integers(1, 300))
@pytest.mark.parametrize(("name", "cost"), [("params", 0.5), ("macs", 1.0)])
def test_a_cost_share_gives_the_largest_rank_that_keeps_to_it(
    name: str, cost: float, share: float, largest: int
) -> None:
    rank = parse_rule(f"{name}={share!r}").rank(layer(largest))
    fitting = [r for r in range(1, largest + 1) if r / largest * cost <= share]
    assert rank == max(fitting, default=1)


@pytest.mark.parametrize(
    ("text", "largest", "rank"),
    [
        ("fraction=1", 57, 57),
        ("fraction=0.3", 10, 3),
        ("rank=8 multiple=16", 57, 16),
        ("rank=50 multiple=16", 57, 57),
        ("rank=64 multiple=16", 57, 64),
        ("fraction=0.5 multiple=16", 64, 32),
        ("macs=0.5 multiple=16", 60, 32),
    ],
)
def test_a_multiple_rounds_up_but_not_beyond_the_largest_rank(text: str, largest: int, rank: int) -> None:
    assert parse_rule(text).rank(layer(largest)) == rank


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rank=0", "rank must be at least 1, got 0"),
        ("rank=2.5", "rank must be a whole number, got '2.5'"),
        ("fraction=1.5", r"fraction must lie in \(0, 1\], got 1.5"),
        ("energy=0", r"energy must lie in \(0, 1\], got 0.0"),
        ("macs=nan", r"macs must lie in \(0, 1\], got nan"),
        ("params=lots", "params must be a number, got 'lots'"),
        (
            "ranks=8",
            r"'ranks=8' is not a rank rule; did you mean rank\? allowed: rank=VALUE, .*, evbmf, .*knapsack macs=SHARE",
        ),
        ("knapsak macs=0.5", r"did you mean knapsack\? allowed"),
        ("8", "is not a rank rule"),
        ("", "is not a rank rule"),
        ("evbmf=3", "is not a rank rule"),
        ("rank", "is not a rank rule"),
        ("rank=8 multiple=0", "multiple must be at least 1, got 0"),
        ("rank=8 max=half", "max must be breakeven or full, got 'half'"),
        ("rank=8 min=2", "only multiple=N and max="),
        ("rank=8 multiple=2 multiple=4", "each once"),
    ],
)
def test_a_wrong_rule_says_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_rule(text)


def test_rules_that_need_weights_say_so() -> None:
    texts = ("rank=8", "fraction=0.5", "params=0.5", "macs=0.5", "energy=0.5", "evbmf max=full")
    assert [parse_rule(text).needs_weights for text in texts] == [False, False, False, False, True, True]


@pytest.mark.parametrize(("rank", "shape", "seed"), [(3, (40, 60), 0), (10, (64, 576), 1), (25, (128, 200), 2)])
def test_evbmf_finds_a_planted_rank_under_noise(rank: int, shape: tuple[int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    planted = random.normal(size=(shape[0], rank)) @ random.normal(size=(rank, shape[1]))
    noisy = planted + 0.5 * random.normal(size=shape)
    for scale in (1.0, 1e-3, 1e4):
        values = np.linalg.svd(scale * noisy, compute_uv=False)
        assert evbmf_rank(tuple(values), shape) == evbmf_rank(tuple(values), shape[::-1]) == rank


@pytest.mark.parametrize("seed", [*range(10), 26, 30, 37, 38])
def test_evbmf_takes_the_noise_of_least_free_energy(seed: int) -> None:
    """Spectra that fall slowly have several local minima."""
    random = np.random.default_rng(seed)
    values = np.sort(np.exp(-random.uniform(0.5, 6) * random.uniform(0, 1, 20)))[::-1]
    columns = int(random.integers(20, 60))
    root = (20 / columns) ** 0.5
    sizes = {"rows": 20, "columns": columns, "threshold": (1 + TAU * root) * (1 + root / TAU)}
    bounds = (1e-6, 0.05)
    found = free_energy(noise_variance(values, bounds, **sizes), values, **sizes)
    fine = [free_energy(variance, values, **sizes) for variance in np.geomspace(*bounds, 5000)]
    assert found <= min(fine) + 1e-6


def test_evbmf_finds_nothing_in_noise_and_nothing_in_zeros() -> None:
    noise = np.random.default_rng(0).normal(size=(64, 576))
    assert evbmf_rank(tuple(np.linalg.svd(noise, compute_uv=False)), noise.shape) == 0
    assert evbmf_rank((0.0, 0.0), (2, 3)) == 0
    assert parse_rule("evbmf").rank(layer(2, singular_values=(0.0, 0.0), matrix=(2, 3))) == 1
