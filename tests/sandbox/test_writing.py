"""Create, update and delete (d365-odata.md 1.2, 5.1 to 5.4)."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sandbox import SandboxSettings, create_sandbox
from tests.support.sandbox_answers import decoded, inner

pytestmark = pytest.mark.anyio
WRITE_ERROR = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataWriteException"
GROUP = {"CustomerGroupId": "77", "Description": "Seventy-seven"}
ORDER = "/data/SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='000001')"
KEY = "/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='10')"
RT = "/data/CustomerGroups(dataAreaId='usrt',CustomerGroupId='10')"


async def test_a_created_row_is_returned_with_address_and_etag(sandbox):
    ask = sandbox()
    answer = await ask("/data/CustomerGroups", "POST", json=GROUP)
    row = answer.json()
    address = "http://sandbox/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='77')"

    assert answer.status_code == 201
    assert row["@odata.context"] == "http://sandbox/data/$metadata#CustomerGroups/$entity"
    assert row["@odata.etag"] == answer.headers["etag"]
    assert re.fullmatch(r"'1,\d+'", decoded(row["@odata.etag"]))  # RecVersion 1 (section 5.2)
    assert answer.headers["location"] == answer.headers["odata-entityid"] == address
    assert (await ask(address)).json() == row
    assert ask.app.state.store.rows("CustomerGroups", CustomerGroupId="77", dataAreaId="usmf") == [
        {name: value for name, value in row.items() if not name.startswith("@")}
    ]
    assert (
        ask.app.state.requests[0].body == b'{"CustomerGroupId":"77","Description":"Seventy-seven"}'
    )


async def test_missing_properties_get_their_unset_values(sandbox):
    row = (await sandbox()("/data/BankAccounts", "POST", json={"BankAccountId": "NEW"})).json()

    assert {name: row[name] for name in ("dataAreaId", "Name", "CreditLimit", "PrenoteResponseDays",
                                         "ActiveFrom", "IsPrenoteRequired", "CurrencyCode")} == {
        "dataAreaId": "usmf", "Name": "", "CreditLimit": 0, "PrenoteResponseDays": 0,
        "ActiveFrom": "1900-01-01T00:00:00Z", "IsPrenoteRequired": "No", "CurrencyCode": "USD",
    }  # fmt: skip


CREATED = [
    pytest.param("SalesOrderHeadersV2", {"OrderingCustomerAccountNumber": "US-001"},
                 {"SalesOrderNumber": "000301", "InvoiceCustomerAccountNumber": "US-001", "CurrencyCode": "GBP",
                  "SalesOrderStatus": "Backorder", "DefaultShippingSiteId": "1"}, id="order"),
    pytest.param("SalesOrderHeadersV2", {"dataAreaId": "USRT", "OrderingCustomerAccountNumber": "RT-001"},
                 {"dataAreaId": "usrt", "SalesOrderNumber": "000151"}, id="order-of-another-company"),
    pytest.param("SalesOrderLines", {"SalesOrderNumber": "000001", "ItemNumber": "D0001", "OrderedSalesQuantity": 3},
                 {"LineAmount": 119.85, "SalesPrice": 39.95, "InventoryLotId": "USMF-001341",
                  "SalesOrderLineStatus": "Backorder"}, id="order-line"),
    pytest.param("SalesOrderLinesV3", {"SalesOrderNumber": "000001", "ItemNumber": "D0001", "LineNumber": 77.5},
                 {"LineNumber": 77.5, "FinTagDisplayValue": ""}, id="version-of-an-order-line"),
    pytest.param("PurchaseOrderHeadersV2", {"OrderVendorAccountNumber": "US-001"},
                 {"PurchaseOrderNumber": "00000121", "PurchaseOrderStatus": "Backorder"}, id="purchase"),
    pytest.param("VendorInvoiceHeaders", {"InvoiceNumber": "I1", "PurchaseOrderNumber": "00000002"},
                 {"HeaderReference": "5637144051", "Date": "2024-06-30T12:00:00Z"}, id="invoice"),
    pytest.param("LedgerJournalHeaders", {"JournalName": "GenJrn"},
                 {"JournalBatchNumber": "00061", "Description": "General journal", "AccountingCurrency": "USD",
                  "IsPosted": "No", "JournalTotalDebit": 0}, id="journal"),
    pytest.param("LedgerJournalLines", {"JournalBatchNumber": "00001", "LineNumber": 90, "DebitAmount": 12.34,
                                        "AccountType": "Ledger", "AccountDisplayValue": "600150-001-022",
                                        "OffsetAccountType": "Vend", "OffsetAccountDisplayValue": "US\\-001",
                                        "TransDate": "2024-03-05T12:00:00Z"},
                 {"LineNumber": 90, "Voucher": "GNJL000001", "CurrencyCode": "USD", "Company": "usmf",
                  "OffsetAccountDisplayValue": "US\\-001", "DebitAmount": 12.34,
                  "TransDate": "2024-03-05T12:00:00Z", "DueDate": "1900-01-01T12:00:00Z"}, id="journal-line"),
    pytest.param("CustomersV3", {"OrganizationName": "New", "CustomerGroupId": "10"},
                 {"CustomerAccount": "US-121", "SalesCurrencyCode": "USD", "PaymentTerms": "Net10", "KnownAs": "New"},
                 id="customer"),
    pytest.param("FinancialDimensionValues", {"FinancialDimension": "Project", "DimensionValue": "X1"},
                 {"LegalEntityId": "", "IsSuspended": "No"}, id="blank-key-part"),
]  # fmt: skip


@pytest.mark.parametrize(("entity_set", "body", "expected"), CREATED)
async def test_numbers_and_defaults_are_given_by_the_service(sandbox, entity_set, body, expected):
    answer = await sandbox()(f"/data/{entity_set}", "POST", json=body)

    assert answer.status_code == 201, answer.text
    assert {name: answer.json()[name] for name in expected} == expected


async def test_blank_values_count_as_set(sandbox):
    """Section 5.1: defaults are for what was not sent."""
    body = {
        "OrderingCustomerAccountNumber": "US-001",
        "SalesOrderName": "",
        "DefaultShippingSiteId": "",
    }
    row = (await sandbox()("/data/SalesOrderHeadersV2", "POST", json=body)).json()

    assert (row["SalesOrderName"], row["DefaultShippingSiteId"]) == ("", "")


async def test_number_sequences_continue_above_chosen_numbers(sandbox):
    ask = sandbox()
    body = {"OrderingCustomerAccountNumber": "US-001"}
    numbers = []
    for more in ({}, {"SalesOrderNumber": "000310"}, {}):
        answer = await ask("/data/SalesOrderHeadersV2", "POST", json={**body, **more})
        numbers.append(answer.json()["SalesOrderNumber"])
    await ask("/data/SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='000311')", "DELETE")
    again = await ask("/data/SalesOrderHeadersV2", "POST", json=body)

    assert numbers == ["000301", "000310", "000311"]
    assert again.json()["SalesOrderNumber"] == "000312"


async def test_record_ids_are_not_given_twice(sandbox):
    ask = sandbox()
    tags = []
    for _ in range(2):
        tags.append((await ask("/data/CustomerGroups", "POST", json=GROUP)).headers["etag"])
        await ask("/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='77')", "DELETE")

    assert tags[0] != tags[1]


MALFORMED = [
    ({"Nope": 1}, "The property 'Nope' does not exist on type"),
    ({"Description": 5}, "Cannot convert the literal '5' to the expected type 'Edm.String'"),
    ({"IsPublicSector_IT": "Maybe"}, "'Microsoft.Dynamics.DataEntities.NoYes'"),
    ({"IsPublicSector_IT": 1}, "'Microsoft.Dynamics.DataEntities.NoYes'"),
    ({"DimensionSet": {"RecordId": 1}}, "navigation property 'DimensionSet'"),
    ({"DimensionSet@odata.bind": "DimensionSets(1)"}, "not supported"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), MALFORMED)
async def test_bodies_that_are_not_of_the_type_are_refused(sandbox, body, message):
    answer = await sandbox()("/data/CustomerGroups", "POST", json={**GROUP, **body})

    assert answer.status_code == 400
    assert message in inner(answer)


TYPES: list[tuple[str, str, list[Any]]] = [
    ("LedgerJournalLines", "DebitAmount", ["1.5", True, [1], 10**401]),
    ("LedgerJournalLines", "TransDate", ["2024-01-01", "yesterday", 5, "0001-01-01T00:00:00+14:00"]),
    ("LedgerJournalLines", "Text", [5, {}]),
    ("LedgerJournalLines", "AccountType", ["Cust,Vend", "1", ""]),
    ("SalesOrderLinesV3", "Catalog", [1.5, 2**63, "7"]),
    ("SalesOrderLinesV3", "LineCreationSequenceNumber", [2**31]),
    ("VendorInvoiceHeaders", "Recalculation", ["true", 1]),
    ("VendorInvoiceHeaders", "BusinessDocumentSubmissionId_W", ["x", 7]),
]  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("entity_set", "name", "value"),
    [(entity_set, name, value) for entity_set, name, values in TYPES for value in values],
)
async def test_values_of_the_wrong_type_are_refused(sandbox, entity_set, name, value):
    content = json.dumps({name: value})
    answer = await sandbox()(f"/data/{entity_set}", "POST", content=content)

    assert answer.status_code == 400
    assert f"(property '{name}')" in inner(answer)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [("{", "application/json", 400), ("[]", "application/json", 400), ('{"Rate":NaN}', "application/json", 400),
     (r'{"RateTypeName":"\ud800"}', "application/json", 400), ("<a/>", "application/xml", 415)],
)  # fmt: skip
async def test_bodies_that_are_no_json_object_are_refused(sandbox, content, kind, status):
    answer = await sandbox()(
        "/data/ExchangeRates", "POST", content=content, headers={"content-type": kind}
    )

    assert answer.status_code == status


async def test_decimals_are_kept_exactly(sandbox):
    ask = sandbox()
    body = '{"RateTypeName":"Default","FromCurrency":"JPY","ToCurrency":"EUR","StartDate":"2025-01-01T12:00:00Z",'
    body += '"Rate":1234567890123456.0123456789}'
    answer = await ask("/data/ExchangeRates", "POST", content=body)

    assert '"Rate":1234567890123456.0123456789' in answer.text


async def test_null_is_unset_or_refused_by_the_setting(sandbox):
    body = {**GROUP, "PaymentTermId": None, "IsPublicSector_IT": None}
    row = (await sandbox()("/data/CustomerGroups", "POST", json=body)).json()
    rate = {"BankAccountId": "N", "CreditLimit": None, "ActiveFrom": None}
    refused = await sandbox()("/data/BankAccounts", "POST", json=rate)
    unset = (await sandbox(null_in_body="unset")("/data/BankAccounts", "POST", json=rate)).json()

    assert (row["PaymentTermId"], row["IsPublicSector_IT"]) == ("", None)
    assert refused.status_code == 400
    assert "A null value was found for the property named 'CreditLimit'" in inner(refused)
    assert (unset["CreditLimit"], unset["ActiveFrom"]) == (0, "1900-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("sent", "hours", "remaining"),
    [("2024-03-05T12:00:00Z", -8, "2024-03-05"), ("2024-03-05T00:00:00Z", 0, "2024-03-05"),
     ("2024-03-05T00:00:00Z", -8, "2024-03-04"), ("2024-03-05T23:30:00+01:00", 9, "2024-03-06"),
     ("1900-01-01T12:00:00Z", -13, "1900-01-01")],
)  # fmt: skip
async def test_a_date_is_noon_of_the_day_of_the_account(sandbox, sent, hours, remaining):
    """Section 5.4: midnight UTC risks the day before."""
    ask = sandbox(hours_east=hours)
    body = {"JournalBatchNumber": "00001", "TransDate": sent}
    row = (await ask("/data/LedgerJournalLines", "POST", json=body)).json()

    assert row["TransDate"] == f"{remaining}T12:00:00Z"


INFOLOG = [
    pytest.param("CustomerGroups", {"CustomerGroupId": "10", "Description": "x"},
                 "Write failed for table row of type 'CustCustomerGroupEntity'. Infolog: Info: Cannot create a record"
                 " in Customer groups (CustGroup). Customer group id: 10.\nThe record already exists..",
                 id="duplicate"),
    pytest.param("CustomersV3", {"OrganizationName": "x", "CustomerGroupId": "Local"},
                 "Write failed for table row of type 'CustCustomerV3Entity'. Infolog: Warning: The value 'Local' in"
                 " field 'Customer group id' is not found in the related table 'Customer groups'.; Warning:"
                 " validateField failed on field 'CustCustomerV3Entity.CustomerGroupId'.", id="foreign-key"),
    pytest.param("CustomersV3", {},
                 "Write failed for table row of type 'CustCustomerV3Entity'. Infolog: Warning: Field 'Customer group"
                 " id' must be filled in.; Warning: validateWrite failed on data source 'CustTable (CustTable)'.",
                 id="mandatory"),
    pytest.param("LedgerJournalHeaders", {"JournalName": ""},
                 "Write failed for table row of type 'LedgerJournalHeaderEntity'. Infolog: Warning: Field 'Journal"
                 " name' must be filled in.; Warning: validateWrite failed on data source 'LedgerJournalTable"
                 " (LedgerJournalTable)'.", id="mandatory-blank"),
    pytest.param("SalesOrderLines", {"SalesOrderNumber": "000001", "ItemNumber": "D0001", "ShippingSiteId": ""},
                 "Write failed for table row of type 'SalesOrderLineEntity'. Infolog: Warning: Inventory dimension Site"
                 " is mandatory and must consequently be specified.; Error: Update has been canceled.",
                 id="mandatory-dimension"),
    pytest.param("LedgerJournalLines", {"JournalBatchNumber": "00004", "DebitAmount": 1},
                 "Write failed for table row of type 'LedgerJournalLineEntity'. Infolog: Warning: Journal 00004 is"
                 " posted and cannot be changed.; Warning: validateWrite failed on data source 'LedgerJournalTrans"
                 " (LedgerJournalTrans)'.", id="business-rule"),
]  # fmt: skip


@pytest.mark.parametrize(("entity_set", "body", "message"), INFOLOG)
@pytest.mark.parametrize("status", [400, 500])
async def test_write_errors_bear_the_infolog(sandbox, entity_set, body, message, status):
    ask = sandbox(write_error_status=status)
    answer = await ask(f"/data/{entity_set}", "POST", json=body)

    assert answer.status_code == status
    assert inner(answer) == message
    assert answer.json()["error"]["innererror"]["type"] == WRITE_ERROR


LOOKUPS = [
    ("LedgerJournalLines", {"JournalBatchNumber": "99999"}, "JournalBatchNumber", "Ledger journal headers"),
    ("LedgerJournalLines", {"JournalBatchNumber": "00001", "AccountDisplayValue": "999999-001-022"},
     "AccountDisplayValue", "Main accounts"),
    ("LedgerJournalLines", {"JournalBatchNumber": "00001", "AccountType": "Vend", "AccountDisplayValue": "US-001"},
     "AccountDisplayValue", "Vendors v 2"),
    ("LedgerJournalLines", {"JournalBatchNumber": "00001", "OffsetAccountDisplayValue": "NONE",
                            "OffsetAccountType": "Bank"}, "OffsetAccountDisplayValue", "Bank accounts"),
    ("LedgerJournalLines", {"JournalBatchNumber": "00001", "CurrencyCode": "XXX"}, "CurrencyCode", "Currencies"),
    ("SalesOrderHeadersV2", {"OrderingCustomerAccountNumber": "RT-001"}, "OrderingCustomerAccountNumber",
     "Customers V3"),
    ("SalesOrderHeadersV4", {"OrderingCustomerAccountNumber": "NONE"}, "OrderingCustomerAccountNumber",
     "Customers V3"),
    ("SalesOrderLines", {"SalesOrderNumber": "000001", "ItemNumber": "NONE"}, "ItemNumber", "Released products v 2"),
    ("VendorInvoiceLines", {"HeaderReference": "5637144001", "PurchLineNumber": 99}, "PurchLineNumber",
     "Purchase order lines v 2"),
    ("CustomerGroups", {"dataAreaId": "nope", **GROUP}, "dataAreaId", "Legal entities"),
]  # fmt: skip


@pytest.mark.parametrize(("entity_set", "body", "name", "table"), LOOKUPS)
async def test_values_must_be_found_in_the_related_table(sandbox, entity_set, body, name, table):
    answer = await sandbox()(f"/data/{entity_set}", "POST", json=body)

    assert f"is not found in the related table '{table}'." in inner(answer)
    assert re.search(rf"validateField failed on field '\w+\.{name}'\.$", inner(answer))


async def test_foreign_keys_need_not_be_looked_at(sandbox):
    body = {"CustomerGroupId": "Local", "OrganizationName": "x"}

    assert (
        await sandbox(foreign_keys=False)("/data/CustomersV3", "POST", json=body)
    ).status_code == 201


async def test_a_row_that_names_only_itself_is_deleted(sandbox):
    ask = sandbox()
    body = {"CustomerAccount": "ME", "CustomerGroupId": "10"}
    await ask("/data/CustomersV3", "POST", json=body)
    url = "/data/CustomersV3(dataAreaId='usmf',CustomerAccount='ME')"

    assert (await ask(url, "PATCH", json={"InvoiceAccount": "ME"})).status_code == 204
    assert (await ask(url, "DELETE")).status_code == 204


async def test_inaccessible_companies_do_not_exist_for_writes(sandbox):
    ask = sandbox(accessible_companies=("usmf",))
    answer = await ask("/data/CustomerGroups", "POST", json={**GROUP, "dataAreaId": "usrt"})

    assert "The value 'usrt' in field 'Company' is not found" in inner(answer)


VALUES: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.just([{}])
)
FUZZED = ("LedgerJournalLines", "VendorInvoiceHeaders", "SalesOrderLinesV3", "ExchangeRates")


@pytest.mark.heavy
@given(data=st.data())
@settings(max_examples=60, deadline=None)
async def test_no_body_breaks_the_service(app, data):
    entity_set = data.draw(st.sampled_from(FUZZED))
    model = app.state.world.model
    names = [p.name for p in model.properties_of(model.entity_sets[entity_set].type)]
    body = json.dumps(data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=4)))
    transport = httpx.ASGITransport(create_sandbox(SandboxSettings(scale=0.1)))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        answer = await client.post(f"/data/{entity_set}", content=body)

    assert answer.status_code in (201, 400), answer.text
    assert answer.status_code == 400 or answer.json()["@odata.etag"]
