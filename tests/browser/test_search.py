"""The search of the page in chromium, over a schema that is loaded as it is looked at."""

import pytest

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.http import schema_explorer as explorer
from tests.browser.conftest import opened
from tests.support.graphiql import (
    SECONDS,
    all_is_valid,
    run,
    type_until_suggested,
)
from tests.support.threaded import threaded

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("built_page")]


@pytest.fixture(scope="module")
def sliced():
    """A gateway that takes its catalogue for too large to be told at once."""
    app = create_app(Settings(cache_dir=None, language="en-US"), observe=lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explorer, "SMALL", 0)
        with threaded(app) as url:
            yield url


@pytest.fixture(scope="module")
def opened_page(browser, foreign, sliced):
    with opened(browser, foreign, sliced) as watched:
        yield watched


def search(page, text, first):
    """Search until this is the first hit: what was found for less text stands there until the answer comes."""
    page.keyboard.press("Control+Alt+KeyK")
    page.get_by_label("Search sets, fields, types").fill(text)
    page.wait_for_function(
        "first => document.querySelector('.search-name')?.textContent === first",
        arg=first,
        timeout=SECONDS,
    )


def editor_of(page, name):
    return page.evaluate(
        "name => __MONACO.editor.getModels().find(m => m.uri.path.endsWith(name)).getValue()", name
    )


def new_tab(page):
    page.get_by_label("New tab").click()
    page.locator(".graphiql-query-editor .monaco-editor").click()


def test_the_whole_schema_is_never_asked_for(shared):
    page = shared.page
    assert "customersV3" in run(page)
    all_is_valid(page)

    slices = [url for url in shared.opening if "/graphql/slice" in url]
    assert "query=customersV3" in slices[0]
    # what would fetch all of it is not there, and its neighbours stay at the bottom
    assert not page.locator('.graphiql-sidebar button[aria-label^="Re-fetch"]').is_visible()
    settings = page.get_by_label("Open settings dialog").bounding_box()
    assert settings["y"] > page.viewport_size["height"] - 100
    shared.assert_clean()


def test_a_set_is_found_by_the_keyboard_and_its_query_runs(shared):
    page = shared.page
    search(page, "customer gr", "customerGroups")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.locator(".search-fields li").first.wait_for(timeout=SECONDS)
    page.locator(".search-insert", has_text="customerGroups").first.click()
    page.wait_for_function(
        "() => __MONACO.editor.getModels().some(m => m.getValue().startsWith('query CustomerGroups'))"
    )

    assert "customerGroupId" in editor_of(page, "operation.graphql")
    assert '"errors"' not in run(page)
    shared.assert_clean()


def test_enter_searches_for_the_text_as_typed(shared):
    page = shared.page
    search(page, "customer gr", "customerGroups")
    held = []
    page.route("**/graphql/search?q=vendor**", lambda route, request: held.append(route))
    with page.expect_request("**/graphql/search?q=vendor**"):
        page.get_by_label("Search sets, fields, types").fill("vendor gr")
        page.keyboard.press("Enter")
    page.wait_for_timeout(100)  # time in which the hit of the shorter text would be opened
    while not held:
        page.wait_for_timeout(20)
    assert page.locator(".search-opened").count() == 0
    held[0].continue_()

    page.locator(".search-opened").wait_for(timeout=SECONDS)
    assert page.locator(".search-opened").inner_text() == "vendorGroups"
    shared.assert_clean()


def test_enter_opens_a_set_and_enter_inserts_its_query(shared):
    page = shared.page
    search(page, "customer gr", "customerGroups")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.activeElement.matches('.search-insert')", timeout=SECONDS
    )
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => __MONACO.editor.getModels().some(m => m.getValue().startsWith('query CustomerGroups'))"
    )
    shared.assert_clean()


def test_a_mutation_comes_with_the_variables_it_needs(shared):
    page = shared.page
    search(page, "create customer group", "createCustomerGroup")
    page.keyboard.press("Enter")
    page.locator(".search-insert", has_text="createCustomerGroup").first.click()
    page.wait_for_function(
        "() => __MONACO.editor.getModels().some(m => m.getValue().startsWith('mutation Create'))"
    )
    all_is_valid(page)

    assert "userErrors" in editor_of(page, "operation.graphql")
    assert '"customerGroupId": ""' in editor_of(page, "variables.json")
    shared.assert_clean()


def test_a_field_leads_to_its_sets_and_documentation(shared):
    page = shared.page
    search(page, "customersV3.creditLimit", "creditLimit")
    page.locator(".search-name", has_text="creditLimit").first.click()
    page.locator(".search-fields .search-link", has_text="creditLimit").first.click()
    page.locator(".graphiql-doc-explorer-title").wait_for(timeout=SECONDS)

    assert page.locator(".graphiql-doc-explorer-title").inner_text() == "creditLimit"
    shared.assert_clean()


def test_the_documentation_loads_the_types_that_are_opened(shared):
    page = shared.page
    page.get_by_label("Show Documentation Explorer").click()
    back = page.locator(".graphiql-doc-explorer-back")
    while back.count():
        back.click()
    page.get_by_role("link", name="Query").first.click()
    page.get_by_role("link", name="customersV3", exact=True).first.wait_for(timeout=SECONDS)
    assert "those that you have opened" in page.locator(".graphiql-doc-explorer").inner_text()
    # no other test loads the last two
    for name in (
        "CustomerV3Connection",
        "CustomerV3",
        "SalesInvoiceHeaderV2Connection",
        "SalesInvoiceHeaderV2",
    ):
        page.get_by_role("link", name=name, exact=True).first.click()
    page.get_by_role("link", name="contactPersonId").first.wait_for(timeout=SECONDS)

    assert any(url.endswith("type=SalesInvoiceHeaderV2") for url in shared.requests)
    shared.assert_clean()


def test_root_fields_are_completed_before_they_are_loaded(shared):
    page = shared.page
    new_tab(page)
    type_until_suggested(page, "{ vendorsV", "vendorsV2")
    page.keyboard.press("Escape")
    with page.expect_response(lambda response: "query=vendorsV2" in response.url):
        page.keyboard.type("2 { nodes { vendorAcc")
    type_until_suggested(page, "o", "vendorAccountNumber")

    assert not any("vendorsV&" in f"{url}&" for url in shared.requests if "slice" in url)
    shared.assert_clean()
