"""The numbers of the documents are what results/ say, and none is without a claim."""

from collections.abc import Iterator
from functools import cache

import pytest

from bench.claims.claim import Claim, agrees, computed, problems, stated
from bench.claims.documents import DOCUMENTS, WRITTEN
from bench.claims.tables import ROOT
from bench.claims.texts import find_numbers

PAGES = ("README.md", "results/README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def claims_of(name: str) -> tuple[Claim, ...]:
    return tuple(DOCUMENTS[name]())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_number_of_a_document_is_what_it_is_said_to_be(name: str) -> None:
    assert list(problems(text_of(name), claims_of(name))) == []


def test_every_document_with_a_number_has_claims() -> None:
    without = set(PAGES) - set(DOCUMENTS)
    assert {name for name in without if any(find_numbers(text_of(name)))} <= WRITTEN
    assert set(DOCUMENTS) <= set(PAGES)


def changed(text: str, start: int, end: int) -> str:
    """The text with the last digit of a number raised by one."""
    return text[: end - 1] + str((int(text[end - 1]) + 1) % 10) + text[end:]


def test_a_number_that_strays_is_seen() -> None:
    text, claims = text_of("README.md"), claims_of("README.md")
    numbers = list(find_numbers(text))
    assert len(numbers) >= 10
    for number in numbers:
        assert len(list(problems(changed(text, number.start, number.end), claims))) >= 1, number


def test_a_number_without_a_claim_and_a_claim_without_its_number_are_seen() -> None:
    claims = (computed("takes {} % of the time", 58.4), stated("cited", "64.79 %", "the notebook"))
    said = "It takes 58 %\nof the time; there it was 64.79 %."
    assert list(problems(said, claims)) == []
    assert list(problems(f"{said} Others are 12x faster.", claims)) == [
        "line 2: 12 has no claim: time; there it was 64.79 %. Others are 12x faster."
    ]
    assert len(list(problems("It takes 58 % of the time.", claims))) == 1
    assert list(problems(said.replace("58", "59"), claims)) == ["line 1: said 59, is 58.4: takes 59 % of the time"]


def said_in(text: str) -> list[str]:
    return [number.said for number in find_numbers(text)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("5.3 % of it", ["5.3"]),
        ("12x as fast", ["12"]),
        ("0.4 points, 3 points", ["0.4", "3"]),
        ("it took 4:30", ["4:30"]),
        ("12 ms or 7 s at 75 images/s", ["12", "7", "75"]),
        ("3 of 12, 21 of the 32", ["3", "12", "21", "32"]),
        ("3.5-4.2 %, 9 to 12 points", ["3.5", "4.2", "9", "12"]),
        ("in 38, 55 and 80 %", ["38", "55", "80"]),
        ("| 66.0 → 92.3 % | 0.95 |", ["66.0", "92.3", "0.95"]),
        ("11,181.5 and -1.9 %", ["11,181.5", "1.9"]),
        ("3 x 3 convolutions, 64 px, ResNet-18, torch 2.14.1, `0.5 %`, macs=0.5, [a](x-0.5.png)", []),
        ("```\n5 %\n```\n\n    4 % here\n\n6 %", ["6"]),
    ],
)
def test_numbers_are_found(text: str, numbers: list[str]) -> None:
    assert said_in(text) == numbers


def pairs() -> Iterator[tuple[str, float, bool]]:
    yield from (("58", 58.49, True), ("58", 58.51, False), ("0.50", 0.5049, True), ("0.50", 0.51, False))
    yield from (("-1.9", -1.94, True), ("11,181", 11181.2, True), ("4.8e-6", 4.77e-6, True), ("4:30", 270, True))
    yield from (("4.8e-6", 4.7e-6, False), ("4:30", 272, False), ("1.0", 1.06, False))


@pytest.mark.parametrize(("said", "value", "same"), list(pairs()))
def test_a_number_agrees_when_it_is_the_value_rounded_to_its_digits(said: str, value: float, same: bool) -> None:
    assert agrees(said, value) is same


def test_a_claim_needs_as_many_values_as_places_and_a_kind() -> None:
    with pytest.raises(ValueError, match="1 places for 2 values"):
        computed("{} %", 1, 2)
    with pytest.raises(ValueError, match="kind must be one of setting, cited"):
        stated("guessed", "5 %", "nobody")
