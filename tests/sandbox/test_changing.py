"""Update and delete (d365-odata.md 1.2, 5.1 to 5.4)."""

from __future__ import annotations

import pytest

from tests.support.sandbox_answers import decoded, inner

pytestmark = pytest.mark.anyio
WRITE_ERROR = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataWriteException"
GROUP = {"CustomerGroupId": "77", "Description": "Seventy-seven"}
ORDER = "/data/SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='000001')"
KEY = "/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='10')"
RT = "/data/CustomerGroups(dataAreaId='usrt',CustomerGroupId='10')"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_an_update_changes_its_fields_and_the_recversion(sandbox, method):
    ask = sandbox()
    before = await ask(KEY)
    answer = await ask(KEY, method, json={"Description": "changed"})
    after = await ask(KEY)

    assert (answer.status_code, answer.content, "etag" in answer.headers) == (204, b"", False)
    assert after.json() == {
        **before.json(),
        "Description": "changed",
        "@odata.etag": after.headers["etag"],
    }
    version, _, record = decoded(after.headers["etag"]).strip("'").partition(",")
    assert decoded(before.headers["etag"]).endswith(f",{record}'")
    assert int(version) > 1  # a random-looking Int32 (section 5.2)


async def test_put_may_replace_the_row(sandbox):
    ask = sandbox(put="replace")
    await ask(KEY, "PUT", json={"Description": "only this"})
    row = (await ask(KEY)).json()

    assert (row["Description"], row["PaymentTermId"], row["CustomerGroupId"]) == (
        "only this",
        "",
        "10",
    )


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"Description": "x"}), ("DELETE", None)])
async def test_if_match_is_obeyed_if_it_is_sent(sandbox, method, body):
    ask = sandbox()
    await ask("/data/CustomerGroups", "POST", json=GROUP)
    url = "/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='77')"
    stale = (await ask(url)).headers["etag"]
    await ask(url, "PATCH", json={"Description": "first"}, headers={"if-match": stale})
    refused = await ask(url, method, json=body, headers={"if-match": stale})
    fresh = (await ask(url)).headers["etag"]
    tags = f'W/"x", {fresh}'

    assert refused.status_code == 412
    assert (await ask(url)).json()["Description"] == "first"
    assert (await ask(url, method, json=body, headers={"if-match": tags})).status_code == 204


@pytest.mark.parametrize("matching", ["*", None])
async def test_without_if_match_the_last_write_wins(sandbox, matching):
    headers = {} if matching is None else {"if-match": matching}

    assert (
        await sandbox()(KEY, "PATCH", json={"Description": "x"}, headers=headers)
    ).status_code == 204


async def test_a_stale_etag_may_be_an_infolog_conflict(sandbox):
    ask = sandbox(conflict="infolog")
    answer = await ask(KEY, "PATCH", json={"Description": "x"}, headers={"if-match": 'W/"x"'})

    assert answer.status_code == 400
    assert "An update conflict occurred due to another user process deleting the record" in inner(
        answer
    )


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
async def test_rows_out_of_reach_and_missing_ones_are_404(sandbox, method):
    """Section 1.2: another company's row needs ``cross-company``; section 5.1: no upsert."""
    ask = sandbox()
    body = None if method == "DELETE" else {"Description": "x"}
    missing = "/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='NONE')"

    assert (await ask(RT, method, json=body)).status_code == 404
    assert (await ask(missing, method, json=body)).status_code == 404
    assert not ask.app.state.store.rows("CustomerGroups", CustomerGroupId="NONE")


async def test_cross_company_writes_rows_of_other_companies(sandbox):
    ask = sandbox()
    url = f"{RT}?cross-company=true"

    assert (await ask(url, "PATCH", json={"Description": "there"})).status_code == 204
    assert (await ask(url)).json()["Description"] == "there"
    assert (await ask(KEY)).json()["Description"] != "there"


async def test_patch_creates_the_missing_row_with_upsert(sandbox):
    ask = sandbox(upsert=True)
    url = "/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='NEW')"
    answer = await ask(url, "PATCH", json={"Description": "made"})

    assert (answer.status_code, answer.json()["CustomerGroupId"]) == (201, "NEW")
    assert (await ask(url + "x", "PATCH", json={}, headers={"if-match": "*"})).status_code == 404


FIXED = [
    ("POST", "/data/LedgerJournalHeaders", {"JournalName": "GenJrn", "IsPosted": "Yes"}, "IsPosted"),
    ("PATCH", "/data/LedgerJournalHeaders(dataAreaId='usmf',JournalBatchNumber='00001')",
     {"JournalTotalDebit": 1}, "JournalTotalDebit"),
    ("PATCH", KEY, {"CustomerGroupId": "11"}, "CustomerGroupId"),
    ("PATCH", KEY, {"dataAreaId": "usrt"}, "dataAreaId"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "url", "body", "name"), FIXED)
async def test_read_only_fields_are_refused_or_ignored(sandbox, method, url, body, name):
    refused = await sandbox()(url, method, json=body)
    ask = sandbox(read_only_fields="ignore")
    ignored = await ask(url, method, json=body)

    assert "cannot be edited" in inner(refused)
    assert f".{name}'" in inner(refused)
    assert ignored.status_code == (201 if method == "POST" else 204)


