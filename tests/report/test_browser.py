"""The page in a real browser: headless Chromium, offline. Skipped where there is none."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import samples
from waiting import PATIENCE_S

from lrbench.report.page.page import write_report
from lrbench.results.records import Measurement

BROWSER, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver on the PATH"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    driver.execute_cdp_cmd("Network.enable", {})
    yield driver
    driver.quit()


def visible(driver: Any) -> list[str]:
    """The words of the rows that are shown, in order."""
    return driver.execute_script("return [...document.querySelectorAll('#trial-table tbody tr')].map(r => r.innerText)")


def opened(driver: Any, page: Path, fragment: str = "") -> Callable[[str], Any]:
    """Open a page and wait until it is drawn; what finds an element of it."""
    from selenium.webdriver.common.by import By

    driver.get("about:blank")
    driver.get(page.as_uri() + fragment)
    until(lambda: driver.execute_script("return document.documentElement.dataset.ready"))
    return lambda selector: driver.find_element(By.CSS_SELECTOR, selector)


def asked_of_the_network(driver: Any) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:", "chrome:"))]


def until(check: Callable[[], object]) -> object:
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(None, PATIENCE_S, poll_frequency=0.05).until(lambda _: check())


def test_the_page_works_offline_without_an_error(chromium: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    folder = samples.folder_of(tmp_path / "run", [with_two_epochs(record) for record in samples.sweep()])
    find = opened(chromium, write_report([folder], tmp_path / "page.html"))
    until(lambda: chromium.find_elements(By.CSS_SELECTOR, "#hero .mark"))
    assert len(visible(chromium)) == 9

    heads = [head.text for head in chromium.find_elements(By.CSS_SELECTOR, "#trial-table th")]
    button = chromium.find_elements(By.CSS_SELECTOR, "#trial-table .sort")[heads.index("finetuned") - 1]
    column = f"#trial-table td:nth-child({heads.index('finetuned') + 1})"
    for direction in (False, True):
        button.send_keys(Keys.ENTER)  # by keyboard, as by mouse
        values = [float(cell.text.rstrip("%")) for cell in chromium.find_elements(By.CSS_SELECTOR, column)]
        assert values == sorted(values, reverse=direction)
        assert len(set(values)) > 3

    marks = lambda: len(chromium.find_elements(By.CSS_SELECTOR, "#hero .mark"))  # noqa: E731
    all_marks = marks()
    find("#words").send_keys("channel late")
    until(lambda: find("#count").text == "2 of 9 trials")
    assert all("channel" in row and "late" in row for row in visible(chromium))
    assert 0 < marks() < all_marks, "the chart is filtered too; the dense control stays"
    find("#words").clear()
    find("#words").send_keys(" ")
    until(lambda: len(visible(chromium)) == 9)

    hover_over(chromium, find, "#hero .mark")
    text = str(until(lambda: find("#tip").text))
    assert "of its MACs" in text
    assert "test accuracy" in text or "points" in text

    find("#trial-table .open").send_keys(Keys.ENTER)
    until(lambda: find("#detail").get_attribute("open"))
    assert "not in layer set early" in find("#detail").text or "dense" in find("#detail-title").text
    hover_over(chromium, find, "#detail .curves .mark")
    assert "epoch" in str(until(lambda: find("#tip").text))
    chromium.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(lambda: find("#detail").get_attribute("open") is None)

    paper = lambda: chromium.execute_script("return getComputedStyle(document.body).backgroundColor")  # noqa: E731
    before = paper()
    find("#theme").click()
    assert paper() != before

    assert [entry["message"] for entry in chromium.get_log("browser")] == []
    assert asked_of_the_network(chromium) == []


def test_no_button_sends_anything(chromium: Any, tmp_path: Path) -> None:
    """Every button of the page is clicked, also those of a dialog, and nothing is asked of the network."""
    from selenium.webdriver.common.by import By

    opened(chromium, write_report([samples.folder_of(tmp_path / "run", samples.sweep())], tmp_path / "page.html"))
    chromium.get_log("performance")
    clicked = 0
    for place in range(len(chromium.find_elements(By.CSS_SELECTOR, "button, summary, a"))):
        chromium.execute_script("document.querySelectorAll('button, summary, a')[arguments[0]]?.click()", place)
        clicked += 1
    assert clicked > 20
    assert asked_of_the_network(chromium) == []
    assert chromium.find_elements(By.CSS_SELECTOR, "[data-title*=cloud], .modebar") == []


def test_the_answer_follows_the_limits_and_lives_in_the_address(chromium: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page = write_report([samples.folder_of(tmp_path / "run", samples.sweep())], tmp_path / "page.html")
    find = opened(chromium, page)
    drop = find("#drop")
    drop.clear()
    drop.send_keys("10")
    generous = find("#answer").text
    assert "lrbench export" in generous
    drop.send_keys(Keys.BACKSPACE, Keys.BACKSPACE, "-2")
    assert "No point keeps to all limits" in find("#answer").text
    fragment = "#" + chromium.current_url.partition("#")[2]
    find = opened(chromium, page, fragment.replace("drop=-2", "drop=10"))
    assert find("#answer").text == generous
    assert find("#layers table").text.startswith("channel") or find("#layers table").text.startswith("spatial")


def test_trials_are_compared_and_what_is_shown_lives_in_the_address(chromium: Any, tmp_path: Path) -> None:
    """Filters change the front and keep the zoom; a link brings the same filters, trials and differences."""
    page = write_report([samples.folder_of(tmp_path / "run", samples.sweep())], tmp_path / "page.html")
    find = opened(chromium, page)
    until(lambda: chromium.execute_script("return document.querySelector('#hero .mark')"))
    edged = "return document.querySelectorAll('#hero .mark:not([stroke=none])').length"
    front = chromium.execute_script(edged)
    chromium.execute_script("document.querySelector('#hero .plot').zoomed = [[0, 2], [-200, 50]]")
    find("#words").send_keys("channel late")
    until(lambda: find("#count").text == "2 of 9 trials")
    assert chromium.execute_script("return document.querySelector('#hero .plot').zoomed") == [[0, 2], [-200, 50]]
    assert 0 < chromium.execute_script(edged) != front
    for box in (0, 1):
        chromium.execute_script("document.querySelectorAll('.tick-one')[arguments[0]].click()", box)
    compared = find("#compared").text
    assert "points from the first" in compared
    assert "of 64, channel" in compared
    rows = visible(chromium)
    find = opened(chromium, page, "#" + chromium.current_url.partition("#")[2])
    assert find("#compared").text == compared
    assert visible(chromium) == rows
    assert len(rows) == 2


def test_what_is_shown_can_be_taken_away(chromium: Any, tmp_path: Path) -> None:
    opened(chromium, write_report([samples.folder_of(tmp_path / "run", samples.sweep())], tmp_path / "page.html"))
    until(lambda: chromium.execute_script("return document.querySelector('#hero .mark')"))
    drawing, rows = chromium.execute_script(
        "const hero = document.getElementById('hero'); return [drawingOf(hero), rowsOfFigure(hero)]"
    )
    root = ElementTree.fromstring(drawing)
    texts = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "dense control" in texts
    assert not [node for node in root.iter() if "var(" in ElementTree.tostring(node, encoding="unicode")]
    assert len(rows) == 1 + chromium.execute_script("return document.querySelectorAll('#hero .mark').length")
    assert rows[0] == ["panel", "point", "time, share of dense", rows[0][3], "low", "high"]


def test_a_telephone_has_no_sideways_scrolling(chromium: Any, tmp_path: Path) -> None:
    page = write_report([samples.folder_of(tmp_path / "run", samples.sweep())], tmp_path / "page.html")
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    opened(chromium, page)
    wide = chromium.execute_script("return document.documentElement.scrollWidth")
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= 400


def with_two_epochs(record: samples.Record) -> samples.Record:
    """So that a trial has a curve."""
    if not isinstance(record, Measurement):
        return record
    return replace(record, epochs=(*record.epochs, replace(record.epochs[0], epoch=2)))


def hover_over(driver: Any, find: Callable[[str], Any], mark: str) -> None:
    from selenium.webdriver import ActionChains

    driver.execute_script(f"document.querySelector('{mark}').scrollIntoView({{block: 'center'}})")
    ActionChains(driver).move_to_element(find(mark)).perform()


def test_hostile_names_stay_names(chromium: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By

    opened(chromium, write_report([samples.folder_of(tmp_path / "run", samples.hostile())], tmp_path / "page.html"))
    chromium.find_element(By.CSS_SELECTOR, "#trial-table .open").click()
    assert samples.EVIL in chromium.find_element(By.CSS_SELECTOR, "#detail-title").text
    assert chromium.find_elements(By.CSS_SELECTOR, "img") == []
    assert [entry["message"] for entry in chromium.get_log("browser")] == []
