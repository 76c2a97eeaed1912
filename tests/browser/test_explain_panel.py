"""The Explain panel and the company scope in Debian's chromium."""

import json
from typing import Any

import pytest

from gateway.graphiql import examples
from tests.support.graphiql import SECONDS, is_run, open_graphiql, run, text_of, write

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("built_page")]
HEADERS, VARIABLES = "request-headers.json", "variables.json"
ORDERS = """{
  salesOrderHeadersV2(first: 2) { nodes { salesOrderNumber customer { organizationName } } }
}"""
JOURNAL = next(e for e in examples() if "journal" in e.name and e.changes)


TURNS = """async () => {
  for (let turn = 0; turn < 6; turn++) await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
}"""
"""Waits until React has seen what the editors hold."""


class Panel:
    """The panel of an open page."""

    def __init__(self, watched):
        self.watched = watched
        self.page = watched.page
        self.page.get_by_label("Show Explain").click()
        self.root = self.page.get_by_role("region", name="Explain", exact=True)
        self.settled()

    def settled(self):
        """Wait until it tells of what is in the editors."""
        self.page.evaluate(TURNS)
        self.page.locator(".explain[aria-busy=false]").wait_for(timeout=SECONDS)
        return self

    def fill(self, query, file="operation.graphql"):
        write(self.page, query, file)
        return self.settled()

    def run(self):
        self.page.get_by_label("Execute query").click()
        self.root.get_by_role("region", name="Last run").wait_for(timeout=SECONDS)

    def list(self, name):
        return self.root.get_by_role("list", name=name, exact=True)

    def items(self, name):
        return self.list(name).locator(":scope > li").all_inner_texts()


@pytest.fixture(scope="module")
def opened_panel(opened_page):
    return Panel(opened_page)


@pytest.fixture
def panel(opened_panel):
    opened_panel.page.emulate_media(color_scheme="light")
    write(opened_panel.page, json.dumps(examples()[0].variables), VARIABLES)
    write(opened_panel.page, '{"X-D365-Company": "usmf"}', HEADERS)
    opened_panel.fill(examples()[0].query)
    opened_panel.watched.console.clear()
    return opened_panel


def sent_to(watched, path):
    return [url for url in watched.requests if url.endswith(path)]


def test_plan_and_exact_requests_are_shown_before_a_run(panel, screenshot):
    (request,) = panel.items("Requests")

    assert request.startswith("GET\nCustomersV3")
    assert "dataAreaId eq 'usmf' and OrganizationName eq '*a*'" in " ".join(request.split())
    plan = panel.list("Plan").inner_text()
    assert "salesOrders key batch" in plan
    assert "salesOrderLines with its parents ($expand)" in plan
    screenshot(panel.page, "explain-light-before")
    panel.watched.assert_clean()


def test_timings_come_with_the_run_and_its_answer_is_as_without(panel, screenshot):
    with panel.page.expect_request(is_run) as sent:
        panel.run()

    assert sent.value.headers["x-d365-trace"] == "true"
    assert set(json.loads(run(panel.page))) == {"data"}
    customers, orders = panel.items("Timings")
    assert customers.startswith("GET\nCustomersV3")
    assert orders.startswith("GET\nSalesOrderHeadersV2")
    for timing in (customers, orders):
        assert "ms" in timing
        assert "200 · " in timing
        assert " rows · " in timing
    last = panel.root.get_by_role("region", name="Last run").inner_text()
    assert "2 requests · " in last
    assert "upstream" in last
    assert "gateway" in last
    screenshot(panel.page, "explain-light-after")
    panel.list("Timings").locator("summary").last.click()
    assert "OrderingCustomerAccountNumber eq" in panel.list("Timings").inner_text()
    panel.watched.assert_clean()


def test_timings_are_those_of_what_is_in_the_editor(panel):
    panel.run()

    panel.fill(ORDERS)

    assert panel.list("Timings").count() == 0
    assert "SalesOrderHeadersV2" in panel.items("Requests")[0]