async def test_a_key_that_stays_the_same_may_be_sent(sandbox):
    body = {"dataAreaId": "USMF", "CustomerGroupId": "10", "Description": "x"}

    assert (await sandbox()(KEY, "PATCH", json=body)).status_code == 204


async def test_an_update_is_validated_like_a_creation(sandbox):
    ask = sandbox()
    unknown = await ask(KEY, "PATCH", json={"PaymentTermId": "NONE"})
    blank = await ask(KEY, "PATCH", json={"Description": ""})

    assert "is not found in the related table 'Payment terms'" in inner(unknown)
    assert "Field 'Description' must be filled in" in inner(blank)


async def test_a_deleted_row_is_gone(sandbox):
    ask = sandbox()
    await ask("/data/CustomerGroups", "POST", json=GROUP)
    url = "/data/CustomerGroups(dataAreaId='usmf',CustomerGroupId='77')"

    assert (await ask(url, "DELETE")).status_code == 204
    assert (await ask(url)).status_code == 404
    assert (await ask(url, "DELETE")).status_code == 404


async def test_rows_that_others_name_are_not_deleted(sandbox):
    """Section 5.1: checkRestrictedDeleteActions."""
    answer = await sandbox()(KEY, "DELETE")

    assert "dependent Customers V3 exist" in inner(answer)


async def test_a_header_takes_its_lines_along(sandbox):
    ask = sandbox()
    url = "/data/LedgerJournalHeaders(dataAreaId='usmf',JournalBatchNumber='00001')"
    before = len(ask.app.state.store.rows("LedgerJournalLines", JournalBatchNumber="00001"))
    await ask(url, "DELETE")
    left = ask.app.state.store.rows("LedgerJournalLines", JournalBatchNumber="00001")

    assert before > len(left)
    assert {row["dataAreaId"] for row in left} == {"usrt", "demf", "dat"}


async def test_lines_touch_their_header_and_its_totals(sandbox):
    """Section 5.2, [R: G12]: journal line writes change the header's RecVersion."""
    ask = sandbox()
    store = ask.app.state.store
    header = (
        await ask("/data/LedgerJournalHeaders", "POST", json={"JournalName": "GenJrn"})
    ).json()
    number = header["JournalBatchNumber"]
    url = f"/data/LedgerJournalHeaders(dataAreaId='usmf',JournalBatchNumber='{number}')"
    line = f"/data/LedgerJournalLines(dataAreaId='usmf',JournalBatchNumber='{number}',LineNumber=1)"
    tags, totals = [(await ask(url)).headers["etag"]], []
    for method, address, body in (
        ("POST", "/data/LedgerJournalLines", {"JournalBatchNumber": number, "DebitAmount": 10.25}),
        ("PATCH", line, {"DebitAmount": 7}),
        ("DELETE", line, None),
    ):
        assert (await ask(address, method, json=body)).is_success
        tags.append((await ask(url)).headers["etag"])
        result = store.rows("LedgerJournalHeaders", JournalBatchNumber=number, dataAreaId="usmf")
        totals.append(str(result[0]["JournalTotalDebit"]))

    assert len(set(tags)) == 4
    assert totals == ["10.25", "7", "0"]


async def test_versions_of_an_entity_show_the_same_row(sandbox):
    ask = sandbox()
    body = {"OrderingCustomerAccountNumber": "US-001", "CurrencyCode": "USD"}
    number = (await ask("/data/SalesOrderHeadersV4", "POST", json=body)).json()["SalesOrderNumber"]
    url = f"/data/SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='{number}')"

    assert (await ask(url)).json()["SalesOrderNumber"] == number


@pytest.mark.parametrize(
    ("method", "url"),
    [("POST", "/data/DimensionSets"), ("DELETE", "/data/Companies('usmf')"), ("PATCH", "/data/CustomerGroups"),
     ("POST", KEY), ("PUT", f"{KEY}/Description"), ("DELETE", "/data/CustomerGroups"), ("POST", "/data/$metadata"),
     ("POST", "/data"), ("POST", f"{ORDER}/SalesOrderLines")],
)  # fmt: skip
async def test_what_cannot_be_written_is_405(sandbox, method, url):
    assert (await sandbox()(url, method, json={})).status_code == 405


@pytest.mark.parametrize(
    ("settings", "method", "preference", "status"),
    [({}, "POST", "minimal", 201), ({}, "PATCH", "representation", 204),
     ({"honour_return_preference": True}, "POST", "minimal", 204),
     ({"honour_return_preference": True}, "PATCH", "representation", 200),
     ({"honour_return_preference": True}, "PATCH", "minimal", 204)],
)  # fmt: skip
async def test_the_return_preference_is_a_setting(sandbox, settings, method, preference, status):
    ask = sandbox(**settings)
    url, body = (
        (KEY, {"Description": "x"}) if method == "PATCH" else ("/data/CustomerGroups", GROUP)
    )
    answer = await ask(url, method, json=body, headers={"prefer": f"return={preference}"})

    assert answer.status_code == status
    assert bool(answer.content) == (status != 204)


async def test_headers_without_evidence_are_knobs(sandbox):
    ask = sandbox(created_headers=False, etag_on_update=True)
    created = await ask("/data/CustomerGroups", "POST", json=GROUP)
    updated = await ask(KEY, "PATCH", json={"Description": "x"})

    assert "location" not in created.headers
    assert updated.headers["etag"] == (await ask(KEY)).headers["etag"]
