"""How values and tables are written."""

import pytest

from lrbench.report.texts import ACCURACY, POINTS, RATIO, interval, markdown, number, ratio_of, with_interval


@pytest.mark.parametrize(
    ("value", "low", "high", "form", "text"),
    [
        (0.527, 0.5, 0.55, RATIO, "0.527 (0.500-0.550)"),
        (0.8, 0.787, 0.8125, ACCURACY, "80.00% (78.7%-81.2%)"),
        (-0.5, -1.25, 0.25, POINTS, "-0.50 (-1.25 to +0.25)"),
    ],
)
def test_a_value_stands_before_the_ends_of_its_interval(value, low, high, form, text: str) -> None:
    assert with_interval(value, low, high, form=form) == text
    assert with_interval(value, low, high, form=form, note="99 %") == f"{text[:-1]}, 99 %)"
    assert f"({interval(low, high, form=form)})" in text


def test_an_unfit_timing_is_marked() -> None:
    row = {"ratio": 0.5, "ratio_low": 0.4, "ratio_high": 0.6}
    assert ratio_of(row) == ratio_of({**row, "fit": True}) == "0.500 (0.400-0.600)"
    assert ratio_of({**row, "fit": False}) == "0.500 (0.400-0.600) unfit"


@pytest.mark.parametrize("none", [None, float("nan")])
def test_no_number_is_what_stands_for_none(none: float | None) -> None:
    assert (number(none, ".2f"), number(none, ".2f", none="-"), number(0.125, ".1%")) == ("", "-", "12.5%")


def test_names_in_a_markdown_table_are_plain_text() -> None:
    lines = markdown(("name", "#value"), [("<b>a|b</b>\n[c](d) *e* `f` & \\", "1")]).splitlines()
    assert lines == [
        "| name | value |",
        "| --- | ---: |",
        r"| &lt;b&gt;a\|b&lt;/b&gt; \[c\](d) \*e\* \`f\` &amp; \\ | 1 |",
    ]
