"""The page in a real browser: headless Chromium, offline. Skipped where there is none."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import samples
from waiting import PATIENCE_S

from lrbench.report.page.page import write_report

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
    script = (
        "return [...document.querySelectorAll('#trial-table tbody tr')].filter(r => !r.hidden).map(r => r.innerText)"
    )
    return driver.execute_script(script)


def until(check: Callable[[], object]) -> object:
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(None, PATIENCE_S, poll_frequency=0.05).until(lambda _: check())


def test_the_page_works_offline_without_an_error(chromium: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    folder = samples.folder_of(tmp_path / "run", samples.sweep())
    chromium.get(write_report([folder], tmp_path / "page.html").as_uri())
    find = lambda selector: chromium.find_element(By.CSS_SELECTOR, selector)  # noqa: E731

    until(lambda: chromium.find_elements(By.CSS_SELECTOR, ".chart .points path"))
    assert len(visible(chromium)) == 9

    heads = [head.text for head in chromium.find_elements(By.CSS_SELECTOR, "#trial-table th")]
    button = chromium.find_elements(By.CSS_SELECTOR, "#trial-table .sort")[heads.index("finetuned") - 1]
    column = f"#trial-table td:nth-child({heads.index('finetuned') + 1})"
    for direction in (False, True):
        button.send_keys(Keys.ENTER)  # by keyboard, as by mouse
        values = [float(cell.text.rstrip("%")) for cell in chromium.find_elements(By.CSS_SELECTOR, column)]
        assert values == sorted(values, reverse=direction)
        assert len(set(values)) > 3

    find("#words").send_keys("channel late")
    until(lambda: find("#count").text == "2 of 9 trials")
    assert all("channel" in row and "late" in row for row in visible(chromium))
    bright = "return document.querySelector('.chart').data.filter(t => t.ids).map(t => t.selectedpoints.length)"
    assert sum(chromium.execute_script(bright)) == 2, "the charts are filtered too"
    find("#words").clear()
    find("#words").send_keys(" ")
    until(lambda: len(visible(chromium)) == 9)

    hover_over_a_point(chromium, find)
    text = until(lambda: find(".hoverlayer").text)
    assert "rank 8: conv1" in text
    assert "MAC ratio" in text
    assert "95 %" in text

    find("#trial-table .open").send_keys(Keys.ENTER)
    until(lambda: find("#detail").get_attribute("open"))
    assert "not in layer set early" in find("#detail").text or "dense" in find("#detail-title").text
    until(lambda: chromium.find_elements(By.CSS_SELECTOR, "#detail .curves .point"))
    chromium.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(lambda: find("#detail").get_attribute("open") is None)

    paper = lambda: chromium.execute_script("return getComputedStyle(document.body).backgroundColor")  # noqa: E731
    before = paper()
    find("#theme").click()
    assert paper() != before

    assert [entry["message"] for entry in chromium.get_log("browser")] == []
    messages = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def hover_over_a_point(driver: Any, find: Callable[[str], Any]) -> None:
    from selenium.webdriver import ActionChains

    point = ".chart .trace:last-of-type .points path"
    driver.execute_script("document.querySelector('.chart').scrollIntoView({block: 'center'})")
    ActionChains(driver).move_to_element(find(point)).perform()


def test_hostile_names_stay_names(chromium: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By

    chromium.get(
        write_report([samples.folder_of(tmp_path / "run", samples.hostile())], tmp_path / "page.html").as_uri()
    )
    until(lambda: chromium.find_elements(By.CSS_SELECTOR, ".chart .points path"))
    chromium.find_element(By.CSS_SELECTOR, "#trial-table .open").click()
    assert samples.EVIL in chromium.find_element(By.CSS_SELECTOR, "#detail-title").text
    assert chromium.find_elements(By.CSS_SELECTOR, "img") == []
    assert [entry["message"] for entry in chromium.get_log("browser")] == []
