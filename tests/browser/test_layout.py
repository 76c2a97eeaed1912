"""The page in windows of laptops, tablets and phones, in both themes: nothing scrolls into blank, all can be read."""

import pytest

from tests.browser.conftest import ChangeQuery, profile
from tests.support.graphiql import SECONDS, open_graphiql, run, violations

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("built_page")]
WINDOWS = {"laptop": (1366, 657), "desktop": (1440, 789), "tablet": (768, 900), "phone": (390, 844)}
PANELS = ("Documentation Explorer", "Search", "History", "Explain")
BOX = """selector => {
  const { left, right, top, bottom } = document.querySelector(selector).getBoundingClientRect();
  return [left, right, top, bottom];
}"""


@pytest.fixture(params=WINDOWS, ids=str)
def window(request):
    return WINDOWS[request.param]


@pytest.fixture(params=["light", "dark"])
def themed(request, browser, foreign, gateway):
    with profile(browser, foreign, color_scheme=request.param) as context:
        yield ChangeQuery(context, gateway, foreign)


def box(page, selector):
    return page.evaluate(BOX, selector)


def test_nothing_lies_outside_the_window(watched, gateway, window, screenshot):
    width, height = window
    page = watched.page
    page.set_viewport_size({"width": width, "height": height})
    open_graphiql(watched, gateway)
    run(page)
    page.mouse.move(width / 2, height / 2)
    page.mouse.wheel(0, 5_000)

    size = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert size == [width, height]
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]
    for selector in (
        ".graphiql-query-editor",
        ".graphiql-response",
        ".environment",
        ".graphiql-sidebar",
    ):
        left, right, top, bottom = box(page, selector)
        assert (left >= 0, right <= width, top >= 0, bottom <= height) == (True,) * 4, selector
        assert min(right - left, bottom - top) > 15, selector
    screenshot(page, f"layout-{width}")
    watched.assert_clean()


@pytest.mark.parametrize("name", ["tablet", "phone"])
def test_the_response_stands_below_the_editors_of_a_narrow_window(watched, gateway, name):
    width, height = WINDOWS[name]
    page = watched.page
    page.set_viewport_size({"width": width, "height": height})
    open_graphiql(watched, gateway)
    page.get_by_label("Show Search").click()
    page.get_by_label("Search sets, fields, types").wait_for(timeout=SECONDS)

    plugin, editors, response = (
        box(page, f".graphiql-{part}") for part in ("plugin", "editors", "response")
    )
    assert plugin[3] <= editors[2] + 1
    assert editors[3] <= response[2] + 1
    assert all(right - left > 0.85 * width for left, right, _, _ in (plugin, editors, response))
    watched.assert_clean()


def test_the_active_tab_stays_in_sight_when_a_panel_takes_its_room(watched, gateway):
    page = watched.page
    open_graphiql(watched, gateway)
    page.locator(".graphiql-tab-button").nth(6).click()
    page.get_by_label("Show Search").click()

    page.wait_for_function(
        """() => {
          const tab = document.querySelector(".graphiql-tab-active").getBoundingClientRect();
          const list = document.querySelector(".graphiql-tabs").getBoundingClientRect();
          return tab.left >= list.left - 1 && tab.right <= list.right + 1;
        }""",
        timeout=SECONDS,
    )


def test_all_text_can_be_read(themed, gateway):
    """By axe-core's rules for WCAG 2.1 A and AA: 4.5:1 is the least contrast of text."""
    page = themed.page
    open_graphiql(themed, gateway)
    run(page)

    unexpected = {"page": violations(page)}
    for panel in PANELS:
        page.get_by_label(f"Show {panel}").click()
        page.locator(".graphiql-plugin > *").first.wait_for(timeout=SECONDS)
        unexpected[panel] = violations(page)
    assert not any(unexpected.values()), unexpected


def test_the_badge_says_which_environment_it_is(watched, gateway):
    open_graphiql(watched, gateway)

    badge = watched.page.locator(".environment")
    assert badge.inner_text().startswith("Sandbox")
    assert "reads and writes" in badge.get_attribute("title")
