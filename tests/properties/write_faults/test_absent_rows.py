"""A web server's 404 does not mean that a row is absent; OData's own does."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette

from gateway.runtime.assembly import Gateway
from gateway.sandbox import create_sandbox
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault, SandboxSettings
from tests.support.faulty_writes import Faulty, faulty
from tests.support.write_kinds import KINDS, described, fresh, prepare

pytestmark = pytest.mark.anyio

GROUP = "query ($k: String!) { customerGroup(customerGroupId: $k) { description } }"
PAGE = FaultRule(at="before", path="/data/CustomerGroups(*", answer=Fault.html(404))


@pytest.mark.parametrize("name", ["update", "delete", "upsert of a row that is there"])
async def test_a_web_servers_404_for_a_write_is_no_missing_row(over: Faulty, name: str) -> None:
    key = prepare(over, name, KINDS[name])
    over.faults(PAGE)

    reported = (await over.ask(KINDS[name].query, k=key)).of("x")

    assert tuple(reported) == ("OUTCOME_UNKNOWN",)
    assert over.reached() == 1
    assert not described(over, key)


@pytest.mark.parametrize("limit", [0, 60], ids=["no limit", "a limit of the web server"])
async def test_a_row_with_a_too_long_address_is_not_null(gateway: Gateway, limit: int) -> None:
    limited = create_sandbox(SandboxSettings(scale=0.2, url_limit=limit))
    key = fresh()
    row = {"dataAreaId": "usmf", "CustomerGroupId": key, "Description": "old"}
    limited.state.store.insert("CustomerGroups", [row])
    async with faulty(gateway, limited) as over:
        result = await over.ask(GROUP, k=key)

    if limit:
        assert result.data == {"customerGroup": None}
        (error,) = result.errors
        assert error["extensions"]["code"] == "UPSTREAM_REJECTED"
        assert "not the OData service" in error["extensions"]["hint"]
    else:
        assert result.data == {"customerGroup": {"description": "old"}}


async def test_a_row_that_is_not_there_is_null(over: Faulty, sandbox: Starlette) -> None:
    over.faults()

    result = await over.ask(GROUP, k=fresh())

    assert (result.data, result.errors) == ({"customerGroup": None}, [])
    assert sandbox.state.requests[-1].method == "GET"
