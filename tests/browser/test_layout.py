"""The page in windows of laptops, tablets and phones, in both themes: nothing scrolls into blank, all can be read."""

import pytest

from tests.support.graphiql import SECONDS, open_graphiql, run, violations

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("built_page")]
WINDOWS = {"laptop": (1366, 657), "desktop": (1440, 789), "tablet": (768, 900), "phone": (390, 844)}
EDITOR_THEMES = {"light": "vs", "dark": "vs-dark"}
PANELS = ("Documentation Explorer", "Search", "History", "Explain")
BOX = """selector => {
  const { left, right, top, bottom } = document.querySelector(selector).getBoundingClientRect();
  return [left, right, top, bottom];
}"""


def box(page, selector):
    return page.evaluate(BOX, selector)


def resize(page, window):
    width, height = window
    page.set_viewport_size({"width": width, "height": height})


def assert_nothing_lies_outside(page, window):
    width, height = window
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


@pytest.mark.parametrize("name", WINDOWS)
def test_nothing_lies_outside_the_window(shared, name, screenshot):
    resize(shared.page, WINDOWS[name])

    assert_nothing_lies_outside(shared.page, WINDOWS[name])
    screenshot(shared.page, f"layout-{WINDOWS[name][0]}")
    shared.assert_clean()


def test_a_page_that_a_phone_opens_fits_it_in_the_dark(watched, gateway):
    resize(watched.page, WINDOWS["phone"])
    watched.page.emulate_media(color_scheme="dark")
    open_graphiql(watched, gateway)

    watched.page.locator(".graphiql-query-editor .monaco-editor.vs-dark").wait_for()
    assert_nothing_lies_outside(watched.page, WINDOWS["phone"])
    watched.assert_clean()


@pytest.mark.parametrize("name", ["tablet", "phone"])
def test_the_response_stands_below_the_editors_of_a_narrow_window(shared, name):
    page = shared.page
    resize(page, WINDOWS[name])
    page.get_by_label("Show Search").click()
    page.get_by_label("Search sets, fields, types").wait_for(timeout=SECONDS)

    plugin, editors, response = (
        box(page, f".graphiql-{part}") for part in ("plugin", "editors", "response")
    )
    assert plugin[3] <= editors[2] + 1
    assert editors[3] <= response[2] + 1
    width = WINDOWS[name][0]
    assert all(right - left > 0.85 * width for left, right, _, _ in (plugin, editors, response))
    shared.assert_clean()


def test_the_active_tab_stays_in_sight_when_a_panel_takes_its_room(shared):
    page = shared.page
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_can_be_read(shared, theme):
    """By axe-core's rules for WCAG 2.1 A and AA: 4.5:1 is the least contrast of text."""
    page = shared.page
    page.emulate_media(color_scheme=theme)
    page.locator(f".graphiql-query-editor .monaco-editor.{EDITOR_THEMES[theme]}").wait_for()
    run(page)

    unexpected = {"page": violations(page)}
    for panel in PANELS:
        page.get_by_label(f"Show {panel}").click()
        page.locator(".graphiql-plugin > *").first.wait_for(timeout=SECONDS)
        unexpected[panel] = violations(page)
    assert not any(unexpected.values()), unexpected


def test_the_badge_says_which_environment_it_is(shared):
    badge = shared.page.locator(".environment")
    assert badge.inner_text().startswith("Sandbox")
    assert "reads and writes" in badge.get_attribute("title")
