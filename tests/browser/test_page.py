"""The page in Debian's chromium: it renders, runs examples, stores no token, and asks no other host."""

import json

import pytest

from gateway.graphiql import examples
from tests.support.graphiql import (
    SECONDS,
    is_run,
    open_graphiql,
    run,
    type_until_suggested,
    write,
)

pytestmark = [pytest.mark.browser]
EXPORTED = """query Q($name: String!) {
  customersV3(first: 1, where: { organizationName: { contains: $name } }) {
    nodes { account: customerAccount customerGroup { description } salesOrders { totalCount } }
  }
}"""
HEADERS = {
    "X-D365-Company": "usmf",
    "Authorization": "Bearer s3cret-token",
    "X-Api-Key": "s3cret-key",
}
STORED = "() => JSON.stringify({...localStorage})"


def stored(page):
    return json.loads(page.evaluate(STORED))


@pytest.mark.usefixtures("built_page")
class TestGraphiQL:
    def test_it_renders_and_the_first_example_runs(self, watched, gateway, screenshot):
        seconds = open_graphiql(watched, gateway)
        print(f"the page rendered in {seconds:.2f} s")
        page = watched.page

        tabs = page.locator(".graphiql-tab").all_inner_texts()
        assert tabs[0].strip() == "Customers"
        assert len(tabs) == len(examples())
        with page.expect_request(is_run) as sent:
            result = run(page)
        assert sent.value.headers["x-d365-company"] == "usmf"
        assert sent.value.post_data_json["variables"] == examples()[0].variables
        assert "customersV3" in result
        assert '"errors"' not in result
        screenshot(page, "graphiql-light")
        watched.assert_clean()

    def test_a_tab_runs_as_soon_as_it_is_open(self, shared):
        """GraphiQL reads an operation's name a moment after the text: the last tab's must not be asked for."""
        page = shared.page
        run(page)
        tab = page.locator(".graphiql-tab-button").nth(1).element_handle()
        execute = page.get_by_label("Execute query").element_handle()
        with page.expect_response(lambda response: is_run(response.request)) as answered:
            page.evaluate("([tab, execute]) => { tab.click(); execute.click(); }", [tab, execute])

        assert answered.value.request.post_data_json["query"] == examples()[1].query
        assert "errors" not in answered.value.json()
        shared.assert_clean()

    def test_the_page_follows_the_system_into_the_dark(self, shared, screenshot):
        page = shared.page
        editor = page.locator(".graphiql-query-editor .monaco-editor.vs")
        editor.wait_for(timeout=SECONDS)
        page.emulate_media(color_scheme="dark")
        page.locator(".graphiql-query-editor .monaco-editor.vs-dark").wait_for()
        write(page, "query InTheDark { customersV3(first: 1) { totalCount } }")
        page.locator(".graphiql-tab-active", has_text="InTheDark").wait_for()
        run(page)
        page.get_by_label("Show History").click()
        page.wait_for_function("() => localStorage['graphiql:queries']?.includes('InTheDark')")
        page.wait_for_selector(".graphiql-history-item", timeout=SECONDS)
        screenshot(page, "graphiql-dark-history")

        page.emulate_media(color_scheme="light")
        editor.wait_for()
        shared.assert_clean()

    def test_the_list_at_the_cursor_is_exported(self, shared, screenshot):
        page = shared.page
        write(page, EXPORTED)
        write(page, '{"name": "Lakeview"}', "variables.json")
        write(page, '{"X-D365-Company": "usmf"}', "request-headers.json")
        page.get_by_label("Export the list at the cursor").click()
        screenshot(page, "graphiql-export")
        with page.expect_download() as saved:
            page.get_by_role("menuitem", name="CSV", exact=True).click()

        header, *rows = saved.value.path().read_text("utf-8").splitlines()
        assert saved.value.suggested_filename == "customersV3.csv"
        assert header == "account,customerGroup.description"
        assert rows
        assert all(row.startswith("US-") for row in rows)
        status = page.locator(".export-status")
        status.get_by_text("Exported customersV3.csv").wait_for(timeout=SECONDS)
        assert "(without salesOrders)" in status.inner_text()
        shared.assert_clean()

        write(page, "{ legalEntities(first: 1) { nodes { nope } } }")
        page.get_by_label("Export the list at the cursor").click()
        page.get_by_role("menuitem", name="NDJSON", exact=True).click()
        status.get_by_text("legalEntities is not exported").wait_for(timeout=SECONDS)
        assert "has no field nope" in status.inner_text()
        screenshot(page, "graphiql-export-refused")

    def test_a_new_tab_is_in_sight(self, watched, gateway):
        """There are more of them than fit beside each other."""
        open_graphiql(watched, gateway)
        page = watched.page
        last = page.locator(".graphiql-tab").last
        right = page.get_by_label("New tab").bounding_box()["x"]
        assert last.bounding_box()["x"] > right
        page.get_by_label("New tab").click()

        page.wait_for_function(
            "right => [...document.querySelectorAll('.graphiql-tab')].at(-1)"
            ".getBoundingClientRect().right <= right",
            arg=right,
            timeout=SECONDS,
        )

    def test_the_schema_completes_what_is_typed(self, shared, screenshot):
        """So Monaco's workers run, under our content security policy."""
        page = shared.page
        page.wait_for_selector("[aria-label='Show Documentation Explorer']")
        page.get_by_label("New tab").click()
        page.locator(".graphiql-query-editor .monaco-editor").click()
        type_until_suggested(page, "{ customersV", "customersV3")

        screenshot(page, "graphiql-completion")
        shared.assert_clean()

    def test_the_documentation_shows_the_schema(self, shared, screenshot):
        page = shared.page
        page.get_by_label("Show Documentation Explorer").click()
        page.get_by_role("link", name="Query").first.click()
        page.get_by_role("link", name="customersV3").first.wait_for(timeout=SECONDS)

        screenshot(page, "graphiql-docs")
        shared.assert_clean()

    def test_without_docs_url_nothing_is_linked(self, shared):
        page = shared.page
        page.get_by_label("Show Explain").click()
        page.get_by_text("Nothing is sent.").wait_for()

        assert page.locator(".docs-link").count() == 0


