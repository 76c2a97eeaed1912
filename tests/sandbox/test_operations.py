"""Actions, functions and custom services (d365-odata.md 1, 1.3, 5.1 and 5.4)."""

from __future__ import annotations

import pytest

from tests.support.metadata_documents import TRIPS, path_of

pytestmark = pytest.mark.anyio
NAMESPACE = "Microsoft.Dynamics.DataEntities"
LEAVE = (
    "/data/MyLeaveRequests(RequestId='USMF-000001',LeaveType='Vacation',LeaveDate=2024-07-01T12:00:00Z,"
    "dataAreaId='USMF')"
)
POST = "/api/services/LedgerJournalServices/LedgerJournalService/post"


async def test_an_action_on_a_set_gives_its_value(sandbox):
    """[R: G11, C3]"""
    ask = sandbox()
    answer = await ask(
        f"/data/DataManagementEntities/{NAMESPACE}.GetApplicationVersion", "POST", json={}
    )

    assert answer.status_code == 200
    assert answer.json() == {
        "@odata.context": "http://sandbox/data/$metadata#Edm.String",
        "value": "10.0.47.12",
    }
    assert [(c.operation, c.row) for c in ask.app.state.calls] == [
        (f"{NAMESPACE}.GetApplicationVersion", None)
    ]


async def test_an_action_may_give_rows(sandbox):
    answer = await sandbox()(f"/data/DataManagementEntities/{NAMESPACE}.query", "POST")

    assert answer.json()["@odata.context"].endswith("$metadata#DataManagementEntities")
    assert len(answer.json()["value"]) == 3


async def test_an_action_without_a_result_changes_its_row(sandbox):
    """[D: S9]: 204; the second time it fails with the text of section 5.3."""
    ask = sandbox()
    url = f"{LEAVE}/{NAMESPACE}.submit?cross-company=true"
    first, second = await ask(url, "POST"), await ask(url, "POST")
    error = second.json()["error"]["innererror"]

    assert (first.status_code, first.content) == (204, b"")
    assert (await ask(LEAVE)).json()["Status"] == "InReview"
    assert ask.app.state.calls[0].row["RequestId"] == "USMF-000001"
    assert second.status_code == 500
    assert error["type"] == "System.InvalidOperationException"
    assert error["message"].startswith(
        "Exception occurred while executing action submit on Entity MyLeaveRequest: "
    )


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("GET", f"/data/DataManagementEntities/{NAMESPACE}.GetApplicationVersion", None, 404),
        ("POST", f"/data/DataManagementEntities/{NAMESPACE}.Nope", {}, 404),
        ("POST", f"/data/DataManagementEntities/{NAMESPACE}.GetApplicationVersion", {"x": 1}, 400),
        ("PATCH", f"{LEAVE}/{NAMESPACE}.submit", {}, 404),
        ("POST", f"/data/MyLeaveRequests/{NAMESPACE}.submit", {}, 404),
        ("POST", f"{LEAVE.replace('000001', '999999')}/{NAMESPACE}.submit", {}, 404),
        ("POST", f"/data/{NAMESPACE}.Nope", {}, 404),
    ],
)
async def test_operations_that_are_not_there_are_refused(sandbox, method, url, body, status):
    ask = sandbox()

    assert (await ask(url, method, json=body)).status_code == status
    assert ask.app.state.calls == []


