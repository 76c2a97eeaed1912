"""kill -9 of the gateway while a write is under way, then a start: nothing is done twice, nothing is made up."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.sandbox import SandboxSettings, create_sandbox
from tests.support.fault_proxy import Plan, fault_proxy
from tests.support.process import Running, running
from tests.support.tally import TALLY, peak_of
from tests.support.upstream_faults import AFTER, BEFORE

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]
NAMES = {BEFORE: "K1", AFTER: "K2"}


def create(name: str) -> str:
    row = f'customerGroupId: "{name}", description: "new"'
    return f"mutation {{ a: createCustomerGroup(input: {{{row}}}) {{ userErrors {{ code }} }} }}"


def read(name: str) -> str:
    return f'{{ customerGroup(customerGroupId: "{name}") {{ description }} }}'


async def post(address: str, query: str) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=60) as client:
        response = await client.post(
            f"{address}/graphql", json={"query": query}, headers={"X-D365-Company": "usmf"}
        )
    body: dict[str, Any] = response.json()
    return body


def _address(gateway: Running) -> str:
    return gateway.wait_for(r"(http://\S+)/graphql\b")


async def test_a_killed_gateway_leaves_a_write_done_once_or_not_at_all(tmp_path: Path) -> None:
    """One write has not reached the service when the gateway is killed, the other one is done and not answered."""
    sandbox = create_sandbox(SandboxSettings(scale=0.1))
    async with fault_proxy(sandbox) as proxy:
        options = {"D365_URL": proxy.root, "D365_AUTH": "none", "D365_DIALECT": "finops"}
        arguments = ("serve", "--port", "0")

        with running(tmp_path, *arguments, **options) as gateway:
            address = await asyncio.to_thread(_address, gateway)
            writing = []
            for phase, name in NAMES.items():
                proxy.held.clear()
                proxy.plan = Plan("hang: nothing", phase, frozenset({"POST"}))
                writing.append(asyncio.ensure_future(post(address, create(name))))
                await asyncio.wait_for(proxy.held.wait(), 60)
            await asyncio.to_thread(gateway.end, signal.SIGKILL)
            for write in writing:
                with pytest.raises(httpx.TransportError):
                    await write
        proxy.plan = None

        with running(tmp_path, *arguments, **options) as gateway:
            address = await asyncio.to_thread(_address, gateway)
            there = {phase: await post(address, read(name)) for phase, name in NAMES.items()}
            again = {phase: await post(address, create(name)) for phase, name in NAMES.items()}
            counts = TALLY.of("kill -9 while writing")
            counts.inputs += len(NAMES)
            counts.measure(peak_of(gateway.process.pid))

    for phase, name in NAMES.items():
        rows = sandbox.state.store.rows("CustomerGroups", dataAreaId="usmf", CustomerGroupId=name)
        was_done = phase == AFTER
        counts.told_is_not_stored += [row["Description"] for row in rows] != ["new"]
        found = {"description": "new"} if was_done else None
        assert there[phase] == {"data": {"customerGroup": found}}
        codes = [error["code"] for error in again[phase]["data"]["a"]["userErrors"]]
        assert codes == (["DUPLICATE_KEY"] if was_done else [])
        assert [row["Description"] for row in rows] == ["new"]