@pytest.mark.usefixtures("built_page")
class TestStorage:
    """What a visit leaves in the browser: no header but the gateway's own."""

    def test_a_token_among_the_headers_is_sent_and_not_kept(self, shared):
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

    def test_what_an_earlier_visit_left_is_cleaned(self, watched, gateway):
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

    def test_headers_cannot_be_persisted(self, shared):
        page = shared.page
        page.get_by_label("Open settings dialog").click()
        page.get_by_text("Clear storage", exact=True).first.wait_for(timeout=SECONDS)

        assert page.get_by_text("Persist headers").count() == 0


class TestPlainPage:
    def test_it_runs_an_example_too(self, watched_plain, plain_gateway, screenshot):
        page = watched_plain.page
        page.goto(f"{plain_gateway}/graphiql")
        page.wait_for_function("() => document.getElementById('query').value !== ''")

        assert page.get_by_text("make page").is_visible()
        assert len(page.locator("#example option").all()) == len(examples())
        page.get_by_role("button", name="Run").click()
        page.wait_for_function("() => document.getElementById('result').textContent.length > 2")
        assert '"US-001"' in page.locator("#result").inner_text()
        assert '"usmf"' in page.locator("#result").inner_text()
        screenshot(page, "plain")
        watched_plain.assert_clean()

    def test_an_example_can_be_chosen_and_bad_headers_are_reported(
        self, watched_plain, plain_gateway
    ):
        page = watched_plain.page
        page.goto(f"{plain_gateway}/graphiql")
        page.wait_for_function("() => document.getElementById('query').value !== ''")
        page.locator("#example").select_option(index=6)
        page.locator("#headers").fill("{oops")
        page.locator("#query").press("Control+Enter")
        page.wait_for_function("() => document.getElementById('result').textContent.length > 2")

        assert "UserDirectory" in page.locator("#query").input_value()
        assert "SyntaxError" in page.locator("#result").inner_text()
        watched_plain.assert_clean()


def test_a_request_to_another_host_would_be_noticed(watched, foreign):
    before = len(foreign.asked)
    watched.page.goto("about:blank")
    watched.page.evaluate(
        "() => new Promise(done => new Worker(URL.createObjectURL(new Blob(["
        "\"fetch('http://fonts.example/').catch(() => 0).then(() => postMessage(1))\"])))"
        ".onmessage = done)"
    )

    assert foreign.asked[before:] == ["GET http://fonts.example/ HTTP/1.1"]
    with pytest.raises(AssertionError):
        watched.assert_clean()
