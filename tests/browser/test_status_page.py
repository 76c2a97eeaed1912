"""The status page of the second listener, in a browser: its panels show what a gateway did."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from gateway.telemetry.panels import SECTIONS
from tests.support.measured_gateway import measured_gateway

pytestmark = pytest.mark.browser
PANELS = [panel.title for section in SECTIONS for panel in section.panels]
BUCKETS = [[0.1, 10], [0.5, 90], [1, 100], ["Infinity", 100]]


@pytest.fixture(scope="module")
def addresses() -> Iterator[tuple[str, str]]:
    with measured_gateway() as found:
        yield found


@pytest.fixture
def failures() -> list[str]:
    """Errors of the page, what it says to the console, and requests to other addresses."""
    return []


@pytest.fixture
def page(browser: Browser, addresses: tuple[str, str], failures: list[str]) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})

    def note(request: Request) -> None:
        if not request.url.startswith(addresses[1]):
            failures.append(request.url)

    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda said: failures.append(said.text))
    page.on("request", note)
    # The second reading comes at once.
    page.add_init_script("const l = setTimeout; window.setTimeout = (f, ms) => l(f, ms / 20)")
    yield page
    page.close()


def value_of(page: Page, title: str, line: str) -> str:
    panel = page.locator(".panel", has=page.get_by_role("heading", name=title, exact=True))
    item = panel.locator("li", has_text=line)
    expect(item).to_be_visible()
    return item.locator("b").inner_text()


def test_the_page_shows_every_panel(
    page: Page, addresses: tuple[str, str], failures: list[str]
) -> None:
    api, admin = addresses
    query = {"query": "{ customersV3(first: 1) { nodes { customerAccount } } }"}
    httpx.post(f"{api}/graphql", json=query, timeout=30).raise_for_status()
    page.goto(f"{admin}/status")

    expect(page.get_by_role("status")).to_have_text("1 ready")
    assert page.locator(".panel h3").all_inner_texts() == PANELS
    assert value_of(page, "Limit", "default") == "4"
    assert value_of(page, "Memory", "0").endswith("MiB")
    # A rate needs a second reading.
    assert value_of(page, "Requests by entity set", "CustomersV3").endswith("/s")
    assert failures == []


def test_a_gateway_that_is_gone_is_reported(page: Page, addresses: tuple[str, str]) -> None:
    page.goto(f"{addresses[1]}/status")
    expect(page.get_by_role("status")).to_have_text("1 ready")
    page.route("**/metrics", lambda route: route.abort())

    expect(page.get_by_role("status")).to_contain_text("No metrics")


def test_the_script_counts_as_prometheus_does(page: Page, addresses: tuple[str, str]) -> None:
    page.goto(f"{addresses[1]}/status")
    result = page.evaluate(
        """async (buckets) => {
          const { parse, quantile, evaluate } = await import("/status/status.js");
          const read = (text) => parse(text);
          const before = read('a{x="1"} 10\\na{x="2"} 5\\n');
          const now = read('a{x="1"} 16\\na{x="2"} 3\\na{x="say \\\\"3\\\\""} 4\\n');
          const panel = { metric: "a", by: ["x"], where: {}, part: {}, kind: "rate" };
          const ratio = { ...panel, by: [], part: { x: "1" }, kind: "ratio" };
          const bounds = buckets.map(([bound, count]) => [Number(bound), count]);
          return [
            quantile(0.5, bounds), quantile(0.95, bounds),
            [...evaluate(panel, now, before, 2, 0)],
            [...evaluate(ratio, now, before, 2, 0).values()],
          ];
        }""",
        BUCKETS,
    )

    # (50 - 10) / 80 of the way from 0.1 to 0.5; half of the way from 0.5 to 1. The second counter began anew.
    assert result == [
        pytest.approx(0.3),
        pytest.approx(0.75),
        [["1", 3], ["2", 1.5], ['say "3"', 2]],
        [pytest.approx(6 / 13)],
    ]
