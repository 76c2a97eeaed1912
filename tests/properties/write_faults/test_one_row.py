"""Connections that break at every point of every kind of write: the answer, and the rows of the sandbox."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette

from gateway.runtime.assembly import Gateway
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault
from tests.support.faulty_writes import Faulty, faulty
from tests.support.write_kinds import (
    KINDS,
    POINTS,
    UNKNOWN,
    answer,
    fresh,
    prepare,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", KINDS)
async def test_a_write_that_breaks_is_told_as_it_is(over: Faulty, name: str, point: str) -> None:
    kind, breaking = KINDS[name], POINTS[point]
    key = prepare(over, name, kind)
    over.door.shut, over.door.method, over.door.path = breaking.shut, kind.method, kind.path
    rules = (
        ()
        if breaking.rule is None
        else (replace(breaking.rule, method=kind.method, path=kind.path),)
    )
    over.faults(*rules)

    reported = (await over.ask(kind.query, k=key)).of("x")

    assert tuple(reported) == breaking.codes
    assert kind.is_written(over, key) is breaking.written
    assert over.reached(kind.method, kind.path) == breaking.reached
    if reported.keys() == {"OUTCOME_UNKNOWN"}:
        assert kind.names.format(key) in reported["OUTCOME_UNKNOWN"]


class Renewing(httpx.Auth):
    """Asks once more with a new token after a 401, as the gateway's own does."""

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        response = yield request
        if response.status_code == 401:
            yield request


@pytest.mark.parametrize("name", KINDS)
async def test_an_expired_token_is_renewed_and_the_write_done_once(
    gateway: Gateway, sandbox: Starlette, name: str
) -> None:
    kind = KINDS[name]
    async with faulty(gateway, sandbox, auth=Renewing()) as over:
        key = prepare(over, name, kind)
        rule = answer("before", Fault(status=401))
        over.faults(replace(rule, method=kind.method, path=kind.path))

        reported = (await over.ask(kind.query, k=key)).of("x")

    assert reported == {}
    assert kind.is_written(over, key)
    assert over.reached(kind.method, kind.path) == 2


async def test_an_upsert_creates_nothing_after_a_failed_update(over: Faulty) -> None:
    key = fresh()
    over.faults(FaultRule(at="after", method="PATCH"))

    reported = (await over.ask(KINDS["upsert of a new row"].query, k=key)).of("x")

    assert tuple(reported) == UNKNOWN
    assert over.reached() == 1
    assert over.rows("CustomerGroups", CustomerGroupId=key) == []


@pytest.mark.parametrize(
    "name", ["update", "upsert of a row that is there", "upsert of a new row", "delete"]
)
async def test_a_key_that_web_servers_block_goes_in_a_batch(over: Faulty, name: str) -> None:
    kind = KINDS[name]
    key = f"{fresh()}/a+b%"
    if kind.existing:
        row = {"dataAreaId": "usmf", "CustomerGroupId": key, "Description": "old"}
        over.sandbox.state.store.insert("CustomerGroups", [row])
    over.faults()

    reported = (await over.ask(kind.query, k=key)).of("x")

    assert reported == {}
    assert kind.is_written(over, key)
    assert over.reached("POST", "/data/$batch") == 1


@pytest.mark.parametrize("body", ['{"value":5}', '{"val'], ids=["another type", "cut"])
async def test_a_call_with_an_unreadable_result_was_done(over: Faulty, body: str) -> None:
    over.faults(answer("after", Fault(status=200, body=body)))

    reported = await over.ask(
        "mutation { x: dataManagementEntitiesGetApplicationVersion { result userErrors { code } } }"
    )

    assert reported.data == {"x": {"result": None, "userErrors": []}}
    (error,) = reported.errors
    assert (error["path"], error["extensions"]["code"]) == (["x", "result"], "UPSTREAM_MALFORMED")
    assert over.reached() == 1
