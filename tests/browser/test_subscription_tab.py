"""A subscription in GraphiQL: its results come while somebody looks on, and end when nobody does."""

import time

import httpx
import pytest

from tests.support.graphiql import SECONDS, result_of, text_of, write
from tests.support.process import PATIENCE

pytestmark = [pytest.mark.browser]
RENAME = """mutation ($name: String!) {
  updateCustomerV3(key: { dataAreaId: "usmf", customerAccount: "US-008" }, patch: { nameAlias: $name }) {
    userErrors { message }
  }
}"""


def rename(gateway, turn):
    body = {"query": RENAME, "variables": {"name": f"Turn {turn}"}}
    answer = httpx.post(f"{gateway}/graphql", json=body, timeout=PATIENCE).json()
    assert answer["data"]["updateCustomerV3"]["userErrors"] == []


@pytest.mark.usefixtures("built_page")
def test_changes_are_shown_as_they_come_until_it_is_stopped(shared, gateway, screenshot):
    page = shared.page
    page.locator(".graphiql-tab-button", has_text="Changes").click()
    query = text_of(page, "operation.graphql")
    assert "subscription Changes" in query
    write(
        page, query.replace('where: { customerGroupId: { in: ["10", "20", "30"] } }', "where: {}")
    )
    page.get_by_label("Execute query").click()
    status = page.locator(".subscription-status")
    status.wait_for(timeout=SECONDS)
    assert "CustomersV3" in status.inner_text()
    assert "polls every 0.1 s" in status.inner_text()
    deadline = time.monotonic() + PATIENCE
    turn = 0
    while '"kind"' not in result_of(page) and time.monotonic() < deadline:
        turn += 1  # a change before the first look at the rows is none
        rename(gateway, turn)
        page.wait_for_timeout(200)

    result = result_of(page)
    assert '"customerAccount": "US-008"' in result
    assert '"kind": "UPDATED"' in result
    screenshot(page, "graphiql-subscription")
    page.get_by_label("Stop query").click()
    page.get_by_label("Execute query").wait_for(timeout=SECONDS)
    status.wait_for(state="detached", timeout=SECONDS)
    shared.assert_clean()


@pytest.mark.usefixtures("built_page")
def test_what_is_awaited_is_shown_before_anything_changes(shared, screenshot):
    page = shared.page
    page.locator(".graphiql-tab-button", has_text="Changes").click()
    page.get_by_label("Execute query").click()
    page.wait_for_function(
        """() => __MONACO.editor.getModels().some(m => m.getValue().includes('"waiting"'))""",
        timeout=SECONDS,
    )

    assert '"set": "CustomersV3"' in result_of(page)
    assert page.locator(".graphiql-spinner").count() == 0
    screenshot(page, "graphiql-subscription-waiting")
    page.get_by_label("Stop query").click()
    page.get_by_label("Execute query").wait_for(timeout=SECONDS)
    shared.assert_clean()
