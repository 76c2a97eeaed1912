"""Values as F&O returns them (d365-odata.md 2.4 and 5.2)."""

from __future__ import annotations

import base64
import re
from decimal import Decimal

import pytest

from gateway.sandbox import sql
from gateway.sandbox.values import decimal_text, fold, sortable

pytestmark = pytest.mark.anyio


@pytest.mark.heavy
async def test_nothing_is_null_but_enums_without_value(app, get):
    for name, entity_set in app.state.world.model.entity_sets.items():
        fields = app.state.world.fields_of(entity_set.type)
        for row in (await get(f"/data/{name}?cross-company=true")).json()["value"]:
            assert {k for k, v in row.items() if v is None} <= {
                n for n, f in fields.items() if f.enum
            }


async def test_dates_are_noon_and_unset_ones_have_their_sentinels(get):
    order = (
        await get("/data/SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='000001')")
    ).json()
    customer = (await get("/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')")).json()
    vendor = (await get("/data/VendorsV2?$top=1")).json()["value"][0]
    user = (await get("/data/OperatingUnits?$top=1")).json()["value"][0]

    assert order["RequestedShippingDate"].endswith("T12:00:00Z")
    assert order["ConfirmedShippingDate"] == "1900-01-01T12:00:00Z"
    assert vendor["VendorHoldReleaseDate"] == "1900-01-01T12:00:00Z"
    assert customer["AddressValidTo"] == "2154-12-31T23:59:59Z"
    assert user["AddressValidFrom"] == "1900-01-01T00:00:00Z"


async def test_decimals_are_numbers_with_exactly_the_stored_digits(get):
    text = (
        await get("/data/ReleasedProductsV2?$select=PurchasePrice,SalesPrice,UnitCostQuantity")
    ).text

    assert '"PurchasePrice":0.1234567890123456' in text
    assert '"SalesPrice":39.95' in text
    assert '"UnitCostQuantity":1}' in text
    rates = re.findall(r'"Rate":([\d.]+)', (await get("/data/ExchangeRates")).text)
    assert any(
        Decimal(rate) != Decimal(repr(float(rate))) for rate in rates
    )  # more than a float holds


async def test_enums_are_member_names_and_record_ids_numbers(get):
    row = (await get("/data/MainAccounts?$top=1")).json()["value"][0]

    assert (row["MainAccountType"], row["IsSuspended"]) == ("Asset", "No")
    assert row["MainAccountRecId"] > 2**32


async def test_dataareaid_is_lower_case_other_companies_upper(get):
    assert (await get("/data/CustomersV3?$filter=dataAreaId eq 'USMF'&$top=1")).json()["value"][0][
        "dataAreaId"
    ] == "usmf"
    assert (await get("/data/SystemUsers('Admin')")).json()["Company"] == "USMF"


async def test_display_values_escape_the_delimiter_in_account_numbers(get):
    vendor = "Microsoft.Dynamics.DataEntities.LedgerJournalACType'Vend'"
    url = f"/data/LedgerJournalLines?$filter=AccountType eq {vendor}&$top=1"

    assert (await get(url)).json()["value"][0]["AccountDisplayValue"].startswith("US\\-")


async def test_journals_balance(get):
    url = "/data/LedgerJournalHeaders?$expand=LedgerJournalLine&cross-company=true"
    for header in (await get(url)).json()["value"]:
        lines = header["LedgerJournalLine"]
        debit = sum(Decimal(str(line["DebitAmount"])) for line in lines)
        credit = sum(Decimal(str(line["CreditAmount"])) for line in lines)
        assert debit == credit == Decimal(str(header["JournalTotalDebit"]))


async def test_etags_are_weak_with_a_pair_per_data_source(get):
    answer = await get("/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='10')")
    several = (await get("/data/SalesOrderHeadersV2?$top=1")).json()["value"][0]["@odata.etag"]

    tag = answer.json()["@odata.etag"]
    assert answer.headers["etag"] == tag
    assert re.fullmatch(r"'\d+,\d+'", base64.b64decode(tag[3:-1]).decode())
    assert re.fullmatch(r"'\d+,\d+(;\d+,\d+){3}'", base64.b64decode(several[3:-1]).decode())


async def test_full_metadata_annotates_types_and_links(get):
    accept = {"accept": "application/json;odata.metadata=full"}
    answer = await get("/data/CustomerGroups?$top=1", headers=accept)
    row = answer.json()["value"][0]

    assert "odata.metadata=full" in answer.headers["content-type"]
    assert row["@odata.type"] == "#Microsoft.Dynamics.DataEntities.CustomerGroup"
    assert row["@odata.id"] == row["@odata.editLink"]
    assert row["@odata.id"].endswith("/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='10')")
    assert row["IsSalesTaxIncludedInPrice@odata.type"] == "#Microsoft.Dynamics.DataEntities.NoYes"
    assert row["DimensionSet@odata.navigationLink"].endswith("/DimensionSet")
    order = (await get("/data/SalesOrderLines?$top=1", headers=accept)).json()["value"][0]
    assert order["LineAmount@odata.type"] == "#Decimal"
    assert order["RequestedShippingDate@odata.type"] == "#DateTimeOffset"


