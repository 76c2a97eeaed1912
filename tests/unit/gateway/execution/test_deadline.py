"""The deadline of an operation: what is cancelled, what the error reports, and that writes go on."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config.settings import Settings
from gateway.events import ErrorRaised, OperationServed
from gateway.execution.deadline import HINT
from gateway.http.request_parameters import TIMEOUT_HEADER
from tests.support.held import ALLOWED, GROUP, at, world

pytestmark = pytest.mark.anyio
ROWS = "{ customersV3(first: 2) { nodes { customerAccount } } }"
TWO = "{ legalEntities(first: 3) { nodes { legalEntityId } } customersV3(first: 2) { totalCount } }"
CHILDREN = "{ salesOrderHeadersV2(first: 2) { nodes { salesOrderLines(first: 2) { nodes { lineNumber } } } } }"


async def test_a_late_read_is_cancelled_and_reports_what_it_spent() -> None:
    async with world(operation_timeout=ALLOWED) as here:
        here.upstream.holds = at("/CustomersV3")
        pending = here.ask(TWO)
        await here.is_held(answered=1)
        here.pass_time()
        answer = await pending

        (error,) = answer["errors"]
        assert answer["data"] is None
        assert error["message"] == (
            "The operation took longer than 30 seconds: 2 upstream requests and 3 rows by then."
        )
        reported = error["extensions"]
        assert (reported["code"], reported["hint"]) == ("DEADLINE_EXCEEDED", HINT)
        assert (reported["spent"]["requests"], reported["spent"]["rows"]) == (2, 3)
        assert reported["spent"]["seconds"] >= ALLOWED
        assert here.upstream.given_up == ["GET /data/CustomersV3/$count"]
        raised, served = (e for e in here.events if isinstance(e, ErrorRaised | OperationServed))
        assert isinstance(raised, ErrorRaised)
        assert (raised.code, raised.error_id) == ("DEADLINE_EXCEEDED", reported["errorId"])
        assert isinstance(served, OperationServed)
        assert (served.requests, served.rows, served.errors) == (2, 3, 1)


async def test_what_is_asked_for_children_is_given_up_too() -> None:
    async with world(operation_timeout=ALLOWED) as here:
        here.upstream.holds = at("/SalesOrderLines")
        pending = here.ask(CHILDREN)
        await here.is_held(answered=1)
        here.pass_time()
        (error,) = (await pending)["errors"]

        assert error["extensions"]["code"] == "DEADLINE_EXCEEDED"
        assert error["extensions"]["spent"]["rows"] == 2
        assert here.upstream.given_up == ["GET /data/SalesOrderLines"]
        assert len(here.upstream.asked) == 2


@pytest.mark.parametrize(
    ("setting", "asked_for", "allowed"), [(30, 60, 30), (60, 30, 30), (30, None, 30)]
)
async def test_a_request_can_only_shorten_its_time(
    setting: float, asked_for: float | None, allowed: float
) -> None:
    async with world(operation_timeout=setting) as here:
        here.upstream.holds = at("/CustomersV3")
        pending = here.ask(ROWS, asked_for)
        await here.is_held()
        here.pass_time(allowed)
        (error,) = (await pending)["errors"]

        assert f"longer than {allowed} seconds" in error["message"]


async def test_an_operation_in_time_is_answered() -> None:
    async with world(operation_timeout=ALLOWED) as here:
        here.upstream.holds = at("/CustomersV3")
        pending = here.ask(ROWS)
        await here.is_held()
        here.pass_time(ALLOWED / 2)
        here.upstream.let_go.set()
        answer = await pending

        assert len(answer["data"]["customersV3"]["nodes"]) == 2
        assert "errors" not in answer


async def test_a_cancelled_operation_frees_its_connections() -> None:
    async with world(concurrency=1) as here:
        here.upstream.holds = at("/CustomersV3")
        pending = here.ask(ROWS, ALLOWED)
        await here.is_held()
        here.pass_time()
        await pending
        answer = await here.ask("{ legalEntities { totalCount } }", ALLOWED)

        assert answer["data"]["legalEntities"]["totalCount"] > 0


async def test_a_sent_write_goes_on_after_the_deadline() -> None:
    async with world(operation_timeout=ALLOWED) as here:
        here.upstream.holds = lambda request: request.method == "POST"
        pending = here.ask(f"mutation {{ {GROUP % 'T1'} }}")
        await here.is_held()
        here.pass_time()
        await asyncio.sleep(0)
        here.upstream.let_go.set()

        assert await pending == {
            "data": {
                "createCustomerGroup": {
                    "customerGroup": {"customerGroupId": "T1"},
                    "userErrors": [],
                }
            }
        }
        assert here.upstream.given_up == []


async def test_the_writes_behind_it_go_on_as_well() -> None:
    async with world(operation_timeout=ALLOWED) as here:
        here.upstream.holds = lambda request: request.method == "POST"
        pending = here.ask(f"mutation {{ a: {GROUP % 'T2'} b: {GROUP % 'T3'} }}")
        await here.is_held()
        here.pass_time()
        await asyncio.sleep(0)
        here.upstream.let_go.set()
        data = (await pending)["data"]

        assert [data[key]["userErrors"] for key in ("a", "b")] == [[], []]
        assert here.upstream.writes == ["POST /data/CustomerGroups"] * 2


async def test_a_mutation_that_waits_too_long_writes_nothing() -> None:
    async with world(concurrency=1) as here:
        here.upstream.holds = at("/CustomersV3")
        reading = here.ask(ROWS)
        await here.is_held()
        pending = here.ask(f"mutation {{ a: {GROUP % 'T4'} b: {GROUP % 'T5'} }}", ALLOWED)
        await here.until(lambda: bool(here.gateway.client.unfinished))
        here.pass_time()
        data = (await pending)["data"]
        here.upstream.let_go.set()
        await reading

        for key in ("a", "b"):
            (error,) = data[key]["userErrors"]
            assert error["code"] == "DEADLINE_EXCEEDED"
            assert "nothing was written" in error["message"]
        assert here.upstream.writes == []


async def test_what_was_written_is_read_however_late_it_is() -> None:
    async with world(operation_timeout=ALLOWED) as here:
        here.upstream.holds = lambda request: request.method == "GET"
        pending = here.ask(
            'mutation { updateCustomerGroup(key: {dataAreaId: "usmf", customerGroupId: "10"},'
            ' patch: {description: "x"}) { customerGroup { description } userErrors { code } } }'
        )
        await here.is_held(answered=1)
        here.pass_time()
        await asyncio.sleep(0)
        here.upstream.let_go.set()
        answer = await pending

        assert answer["data"]["updateCustomerGroup"] == {
            "customerGroup": {"description": "x"},
            "userErrors": [],
        }
        assert here.upstream.given_up == []


async def test_the_hint_names_the_header_and_the_setting() -> None:
    assert TIMEOUT_HEADER in HINT
    assert "operation_timeout" in HINT
    assert "operation_timeout" in Settings.model_fields


UPDATE = """mutation { updateCustomerGroup(
  key: {dataAreaId: "usmf", customerGroupId: "10"}, patch: {description: "new"}
) { customerGroup { description } userErrors { code } } }"""


async def test_what_a_mutation_reads_may_wait_once_it_has_written() -> None:
    async with world(operation_timeout=300, concurrency=1) as here:
        here.upstream.holds = lambda request: (
            request.method == "PATCH" or at("/CustomersV3")(request)
        )
        pending = here.ask(UPDATE, timeout=ALLOWED)
        await here.until(here.upstream.holding.is_set)
        other = here.ask(ROWS)
        await asyncio.sleep(0.01)
        here.pass_time(ALLOWED - 2)
        # The slot of the write is taken before the row is read.
        written, here.upstream.let_go = here.upstream.let_go, asyncio.Event()
        written.set()
        await here.until(lambda: "GET /data/CustomersV3" in here.upstream.asked)
        here.upstream.let_go.set()
        await asyncio.gather(pending, other)

    answer = pending.result()
    assert "errors" not in answer
    assert answer["data"]["updateCustomerGroup"]["customerGroup"] == {"description": "new"}


async def test_what_a_mutation_reads_before_it_writes_waits_no_longer_than_it_may() -> None:
    async with world(operation_timeout=ALLOWED, concurrency=1) as here:
        here.upstream.holds = at("/CustomersV3")
        other = here.ask(ROWS)
        await here.until(here.upstream.holding.is_set)
        # A list of upserts reads which of its rows are there.
        pending = here.ask(UPSERTS, timeout=10)
        await asyncio.sleep(0.01)
        here.pass_time(9.5)
        answer = await pending
        here.upstream.let_go.set()
        await other

    assert answer["errors"][0]["extensions"]["code"] == "OVERLOADED"
    assert here.upstream.writes == []


UPSERTS = """mutation { upsertCustomerGroups(input: [
  {dataAreaId: "usmf", customerGroupId: "10", description: "a"}
  {dataAreaId: "usmf", customerGroupId: "20", description: "b"}
]) { results { customerGroup { description } } userErrors { code } } }"""
