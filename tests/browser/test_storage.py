"""What a visit leaves in the browser: no header but the gateway's own."""

import json

import pytest

from tests.support.graphiql import SECONDS, is_run, open_graphiql, run, write

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("built_page")]
HEADERS = {
    "X-D365-Company": "usmf",
    "Authorization": "Bearer s3cret-token",
    "X-Api-Key": "s3cret-key",
}
STORED = "() => JSON.stringify({...localStorage})"


def stored(page):
    return json.loads(page.evaluate(STORED))


def test_a_token_among_the_headers_is_sent_and_not_kept(shared):
    page = shared.page
    page.get_by_role("button", name="Headers").click()
    page.locator(".graphiql-editor-tool .monaco-editor >> nth=1").wait_for(timeout=SECONDS)
    write(page, json.dumps(HEADERS), "request-headers.json")
    # the history takes the headers that the tab has, a moment after the editor
    page.wait_for_timeout(600)
    with page.expect_request(is_run) as sent:
        run(page)
    page.get_by_label("Show History").click()
    page.get_by_label("Add favorite").first.click(timeout=SECONDS)
    page.wait_for_function(
        """() => localStorage.getItem("graphiql:favorites")?.includes("query")
        && localStorage.getItem("graphiql:tabState")"""
    )
    page.wait_for_timeout(600)  # GraphiQL stores its tabs when nothing has changed for a while

    kept = stored(page)
    (favorite,) = json.loads(kept["graphiql:favorites"])["favorites"]
    assert sent.value.headers["authorization"] == HEADERS["Authorization"]
    # none where the tab was slower still
    assert json.loads(favorite.get("headers", "null")) in ({"X-D365-Company": "usmf"}, None)
    assert [key for key, value in kept.items() if "s3cret" in value] == []
    shared.assert_clean()


def test_what_an_earlier_visit_left_is_cleaned(watched, gateway):
    page = watched.page
    items = [{"query": "{ a }", "headers": json.dumps(HEADERS)}]
    left = {
        f"{place}graphiql:{name}": json.dumps({name: items})
        for place in ("", "ap/")
        for name in ("queries", "favorites")
    }
    left["graphiql:headers"] = json.dumps(HEADERS)
    left["graphiql:shouldPersistHeaders"] = "true"
    page.goto(f"{gateway}/healthz")
    page.evaluate(
        "left => Object.entries(left).forEach(([k, v]) => localStorage.setItem(k, v))", left
    )
    open_graphiql(watched, gateway)

    kept = stored(page)
    assert left.keys() <= kept.keys()
    assert [key for key, value in kept.items() if "s3cret" in value] == []
    assert "{ a }" in kept["graphiql:queries"]
    assert kept["graphiql:shouldPersistHeaders"] == "false"


def test_headers_cannot_be_persisted(shared):
    page = shared.page
    page.get_by_label("Open settings dialog").click()
    page.get_by_text("Clear storage", exact=True).first.wait_for(timeout=SECONDS)

    assert page.get_by_text("Persist headers").count() == 0
