"""The page's links to the documentation, in Debian's chromium."""

import pytest

from gateway.app import create_app
from gateway.config.settings import Settings
from tests.browser.conftest import WatchedPage, profile
from tests.support.graphiql import open_graphiql
from tests.support.threaded import threaded

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("built_page")]


@pytest.fixture(scope="module")
def documented():
    """The URL of a gateway whose documentation is published at /docs/ by a proxy."""
    with threaded(create_app(Settings(language=None, docs_url="/docs/"))) as url:
        yield url


def links_of(page):
    return {
        link.inner_text(): link.get_attribute("href") for link in page.locator(".docs-link").all()
    }


def test_chapters_are_linked_where_they_help(browser, foreign, documented, screenshot):
    with profile(browser, foreign) as context:
        watched = WatchedPage(context, documented, foreign)
        open_graphiql(watched, documented)
        page = watched.page
        page.get_by_label("Show Explain").click()
        page.get_by_text("How requests are planned").wait_for()
        explain = links_of(page)
        screenshot(page, "docs-links-explain")
        page.get_by_label("Show Search").click()
        page.get_by_text("How the search works").wait_for()
        screenshot(page, "docs-links-search")

        assert explain == {
            "Documentation": "/docs/index.html",
            "How requests are planned": "/docs/upstream-requests.html#explain",
        }
        assert links_of(page)["How the search works"] == "/docs/graphiql.html#search"
        watched.assert_clean()