def test_a_subscription_is_explained_by_what_each_look_asks(panel):
    panel.fill('subscription { entityChanged(set: "customersV3") { node { id } } }')

    (request,) = panel.items("Requests")
    assert "at each poll" in panel.root.locator("h3", has_text="1 request").inner_text()
    assert panel.root.get_by_role("status").inner_text() == "subscription"
    assert "entityChanged" in request
    plan = panel.list("Plan").inner_text()
    assert "customersV3, polled every 0.1 s" in plan
    assert "CustomersV3 by key, up to 500 changed rows at once" in plan
    panel.watched.assert_clean()


def test_a_mutation_is_explained_to_its_bodies_and_nothing_is_written(panel, screenshot):
    before = len(sent_to(panel.watched, "/graphql"))
    panel.fill(JOURNAL.query)

    header, batch, *rest = panel.items("Requests")
    assert header.startswith("POST\nLedgerJournalHeaders")
    assert '"Description": "Accrued rent"' in header
    assert batch.startswith("POST\n$batch")
    assert batch.count("POST\nLedgerJournalLines") == 2
    assert '"DebitAmount": 1250.00' in batch
    assert rest[-1].startswith("POST\n/api/services/")
    assert "{JournalBatchNumber}" in panel.root.inner_text()
    assert len(sent_to(panel.watched, "/graphql")) == before
    screenshot(panel.page, "explain-light-mutation")
    panel.watched.assert_clean()


