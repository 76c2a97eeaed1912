"""Paths: keys, navigations, properties, and their companies (d365-odata.md 1)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from gateway.sandbox import sql
from tests.support.metadata_documents import CATALOGUE, path_of

pytestmark = pytest.mark.anyio
NS = "Microsoft.Dynamics.DataEntities"

FOUND = [
    "/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')",
    "/data/CustomersV3(CustomerAccount='US-001',dataAreaId='USMF')",
    "/data/CustomersV3(CustomerAccount='us-001', dataAreaId='usmf')",
    "/data/Currencies('USD')",
    "/data/Currencies(CurrencyCode='USD')",
    "/data/DimensionSets(22565421195)",
    "/data/PurchaseOrderLinesV2(dataAreaId='usmf',PurchaseOrderNumber='00000001',LineNumber=1)",
    "/data/LedgerJournalLines(dataAreaId='usmf',JournalBatchNumber='00001',LineNumber=1.0)",
    "/data/ExchangeRates(RateTypeName='Default',FromCurrency='EUR',ToCurrency='USD',StartDate=2024-01-01T12:00:00Z)",
    "/data/FinancialDimensionValues(FinancialDimension='Project',LegalEntityId='',DimensionValue='A B')",
    "/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='10')/DimensionSet",
    "/data/SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='000001')/SalesOrderLines",
    "/data/SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='000001')/SalesOrderLines/$count",
    "/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')/CustomerGroupId",
    "/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')/CustomerGroupId/$value",
    "/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')?$expand=DimensionSet&$select=KnownAs",
]
MISSING = [
    ("/data/Nope", 404),
    ("/data/Nope('1')", 404),
    ("/data/customersv3", 404),
    ("/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-999')", 404),
    ("/data/CustomersV3(dataAreaId='usrt',CustomerAccount='RT-001')", 404),
    ("/data/CustomersV3(CustomerAccount='US-001')", 400),
    ("/data/CustomersV3('US-001')", 400),
    ("/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001',Extra='1')", 400),
    ("/data/CustomersV3(dataAreaId='usmf',dataAreaId='usmf')", 400),
    ("/data/CustomersV3(dataAreaId=usmf,CustomerAccount='US-001')", 400),
    ("/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001)", 400),
    ("/data/DimensionSets('22565421195')", 400),
    ("/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')/Nope", 404),
    ("/data/CustomersV3/KnownAs", 404),
    ("/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')/$count", 404),
    ("/data/CustomersV3/$count/$count", 404),
    ("/elsewhere", 404),
    ("/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')/DimensionSet/CustomerV3", 404),
    ("/data/CustomersV3/Microsoft.Dynamics.DataEntities.Frob", 404),
    ("/data/SystemUsers(UserID='Admin'", 404),
    (
        "/data/ExchangeRates(RateTypeName='Default',FromCurrency='EUR',ToCurrency='USD',StartDate=2024-01-01)",
        400,
    ),
    (
        "/data/ExchangeRates(RateTypeName='Default',FromCurrency='EUR',ToCurrency='USD',StartDate='x')",
        400,
    ),
]


@pytest.mark.parametrize("url", FOUND)
async def test_an_address_of_something_is_answered(get, url):
    answer = await get(
        url.replace("'100!'", "'100%25'") if "!" not in url else url.replace("100!", "003")
    )

    # the third value of a dimension belongs to a company, so the shared one is not there
    assert answer.status_code == (404 if "!" in url else 200), answer.text


async def test_a_property_as_object_bare_text_and_null(get):
    customer = "/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-002')"
    value = (await get(f"{customer}/CustomerGroupId")).json()

    assert value["value"] == "20"
    assert value["@odata.context"].endswith("$metadata#CustomersV3/CustomerGroupId")
    assert (await get(f"{customer}/CustomerGroupId/$value")).text == "20"
    assert (await get(f"{customer}/AddressTimeZone")).status_code == 204


async def test_a_navigation_to_nothing_has_no_content(get):
    rows = (await get("/data/CustomersV3?$filter=DefaultDimensionDisplayValue eq ''&$top=1")).json()
    account = rows["value"][0]["CustomerAccount"]
    url = f"/data/CustomersV3(dataAreaId='usmf',CustomerAccount='{account}')/DimensionSet"

    assert (await get(url)).status_code == 204


@pytest.mark.parametrize(("url", "status"), MISSING)
async def test_an_address_of_nothing_is_refused(get, url, status):
    assert (await get(url)).status_code == status


async def test_every_awkward_customer_is_found_by_its_key(app, get):
    rows = [r for r in _seeded(app, "CustomersV3") if r.startswith("US-") and not r[3:].isdigit()]
    assert len(rows) == 19
    for account in rows:
        key = quote("'" + account.replace("'", "''") + "'", safe="")
        url = f"/data/CustomersV3(dataAreaId='usmf',CustomerAccount={key})?$select=CustomerAccount"
        answer = await get(url)
        if any(sign in account for sign in "/\\%"):
            assert answer.status_code == 404, account  # IIS lets no such path through
        else:
            assert answer.json()["CustomerAccount"] == account


def _seeded(app, entity_set):
    storage = app.state.store.storage(entity_set)
    return [
        row[0]
        for row in app.state.store.fetch(
            sql.select([storage.column("CustomerAccount")], storage.table)
        )
    ]


async def test_without_path_hazards_slashes_and_percents_pass(sandbox):
    ask = sandbox(path_hazards=False)
    for account in ("US-A/B", "US-50%", "US-A+B", "US-BS\\1"):
        key = quote(account, safe="")
        answer = await ask(f"/data/CustomersV3(dataAreaId='usmf',CustomerAccount='{key}')")
        assert answer.json()["CustomerAccount"] == account


@pytest.mark.heavy
@pytest.mark.catalogue
async def test_enum_key_parts_are_taken_in_both_forms(sandbox):
    ask = sandbox(metadata=path_of(CATALOGUE))
    model = ask.app.state.world.model
    entity_set = next(
        s for s in model.entity_sets.values() for k in model.key_of(s.type)[:1]
        if len(model.key_of(s.type)) == 1 and ask.app.state.world.fields_of(s.type)[k].enum is not None
    )  # fmt: skip
    key = model.key_of(entity_set.type)[0]
    member = (await ask(f"/data/{entity_set.name}?$top=1")).json()["value"][0][key]
    enum = ask.app.state.world.fields_of(entity_set.type)[key].enum.name

    assert (await ask(f"/data/{entity_set.name}('{member}')")).status_code == 200
    assert (await ask(f"/data/{entity_set.name}({key}={enum}'{member}')")).status_code == 200


async def test_without_cross_company_only_the_default_company_is_seen(get):
    rows = (await get("/data/CustomersV3?$select=dataAreaId")).json()["value"]

    assert {row["dataAreaId"] for row in rows} == {"usmf"}


async def test_cross_company_shows_all_companies(get):
    rows = (await get("/data/CustomersV3?$select=dataAreaId&cross-company=true")).json()["value"]

    assert {row["dataAreaId"] for row in rows} == {"usmf", "usrt", "demf", "dat"}


@pytest.mark.parametrize("value", ["TRUE", "1", "false"])
async def test_cross_company_takes_true_in_lower_case_only(get, value):
    rows = (await get(f"/data/CustomersV3?$select=dataAreaId&cross-company={value}")).json()[
        "value"
    ]

    assert {row["dataAreaId"] for row in rows} == {"usmf"}


async def test_a_filter_for_another_company_needs_the_flag(get):
    url = "/data/CustomersV3/$count?$filter=dataAreaId eq 'USRT'"

    assert (await get(url)).text == "0"
    assert (await get(f"{url}&cross-company=true")).text == "79"


async def test_a_key_outside_the_default_company_needs_the_flag(get):
    url = "/data/CustomersV3(dataAreaId='usrt',CustomerAccount='RT-001')"

    assert (await get(url)).status_code == 404
    assert (await get(f"{url}?cross-company=true")).status_code == 200


async def test_inaccessible_companies_do_not_exist(sandbox):
    ask = sandbox(accessible_companies=("usmf", "demf"), default_company="demf")
    rows = (await ask("/data/CustomersV3?$select=dataAreaId&cross-company=true")).json()["value"]

    assert {row["dataAreaId"] for row in rows} == {"usmf", "demf"}
    assert {r["dataAreaId"] for r in (await ask("/data/VendorsV2")).json()["value"]} == {"demf"}
    url = "/data/CustomersV3(dataAreaId='usrt',CustomerAccount='RT-001')?cross-company=true"
    assert (await ask(url)).status_code == 404


async def test_global_entities_ignore_companies(get):
    assert len((await get("/data/LegalEntities")).json()["value"]) == 4


@pytest.mark.parametrize(
    ("style", "kind"), [("empty", None), ("json", "application/json"), ("html", "text/html")]
)
async def test_the_body_for_an_unknown_set_is_a_setting(sandbox, style, kind):
    answer = await sandbox(unknown_set_body=style)("/data/Nope")

    assert answer.status_code == 404
    assert answer.headers.get("content-type", "None").startswith(str(kind))
