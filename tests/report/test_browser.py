"""The page in a real browser: Debian's Chromium, without a window.

``apt-get install chromium chromium-driver`` installs what it needs; elsewhere put
``chromedriver`` and Chromium or Chrome on the path.
"""

from __future__ import annotations

import shutil

import matplotlib as mpl
import numpy as np
import pytest

from sktransfer.explanation.contributions import Explanation
from sktransfer.report.writing import write_report

mpl.use("Agg")
webdriver = pytest.importorskip("selenium.webdriver")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

# Colours of every element that shows letters itself, with the ground behind it: the
# nearest element around it whose own ground is opaque.
COLOURS = """
const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
const opaque = (colour) => (parse(colour)[3] ?? 1) > 0.99;
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
  let behind = element;
  while (behind && !opaque(getComputedStyle(behind).backgroundColor))
    behind = behind.parentElement;
  found.push([
    element.tagName + ": " + element.textContent.slice(0, 40),
    parse(getComputedStyle(element).color),
    behind ? parse(getComputedStyle(behind).backgroundColor) : [255, 255, 255],
  ]);
}
return found;
"""


@pytest.fixture(scope="module")
def browser():
    driver = shutil.which("chromedriver")
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if driver is None or binary is None:
        pytest.skip(
            "no browser: this test needs chromium and chromedriver on the path "
            "(Debian: apt-get install chromium chromium-driver)"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    opened = webdriver.Chrome(options=options, service=service)
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def path(browser, make_comparison, tmp_path_factory):
    """A page on everything that is hard to show."""
    names = ["majority", "tfidf", "a_long_name_without_a_space_" * 4, "frozen", "lora"]
    comparison = make_comparison(5, names=names, train_sizes=(16, 64))
    comparison.verdicts.append("a" * 200)  # a word wider than any phone
    text = comparison.texts[0]
    explanation = Explanation(
        text=text,
        spans=[(0, 8), (9, 14)],
        contributions=np.array([1.0, -1.0]),
        label="pos",
        probability=0.9,
        value=1.0,
        base_value=0.0,
        method="exact",
    )
    folder = tmp_path_factory.mktemp("report")
    return write_report(comparison, folder, explanations={0: explanation})


@pytest.fixture
def open_page(browser, path):
    """Function that opens the page on a screen of a kind."""

    def open_at(width=1280, scheme="light"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True},
        )
        browser.get_log("browser")
        browser.get(path.as_uri())
        return browser

    return open_at


def contrast(one, other) -> float:
    """Contrast ratio of two colours as WCAG 2 defines it, from 1 to 21."""
    lights = []
    for colour in (one, other):
        parts = np.array(colour[:3]) / 255
        linear = np.where(
            parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4
        )
        lights.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def first_column(browser) -> list[str]:
    cells = browser.find_elements("css selector", "table tbody th > span:first-child")
    return [cell.text for cell in cells if cell.text]


def test_it_opens_without_complaints_and_runs_no_text(open_page):
    browser = open_page()
    assert browser.get_log("browser") == []
    assert browser.title == "Transfer strategies compared"
    said = browser.find_element("css selector", ".said").text
    assert "<script>" in said.replace("+", "").replace("\u2212", "")  # signs of marks
    assert not browser.find_elements("css selector", "main script, main img:not([alt])")


def test_its_policy_stops_scripts_that_are_not_its_own(open_page):
    browser = open_page()
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'document.title ="
        " `taken`'; document.body.append(s);"
    )
    assert browser.title == "Transfer strategies compared"
    assert "Content Security Policy" in browser.get_log("browser")[0]["message"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_load(scheme, open_page):
    pictures = open_page(scheme=scheme).find_elements("css selector", "img")
    assert len(pictures) == 4
    for picture in pictures:
        assert int(picture.get_property("naturalWidth")) > 300


def test_tables_sort_by_click_and_by_key(open_page):
    browser = open_page()
    heads = browser.find_elements("css selector", "table:first-of-type thead th")[:9]
    titles = [head.text.rstrip(" ↕↑↓") for head in heads]
    seconds = heads[titles.index("train")]
    button = seconds.find_element("css selector", "button")
    best_first = first_column(browser)
    assert seconds.get_attribute("aria-sort") == "none"
    button.click()
    assert seconds.get_attribute("aria-sort") == "descending"
    dearest_first = first_column(browser)
    button.send_keys("\ue007")  # Enter
    assert seconds.get_attribute("aria-sort") == "ascending"
    cheapest_first = first_column(browser)
    assert cheapest_first[:-1] == dearest_first[:-1][::-1]
    assert cheapest_first[0] == "majority"
    # The one that failed has no seconds, and is last both times.
    assert cheapest_first[-1] == dearest_first[-1] == best_first[-1] == "lora"
    names = heads[0].find_element("css selector", "button")
    names.send_keys(" ")
    assert heads[0].get_attribute("aria-sort") == "ascending"
    assert seconds.get_attribute("aria-sort") == "none"
    assert first_column(browser) == sorted(best_first)
    heard = browser.find_element("css selector", ".heard")
    assert heard.get_attribute("textContent") == "Sorted by strategy, ascending."


def test_a_narrow_screen_scrolls_down_only(open_page):
    browser = open_page(width=360)
    widths = browser.execute_script(
        "document.querySelectorAll('details').forEach((d) => { d.open = true; });"
        "const root = document.documentElement;"
        "return [root.scrollWidth, document.body.scrollWidth, window.innerWidth];"
    )
    assert max(widths) == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_their_ground(scheme, open_page):
    browser = open_page(scheme=scheme)
    found = browser.execute_script(COLOURS)
    assert len(found) > 50
    faint = [
        (what, round(contrast(ink, ground), 2))
        for what, ink, ground in found
        if contrast(ink, ground) < 4.5
    ]
    assert faint == []
    ground = browser.execute_script(
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g)"
    )
    assert (np.mean(list(map(int, ground))) < 128) == (scheme == "dark")