async def test_the_metadata_service_lists_bound_actions(get):
    """[R: C3]"""
    entity = (await get("/metadata/PublicEntities('DataManagementEntity')")).json()
    leave = (await get("/metadata/PublicEntities('MyLeaveRequest')")).json()

    assert entity["Actions"][-1] == {
        "Name": "query",
        "BindingKind": "BoundToEntitySet",
        "Parameters": [
            {
                "Name": "DataManagementEntity",
                "Type": {"TypeName": f"{NAMESPACE}.DataManagementEntity", "IsCollection": True},
            }
        ],
        "ReturnType": {"TypeName": f"{NAMESPACE}.DataManagementEntity", "IsCollection": True},
        "FieldLookup": None,
    }
    assert leave["Actions"][0]["BindingKind"] == "BoundToEntityInstance"
    assert leave["Actions"][0]["ReturnType"] is None


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "context"),
    [
        ("GET", "/data/GetNearestAirport(lat=47.5,lon=-122.3)", None, 200, "Airports/$entity"),
        ("GET", "/data/Trips.GetNearestAirport(lon=1,lat=@a)?@a=2", None, 200, "Airports/$entity"),
        ("GET", "/data/Me/Trips.GetFavoriteAirline()", None, 200, "Airlines/$entity"),
        ("GET", "/data/Me/Trips.GetFriendsTrips(userName='x')", None, 200, "Trip"),
        ("GET", "/data/GetNearestAirport(lat=47.5)", None, 404, None),
        ("GET", "/data/GetNearestAirport(lat=x,lon=1)", None, 400, None),
        ("GET", "/data/GetNearestAirport(lat=1,lon=1)/Name", None, 404, None),
        ("POST", "/data/GetNearestAirport", {"lat": 1, "lon": 1}, 404, None),
        ("POST", "/data/ResetDataSource", {}, 204, None),
        ("POST", "/data/Me/Trips.ShareTrip", {"userName": "x", "tripId": 5}, 204, None),
        ("POST", "/data/Me/Trips.ShareTrip", {"userName": "x"}, 400, None),
        ("POST", "/data/Me/Trips.ShareTrip", {"userName": "x", "tripId": "5"}, 400, None),
    ],
)  # fmt: skip
async def test_operations_answer_by_their_return_types(sandbox, method, url, body, status, context):
    ask = sandbox(metadata=path_of(TRIPS))
    answer = await ask(url, method, json=body)

    assert answer.status_code == status, answer.text
    assert len(ask.app.state.calls) == (status < 300)
    if context is not None:
        assert answer.json()["@odata.context"] == f"http://sandbox/data/$metadata#{context}"


async def test_calls_are_recorded_with_their_parameters(sandbox):
    ask = sandbox(metadata=path_of(TRIPS))
    await ask("/data/Me/Trips.ShareTrip", "POST", json={"userName": "x", "tripId": 5})
    [call] = ask.app.state.calls

    assert call.operation == "Trips.ShareTrip"
    assert call.parameters == {"userName": "x", "tripId": 5}
    assert call.row["UserName"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", {"ServiceGroups": [{"Name": "LedgerJournalServices"}, {"Name": "SalesOrderServices"}]}),
        ("/LedgerJournalServices", {"Services": [{"Name": "LedgerJournalService"}]}),
        ("/LedgerJournalServices/LedgerJournalService", {"Operations": [{"Name": "post"}]}),
        ("/LedgerJournalServices/LedgerJournalService/post", {
            "Parameters": [{"Name": "_dataAreaId", "Type": "String"},
                           {"Name": "_journalBatchNumber", "Type": "String"}],
            "Return": {"Name": "return", "Type": "LedgerJournalPostResult"}}),
    ],
)  # fmt: skip
async def test_services_describe_themselves(get, path, expected):
    assert (await get(f"/api/services{path}")).json() == expected


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/Nope", 404), ("GET", "/LedgerJournalServices/LedgerJournalService/post/more", 404),
     ("POST", "/LedgerJournalServices", 405), ("DELETE", "/LedgerJournalServices/LedgerJournalService/post", 405)],
)  # fmt: skip
async def test_services_that_are_not_there_are_refused(sandbox, method, path, status):
    assert (await sandbox()(f"/api/services{path}", method, json={})).status_code == status


async def _journal(ask, *lines):
    header = await ask("/data/LedgerJournalHeaders", "POST", json={"JournalName": "GenJrn"})
    number = header.json()["JournalBatchNumber"]
    for line in lines:
        body = {"JournalBatchNumber": number, "AccountDisplayValue": "600150-001-022", **line}
        assert (await ask("/data/LedgerJournalLines", "POST", json=body)).status_code == 201
    return number


async def _post(ask, number, company="usmf"):
    return await ask(POST, "POST", json={"_dataAreaId": company, "_journalBatchNumber": number})