TROUBLES = [
    ("operation.graphql", "{ custmersV3 { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
    ("operation.graphql", "{ customersV3 {", "GRAPHQL_PARSE_FAILED"),
    ("operation.graphql", "query ($n: Int!) { customersV3(first: $n) { totalCount } }", "BAD_USER"),
    (VARIABLES, "{ nothing", "Variables are invalid JSON"),
    (HEADERS, "[]", "Request headers are not a JSON object"),
    (HEADERS, '{"X-D365-Timeout": "soon"}', "BAD_REQUEST"),
]


@pytest.mark.parametrize(("file", "text", "said"), TROUBLES)
def test_what_prevents_a_run_is_told_and_is_gone_when_it_is_mended(
    panel, screenshot, file, text, said
):
    before = text_of(panel.page, file)

    panel.fill(text, file)
    assert said in "".join(panel.items("Errors"))
    screenshot(panel.page, f"explain-light-{said.split()[0].lower()}")
    panel.fill(before, file)
    assert panel.list("Errors").count() == 0


def test_a_hint_stands_with_the_error(panel):
    panel.fill('{"X-D365-Timeout": "soon"}', HEADERS)

    assert "For example: 2.5" in panel.items("Errors")[0]


def test_an_argument_that_cannot_be_used_is_told_in_the_plan(panel):
    panel.fill("{ customersV3(first: 5000) { totalCount } }")

    assert "PAGE_LIMIT_EXCEEDED" in panel.items("Plan")[0]


def test_no_typing_is_too_quick_for_it(panel):
    """It costs less than a request a key, and the last text is the one that is explained."""
    before = len(sent_to(panel.watched, "/graphql/explain"))
    write(panel.page, "")
    panel.page.locator(".graphiql-query-editor .monaco-editor").click()
    panel.page.keyboard.insert_text("{ legalEntities { totalCount } ")
    panel.page.keyboard.type("a: customerGroups { totalCount ", delay=5)
    panel.settled()

    assert panel.items("Requests")[-1].startswith("GET\nCustomerGroups/$count")
    assert len(sent_to(panel.watched, "/graphql/explain")) - before < 15
    panel.watched.assert_clean()


def test_an_answer_that_comes_late_changes_nothing(panel):
    held: list[Any] = []

    def hold_the_first(route):
        if held:
            route.continue_()
        else:
            held.append(route)

    panel.page.route("**/graphql/explain", hold_the_first)
    write(panel.page, "{ legalEntities { totalCount } }")
    panel.page.wait_for_function("() => document.querySelector('.explain[aria-busy=true]')")
    while not held:
        panel.page.wait_for_timeout(20)
    panel.fill("{ customerGroups { totalCount } }")
    late: dict[str, Any] = {
        "data": {"steps": [], "requests": [], "placeholders": [], "service": None}
    }
    held[0].fulfill(json=late)
    panel.settled()

    panel.page.unroute("**/graphql/explain")
    (request,) = panel.items("Requests")
    assert request.startswith("GET\nCustomerGroups/$count")


def test_a_request_can_be_copied_as_an_address_and_as_a_command(panel):
    panel.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.fill("{ legalEntities { totalCount } }")
    copied = []
    for what in ("Copy URL", "Copy curl"):
        panel.root.get_by_label(what).click()
        panel.root.get_by_label(what).get_by_text("copied").wait_for()
        copied.append(panel.page.evaluate("() => navigator.clipboard.readText()"))

    assert copied[0] == "LegalEntities/$count?cross-company=true"
    assert copied[1].startswith('curl \\\n  -H "Authorization: Bearer $TOKEN"')
    assert copied[1].endswith("\"$D365_URL\"'/LegalEntities/$count?cross-company=true'")
    panel.watched.assert_clean()


def test_it_is_readable_in_the_dark(panel, screenshot):
    panel.page.emulate_media(color_scheme="dark")
    panel.run()

    colour = panel.root.locator(".explain-how").first.evaluate("e => getComputedStyle(e).color")
    assert min(map(int, colour.removeprefix("rgb(").rstrip(")").split(","))) > 150
    screenshot(panel.page, "explain-dark-after")
    panel.watched.assert_clean()


def test_without_explain_there_is_no_panel_and_no_trace(watched, gateway):
    def switched_off(route):
        route.fulfill(json={**route.fetch().json(), "explain": False})

    watched.page.route("**/graphiql/config.json", switched_off)
    open_graphiql(watched, gateway)
    with watched.page.expect_request(is_run) as sent:
        run(watched.page)

    assert watched.page.get_by_label("Show Explain").count() == 0
    assert "x-d365-trace" not in sent.value.headers
    watched.assert_clean()


class TestCompanyScope:
    def test_the_preset_company_is_sent_until_another_is_chosen(self, watched, gateway, screenshot):
        open_graphiql(watched, gateway)
        panel = Panel(watched)
        page = panel.page
        page.get_by_role("button", name="Headers").click()
        shown = page.locator(".graphiql-editor:visible", has_text="X-D365-Company")
        shown.wait_for(timeout=SECONDS)  # the editor draws its lines one after the other
        assert json.loads(text_of(page, HEADERS)) == {"X-D365-Company": "usmf"}
        screenshot(page, "company-header")
        with page.expect_request(is_run) as sent:
            run(page)
        assert sent.value.headers["x-d365-company"] == "usmf"

        panel.fill(ORDERS)
        panel.fill('{"X-D365-Company": "usmf", "Authorization": "Bearer hush"}', HEADERS)
        page.get_by_role("button", name="Company scope: usmf").click()
        page.get_by_role("menuitem", name="demf").wait_for()
        screenshot(page, "company-menu")
        page.get_by_role("menuitem", name="demf").click()
        panel.settled()
        changed = {"X-D365-Company": "demf", "Authorization": "Bearer hush"}
        assert json.loads(text_of(page, HEADERS)) == changed
        assert "dataAreaId eq 'demf'" in panel.items("Requests")[0].replace("\n", " ")
        with page.expect_request(is_run) as sent:
            run(page)
        assert sent.value.headers["x-d365-company"] == "demf"

        page.reload()
        page.get_by_role("button", name="Company scope: demf").click()
        assert json.loads(text_of(page, HEADERS)) == {"X-D365-Company": "demf"}
        page.get_by_role("menuitem", name="Default no header").click()
        assert json.loads(text_of(page, HEADERS)) == {}
        watched.assert_clean()

    def test_an_api_without_legal_entities_says_where_to_name_the_company(self, panel):
        refused = {"errors": [{"message": "Cannot query field 'legalEntities' on type 'Query'."}]}
        panel.page.route("**/graphql", lambda route: route.fulfill(json=refused))

        panel.page.get_by_role("button", name="Company scope: usmf").click()
        panel.page.get_by_text("set X-D365-Company under Headers").wait_for()
        panel.page.unroute("**/graphql")
        panel.page.keyboard.press("Escape")
        panel.watched.assert_clean()