async def test_full_metadata_has_no_address_without_the_whole_key(get):
    accept = {"accept": "application/json; odata.metadata=full"}
    row = (await get("/data/CustomerGroups?$top=1&$select=dataAreaId", headers=accept)).json()[
        "value"
    ][0]

    assert list(row) == ["@odata.type", "@odata.etag", "dataAreaId"]
    user = (await get("/data/SystemUsers('Admin')", headers=accept)).json()
    assert user["@odata.id"] == "http://sandbox/data/SystemUsers('Admin')"


async def test_metadata_none_has_no_annotations(get):
    answer = (
        await get(
            "/data/CustomerGroups?$top=1",
            headers={"accept": "application/json;odata.metadata=none"},
        )
    ).json()

    assert list(answer) == ["value"]
    assert "@odata.etag" not in answer["value"][0]


async def test_answers_carry_finance_headers(get):
    headers = (await get("/data/Currencies")).headers

    assert headers["odata-version"] == "4.0"
    assert headers["ms-dyn-aid"]
    assert re.fullmatch(r"dur=\d+", headers["server-timing"])
    assert headers["content-type"] == "application/json; odata.metadata=minimal; charset=utf-8"


@pytest.mark.heavy
async def test_the_seed_decides_the_rows(sandbox):
    url = "/data/SalesOrderLines?$top=50"
    first, same, other = sandbox(), sandbox(), sandbox(seed=7)

    assert (await first(url)).content == (await same(url)).content
    assert (await first(url)).content != (await other(url)).content


async def test_scale_multiplies_rows(sandbox):
    assert int((await sandbox(scale=0.1)("/data/SalesOrderHeadersV2/$count")).text) == 30


async def test_every_set_of_the_catalogue_has_rows(app, get):
    counts = {
        n: int((await get(f"/data/{n}/$count?cross-company=true")).text)
        for n in app.state.world.model.entity_sets
    }

    assert len(counts) >= 45
    assert [name for name, count in counts.items() if count == 0] == []


@pytest.mark.heavy
async def test_every_navigation_of_the_catalogue_has_rows(app, get):
    model = app.state.world.model
    empty = []
    for name, entity_set in model.entity_sets.items():
        for navigation in model.navigations_of(entity_set.type):
            chosen = f"{navigation.name}($select={model.key_of(navigation.target)[0]})"
            answer = await get(f"/data/{name}?cross-company=true&$expand={chosen}")
            if not any(row[navigation.name] for row in answer.json()["value"]):
                empty.append(f"{name}/{navigation.name}")

    assert empty == []


async def test_keys_are_unique_in_every_set(app):
    for name, entity_set in app.state.world.model.entity_sets.items():
        storage = app.state.store.storage(app.state.world.storage_of_set(name))
        keys = [storage.compared(part) for part in app.state.world.model.key_of(entity_set.type)]
        rows = app.state.store.fetch(sql.select(keys, storage.table))
        assert len(set(rows)) == len(rows), name


async def test_rows_can_be_put_in_and_taken_out(sandbox):
    ask = sandbox()
    ask.app.state.store.insert(
        "CustomersV3", [{"dataAreaId": "usmf", "CustomerAccount": "NEW", "CreditLimit": "1.50"}]
    )
    row = (await ask("/data/CustomersV3(dataAreaId='usmf',CustomerAccount='new')")).json()

    assert (row["CreditLimit"], row["KnownAs"], row["OnHoldStatus"]) == (1.5, "", "No")
    assert base64.b64decode(row["@odata.etag"][3:-1]).decode().startswith("'1,")
    assert ask.app.state.store.delete("CustomersV3", CustomerAccount="NEW") == 1


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [(["-1e20", "-2", "-0.5", "0", "0.0000000000000001", "0.1", "2", "10", "1e20"],
      ["-100000000000000000000", "-2", "-0.5", "0", "0.0000000000000001", "0.1", "2", "10", "100000000000000000000"])],
)  # fmt: skip
def test_decimals_sort_exactly_and_print_plainly(numbers, texts):
    keys = [sortable(Decimal(number)) for number in numbers]

    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert [decimal_text(Decimal(number)) for number in numbers] == texts


def test_text_compares_without_case_and_trailing_blanks():
    assert fold("Straße ") == fold("STRASSE")
    assert fold(" a") != fold("a")
