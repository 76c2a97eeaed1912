"""Server-driven paging (d365-odata.md 3)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.anyio


async def _walk(ask, url):
    rows, pages = [], 0
    while url is not None:
        page = (await ask(url)).json()
        rows += page["value"]
        pages += 1
        url = page.get("@odata.nextLink")
    return rows, pages


@pytest.mark.parametrize("next_link", ["skip", "skiptoken"])
@pytest.mark.parametrize("order", ["", "&$orderby=CreditLimit desc", "&$orderby=CustomerGroupId"])
async def test_following_the_links_gives_every_row_once(sandbox, next_link, order):
    ask = sandbox(page_limit=17, next_link=next_link)
    rows, pages = await _walk(
        ask, f"/data/CustomersV3?$select=CustomerAccount&cross-company=true{order}"
    )
    whole = (
        await sandbox()(f"/data/CustomersV3?$select=CustomerAccount&cross-company=true{order}")
    ).json()["value"]

    assert rows == whole
    assert len({row["CustomerAccount"] for row in rows}) == len(rows)
    assert pages == -(-len(rows) // 17)


async def test_the_link_is_absolute_and_keeps_the_other_options(sandbox):
    ask = sandbox(page_limit=10)
    url = "/data/CustomersV3?cross-company=true&$filter=CustomerAccount%20eq%20'*-0*'&$top=25&$skip=5&$count=true"
    page = (await ask(url)).json()
    link = urlsplit(page["@odata.nextLink"])

    assert f"{link.scheme}://{link.netloc}{link.path}" == "http://sandbox/data/CustomersV3"
    assert parse_qs(link.query) == {
        "cross-company": ["true"], "$filter": ["CustomerAccount eq '*-0*'"], "$count": ["true"], "$top": ["15"],
        "$skip": ["15"],
    }  # fmt: skip


async def test_top_ends_the_walk(sandbox):
    ask = sandbox(page_limit=10)

    assert len((await _walk(ask, "/data/CustomersV3?$top=25"))[0]) == 25
    assert "@odata.nextLink" not in (await ask("/data/CustomersV3?$top=10")).json()
    assert "@odata.nextLink" not in (await ask("/data/CustomersV3?$top=0")).json()


async def test_the_page_holds_ten_thousand_rows_by_default(sandbox):
    ask = sandbox()
    rows = [{"UserId": f"{n}", "SecurityRoleIdentifier": "X"} for n in range(10_050)]
    ask.app.state.store.insert("SecurityUserRoles", rows)
    page = (await ask("/data/SecurityUserRoles?$top=20000&$select=UserId")).json()

    assert len(page["value"]) == 10_000
    assert page["@odata.nextLink"].endswith("$select=UserId&$top=10000&$skip=10000")


async def test_a_link_may_lose_cross_company(sandbox):
    page = (
        await sandbox(page_limit=5, next_link_drops_cross_company=True)(
            "/data/CustomersV3?cross-company=true"
        )
    ).json()

    assert "cross-company" not in page["@odata.nextLink"]


async def test_a_link_may_name_another_host(sandbox):
    page = (
        await sandbox(page_limit=5, next_link_origin="https://inner:444")("/data/CustomersV3")
    ).json()

    assert page["@odata.nextLink"].startswith("https://inner:444/data/CustomersV3?")


@pytest.mark.parametrize(
    ("honour", "rows", "applied"), [(True, 3, "odata.maxpagesize=3"), (False, 139, None)]
)
async def test_a_preferred_page_size_is_a_setting(sandbox, honour, rows, applied):
    answer = await sandbox(honour_maxpagesize=honour)(
        "/data/CustomersV3", headers={"prefer": "odata.maxpagesize=3"}
    )

    assert len(answer.json()["value"]) == rows
    assert answer.headers.get("preference-applied") == applied


async def test_the_last_page_may_be_an_empty_one(sandbox):
    rows, pages = await _walk(sandbox(page_limit=2, empty_last_page=True), "/data/LegalEntities")

    assert (len(rows), pages) == (4, 3)


async def test_a_token_that_nobody_made_is_refused(sandbox):
    assert (
        await sandbox(next_link="skiptoken")("/data/CustomersV3?$skiptoken=mine")
    ).status_code == 400


async def test_a_service_without_skip_pages_by_tokens(sandbox):
    ask = sandbox(refuse_skip=True, next_link="skiptoken", honour_maxpagesize=True)
    headers = {"Prefer": "odata.maxpagesize=7"}
    first = await ask("/data/CustomersV3?$select=CustomerAccount", headers=headers)
    link = first.json()["@odata.nextLink"]
    second = (await ask(link, headers=headers)).json()["value"]
    whole = (await ask("/data/CustomersV3?$select=CustomerAccount&$top=14")).json()["value"]

    assert first.headers["preference-applied"] == "odata.maxpagesize=7"
    assert parse_qs(urlsplit(link).query)["$skiptoken"] == ["row-7"]
    assert first.json()["value"] + second == whole
    assert (await ask("/data/CustomersV3?$skip=7")).status_code == 400
