"""Rank rules and budgets as texts: `rank=8`, `energy=0.9 multiple=16`, `knapsack macs=0.5`; imports no torch."""

import re
from difflib import get_close_matches

from lrbench.lowrank import ranks
from lrbench.lowrank.allocations import ALLOCATIONS, BudgetRule, parse_budget
from lrbench.lowrank.ranks import RankRule, Rule


def _usage() -> str:
    """Every rule, as it is written."""
    rules = [name if number is None else f"{name}=VALUE" for name, (_, number) in ranks.RULES.items()]
    return ", ".join(rules + [f"{name} macs=SHARE" for name in ALLOCATIONS])


def parse_rule(text: str) -> RankRule | BudgetRule:
    """Read `rank=8`, `energy=0.9 multiple=16`, `macs=0.5 max=full`, `evbmf`, or a budget: `knapsack macs=0.5`.

    Raises: ValueError naming what is wrong and what is allowed.
    """
    if budget := parse_budget(text):
        return budget
    named = re.split(r"[\s=]", text.strip(), maxsplit=1)[0]
    if named and named not in ranks.RULES:
        close = get_close_matches(named, [*ranks.RULES, *ALLOCATIONS], n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ValueError(f"{text!r} is not a rank rule; {hint}allowed: {_usage()}")
    words = re.sub(r"\s*=\s*", "=", text).split() or [""]
    base, *rest = (word.partition("=") for word in words)
    options = {name: value for name, _, value in rest}
    unknown = sorted(options.keys() - {"multiple", "max"})
    if unknown or len(options) < len(rest):
        raise ValueError(f"{text!r}: only multiple=N and max=breakeven|full may follow a rule, each once")
    limit = options.get("max", "breakeven")
    if limit not in ("breakeven", "full"):
        raise ValueError(f"max must be breakeven or full, got {limit!r}")
    multiple = _number("multiple", options.get("multiple", "1"), int)
    if multiple < 1:
        raise ValueError(f"multiple must be at least 1, got {multiple}")
    return RankRule(
        base=_parse_base(text, *base), multiple=int(multiple), limit="full" if limit == "full" else "breakeven"
    )


def _parse_base(text: str, name: str, equals: str, value: str) -> Rule:
    rule, number = ranks.RULES.get(name, (None, None))
    if rule is None or bool(equals) == (number is None):
        raise ValueError(f"{text!r} is not a rank rule; allowed: {_usage()}")
    return rule() if number is None else rule(_number(name, value, number))  # type: ignore[call-arg]


def _number(name: str, value: str, number: type[int | float]) -> int | float:
    try:
        return number(value)
    except ValueError:
        expected = "a whole number" if number is int else "a number"
        raise ValueError(f"{name} must be {expected}, got {value!r}") from None


def format_rule(rule: RankRule | BudgetRule) -> str:
    """The text that `parse_rule` reads back as the rule."""
    if isinstance(rule, BudgetRule):
        return str(rule)
    name, number = next(
        (name, number) for name, (rule_type, number) in ranks.RULES.items() if isinstance(rule.base, rule_type)
    )
    words = [name if number is None else f"{name}={getattr(rule.base, 'value')!r}"]  # noqa: B009 - evbmf has none
    if rule.multiple > 1:
        words.append(f"multiple={rule.multiple}")
    if rule.limit == "full":
        words.append("max=full")
    return " ".join(words)