@pytest.mark.heavy
@pytest.mark.parametrize(
    "lines",
    [
        [{"DebitAmount": 10.25}, {"CreditAmount": 10}, {"CreditAmount": 0.25}],
        [{"DebitAmount": 7, "OffsetAccountType": "Vend", "OffsetAccountDisplayValue": "US\\-001"}],
    ],
)
async def test_a_balanced_journal_is_posted_once(sandbox, lines):
    ask = sandbox()
    number = await _journal(ask, *lines)
    answer, again = await _post(ask, number, "USMF"), await _post(ask, number)
    header = f"/data/LedgerJournalHeaders(dataAreaId='usmf',JournalBatchNumber='{number}')"

    assert answer.status_code == 200
    assert answer.json() == {
        "$id": "1",
        "JournalBatchNumber": number,
        "IsPosted": "Yes",
        "NumberOfLines": len(lines),
        "Vouchers": ["GNJL000061"],
    }
    assert (await ask(header)).json()["IsPosted"] == "Yes"
    assert again.status_code == 500
    assert "is already posted" in again.json()["Message"]
    assert (await ask(header, "PATCH", json={"Description": "x"})).status_code == 400
    assert (await ask(header, "DELETE")).status_code == 400


UNBALANCED = "on voucher GNJL000061 do not balance as per 2024-06-30. (accounting currency: 10.5)"
REFUSED = [
    ([], "has no lines to post"),
    ([{"DebitAmount": 10.5}], UNBALANCED),
    ([{"DebitAmount": 1, "AccountDisplayValue": ""}, {"CreditAmount": 1}], "Account must be specified on line 1."),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "message"), REFUSED)
async def test_a_journal_that_is_not_in_order_is_not_posted(sandbox, lines, message):
    ask = sandbox()
    number = await _journal(ask, *lines)
    answer = await _post(ask, number)

    assert answer.status_code == 500
    assert answer.json()["ExceptionType"] == "InvocationException"
    assert message in answer.json()["Message"]
    [row] = ask.app.state.store.rows(
        "LedgerJournalHeaders", JournalBatchNumber=number, dataAreaId="usmf"
    )
    assert row["IsPosted"] == "No"


async def test_a_journal_is_posted_in_its_own_company(sandbox):
    ask = sandbox()
    number = await _journal(ask, {"DebitAmount": 1}, {"CreditAmount": 1})

    assert "does not exist in company demf" in (await _post(ask, number, "demf")).json()["Message"]


async def test_parameters_of_a_service_must_be_there(sandbox):
    answer = await sandbox()(POST, "POST", json={"_dataAreaId": "usmf"})

    assert answer.status_code == 400
    assert "'_journalBatchNumber' is not found" in answer.json()["Message"]


CONFIRM = "/api/services/SalesOrderServices/SalesOrderService/confirm"


async def test_an_order_with_lines_is_confirmed_once(sandbox):
    ask = sandbox()
    order = {"OrderingCustomerAccountNumber": "US-001", "CurrencyCode": "USD"}
    header = await ask("/data/SalesOrderHeadersV2", "POST", json=order)
    number = header.json()["SalesOrderNumber"]
    body = {"_dataAreaId": "usmf", "_salesOrderNumber": number}

    empty = await ask(CONFIRM, "POST", json=body)
    line = {"SalesOrderNumber": number, "ItemNumber": "D0002", "OrderedSalesQuantity": 3}
    assert (await ask("/data/SalesOrderLines", "POST", json=line)).status_code == 201
    answer, again = await ask(CONFIRM, "POST", json=body), await ask(CONFIRM, "POST", json=body)
    unknown = await ask(CONFIRM, "POST", json={**body, "_salesOrderNumber": "NOPE"})

    assert answer.json() == {"$id": "1", "SalesOrderNumber": number, "Status": "Confirmed"}
    read = await ask(header.headers["location"])
    assert read.json()["SalesOrderProcessingStatus"] == "Confirmed"
    assert "has no lines" in empty.json()["Message"]
    assert "is confirmed already" in again.json()["Message"]
    assert "does not exist" in unknown.json()["Message"]
