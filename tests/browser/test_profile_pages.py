"""The pages of profiles: each of its own API, behind the password where the settings say so."""

import httpx
import pytest

from tests.support.graphiql import SECONDS, open_graphiql, run, text_of
from tests.support.process import PATIENCE

pytestmark = [pytest.mark.browser]


@pytest.mark.usefixtures("built_page")
class TestProfilePages:
    def test_each_runs_its_own_api_and_another_can_be_chosen(self, admitted, profiled, screenshot):
        page = admitted.page
        open_graphiql(admitted, profiled, "/graphiql/ap")
        picker = page.get_by_label("API", exact=True)

        tabs = page.locator(".graphiql-tab").all_inner_texts()
        assert "VendorSync" in "".join(tabs).replace(" ", "")
        assert "Customers" not in tabs
        with page.expect_request(lambda r: r.url.endswith("/graphql/ap")):
            assert '"errors"' not in run(page)
        assert picker.input_value() == "/graphiql/ap"
        assert picker.locator("option").all_inner_texts() == ["All", "Accounts payable", "shop"]
        screenshot(page, "graphiql-profile")

        picker.select_option("shop")
        page.wait_for_url(f"{profiled}/graphiql/shop")
        page.wait_for_selector(".graphiql-query-editor .view-line", timeout=SECONDS)
        # The tabs that were left are those of the other page.
        assert "customersV3" in text_of(page, "operation.graphql")
        assert '"customersV3"' in run(page)
        admitted.assert_clean()

    def test_without_the_password_there_is_no_page(self, profiled):
        for path in ("/graphiql", "/graphiql/ap", "/graphiql/ap/config.json"):
            assert httpx.get(profiled + path, timeout=PATIENCE).status_code == 401
        query = f"{profiled}/graphql/ap?query={{__typename}}"
        assert httpx.get(query, timeout=PATIENCE).status_code == 200
