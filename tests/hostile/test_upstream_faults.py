"""Faults between gateway and service: every read is right or a coded error, and what a write is told is what is stored.

In CI each fault befalls a read and a write once, in a seeded order of phases. ``make hostile MINUTES=30`` goes on with
other seeds, combinations and places until half of the time is over, and names the seed of what fails.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.odata.client import ODataClient
from gateway.odata.retry import Clock
from gateway.odata.transport import make_transport
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.runtime.execution_limits import execution_settings
from gateway.sandbox import SandboxSettings, create_sandbox
from tests.support.fault_proxy import Plan, Proxy, fault_proxy
from tests.support.observers import raise_bugs
from tests.support.tally import TALLY, leaks_in, own_peak
from tests.support.upstream_faults import AFTER, FAULTS, phases

pytestmark = pytest.mark.anyio
SEED = int(os.environ.get("HOSTILE_SEED", "1"))
MINUTES = float(os.environ.get("HOSTILE_MINUTES", "0"))
HANG = 90.0
"""Seconds after which an answer is missed: thrice the deadline of an operation."""
READING, WRITING = frozenset({"GET"}), frozenset({"POST", "PATCH", "DELETE"})
SETTINGS = Settings(
    cache_dir=None,
    language="none",
    retries=1,
    connect_timeout=5,
    read_timeout=0.3,
    answer_timeout=0.6,
    max_upstream_bytes=5_000_000,
    operation_timeout=30,
)
QUERIES = (
    "{ vendorGroups(first: 5) { totalCount nodes { dataAreaId vendorGroupId description } } }",
    '{ customerGroup(dataAreaId: "usmf", customerGroupId: "10") { customerGroupId description } }',
    """{ salesOrderHeadersV2(first: 3) { nodes {
         salesOrderNumber salesOrderLines(first: 2) { nodes { lineNumber itemNumber } } } } }""",
    "{ currencies(first: 30) { nodes { currencyCode name } pageInfo { hasNextPage } } }",
    "{ legalEntities(first: 2) { nodes { legalEntityId name } } }",
)
CODES = frozenset(
    {
        "UPSTREAM_UNAVAILABLE",
        "UPSTREAM_TIMEOUT",
        "UPSTREAM_THROTTLED",
        "UPSTREAM_REJECTED",
        "UPSTREAM_MALFORMED",
        "UPSTREAM_TRUNCATED",
        "UPSTREAM_FORBIDDEN",
        "UNKNOWN_ENUM_VALUE",
        "NOT_FINITE",
        "DEADLINE_EXCEEDED",
    }
)
OPEN = frozenset({"OUTCOME_UNKNOWN", "PARTLY_WRITTEN"})
"""Codes that leave open what was written."""


@dataclass
class World:
    """A gateway over a proxy over a sandbox; without the fault its answers are the right ones."""

    gateway: Gateway
    proxy: Proxy
    right: dict[str, Any]
    numbers: Any

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """A fresh client for each operation: no pause or connection of the one before."""

        async def sleep(_: float) -> None:
            """Wait for nothing."""

        client = ODataClient(
            SETTINGS,
            root=self.proxy.root,
            transport=make_transport(SETTINGS),
            clock=Clock(sleep=sleep, random=lambda: 0.5),
            observe=raise_bugs,
            dialect=self.gateway.dialect,
        )
        async with client:
            limits = execution_settings(SETTINGS)
            yield Engine(self.gateway.schema, client, self.gateway.dialect, limits, raise_bugs)

    async def ask(self, query: str, plan: Plan | None) -> dict[str, Any]:
        self.proxy.plan = plan
        counts = TALLY.of("faults of the service")
        async with self.engine() as engine:
            request = GraphQLRequest(query=query, companies=("usmf",))
            try:
                answered = await asyncio.wait_for(engine.execute(request), HANG)
            except TimeoutError:
                counts.hangs += 1
                raise
            except AssertionError:  # an internal error
                counts.server_errors += 1
                raise
        self.proxy.plan = None
        answer: dict[str, Any] = answered.to_builtins()
        if plan is not None:
            text = json.dumps(answer, default=str).encode()
            counts.look_at(text)
            counts.measure(own_peak())
            assert not leaks_in(text), answer
        return answer

    async def put(self, name: str) -> None:
        """Make a customer group in the sandbox, by no gateway whose patience a busy machine could exhaust."""
        transport = httpx.ASGITransport(self.proxy.sandbox)
        row = {"dataAreaId": "usmf", "CustomerGroupId": name, "Description": "old"}
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
            made = await http.post("/data/CustomerGroups", json=row)
        assert made.status_code == 201, made.text

    def stored(self, name: str) -> str | None:
        """The description of a customer group as the sandbox holds it; None where it holds none."""
        rows = self.proxy.sandbox.state.store.rows(
            "CustomerGroups", dataAreaId="usmf", CustomerGroupId=name
        )
        return rows[0]["Description"] if rows else None


@pytest.fixture(scope="module")
async def world(anyio_backend: str) -> AsyncIterator[World]:
    sandbox = create_sandbox(SandboxSettings(scale=0.1, page_limit=7))
    transport = httpx.ASGITransport(sandbox)
    async with (
        open_gateway(SETTINGS, transport=transport, observe=raise_bugs) as gateway,
        fault_proxy(sandbox) as proxy,
    ):
        world = World(gateway, proxy, {}, itertools.count(1))
        for query in QUERIES:
            world.right[query] = await world.ask(query, None)
            assert "errors" not in world.right[query], world.right[query]
        yield world


# --- oracles --------------------------------------------------------------------------------------


def agrees(answer: Any, right: Any) -> bool:
    """Return whether an answer says nothing else than the right one: a part of it may be null."""
    if answer is None:
        return True
    if isinstance(answer, dict) and isinstance(right, dict):
        return all(key in right and agrees(value, right[key]) for key, value in answer.items())
    if isinstance(answer, list) and isinstance(right, list):
        return len(answer) == len(right) and all(map(agrees, answer, right))
    return bool(answer == right)


async def check_read(world: World, query: str, plan: Plan) -> None:
    answer = await world.ask(query, plan)

    right = world.right[query]
    if "errors" not in answer:
        is_right = answer == right
    else:
        coded = {e["extensions"]["code"] for e in answer["errors"]} <= CODES
        is_right = coded and agrees(answer.get("data"), right["data"])
    TALLY.of("faults of the service").wrong_reads += not is_right
    assert is_right, answer


WRITES = {
    "create": 'createCustomerGroup(input: {{customerGroupId: "{name}", description: "new"}})',
    "update": 'updateCustomerGroup(key: {{customerGroupId: "{name}"}}, patch: {{description: "new"}})',
    "upsert": 'upsertCustomerGroup(input: {{customerGroupId: "{name}", description: "new"}})',
    "delete": 'deleteCustomerGroup(key: {{customerGroupId: "{name}"}})',
}
BEFOREHAND = {"create": None, "update": "old", "upsert": None, "delete": "old"}
AFTERWARDS = {"create": "new", "update": "new", "upsert": "new", "delete": None}


async def check_write(world: World, verb: str, plan: Plan) -> None:
    name = f"H{next(world.numbers)}"
    if BEFOREHAND[verb] is not None:
        await world.put(name)

    text = WRITES[verb].format(name=name)
    answer = await world.ask(f"mutation {{ a: {text} {{ userErrors {{ code }} }} }}", plan)

    payload = (answer.get("data") or {}).get("a")
    assert payload is not None, answer
    codes = {e["code"] for e in payload["userErrors"]}
    stored = world.stored(name)
    if not codes:
        possible = {AFTERWARDS[verb]}
    elif not codes & OPEN:
        possible = {BEFOREHAND[verb]}
    else:
        possible = {BEFOREHAND[verb], AFTERWARDS[verb]}
    TALLY.of("faults of the service").told_is_not_stored += stored not in possible
    assert stored in possible, codes


# --- in CI ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_read_under_a_fault_is_right_or_a_coded_error(world: World, fault: str) -> None:
    dice = random.Random(f"{SEED} {fault}")
    times = 9 if "drip" not in fault and "hang" not in fault else 1
    plan = Plan(fault, AFTER, READING, skip=dice.randrange(2), times=times)

    await check_read(world, dice.choice(QUERIES), plan)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_write_under_a_fault_reports_what_is_stored(world: World, fault: str) -> None:
    dice = random.Random(f"{SEED} {fault}")
    plan = Plan(fault, dice.choice(phases(fault)), WRITING, times=dice.choice((1, 9)))

    await check_write(world, dice.choice(list(WRITES)), plan)


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 84


# --- endless --------------------------------------------------------------------------------------


@pytest.mark.skipif(not MINUTES, reason="endless: make hostile MINUTES=30")
async def test_faults_until_the_time_is_over(world: World) -> None:
    end = time.monotonic() + MINUTES * 60 / 2  # the other half is for fuzzed callers
    tried = 0
    while time.monotonic() < end:
        seed = f"{SEED} {tried}"
        dice = random.Random(seed)
        fault = dice.choice(list(FAULTS))
        skip = dice.randrange(3)
        times = dice.choice((1, 1, 2, 9))
        try:
            if dice.random() < 0.5:
                plan = Plan(fault, AFTER, READING, skip, times)
                await check_read(world, dice.choice(QUERIES), plan)
            else:
                plan = Plan(fault, dice.choice(phases(fault)), WRITING, dice.randrange(2), times)
                await check_write(world, dice.choice(list(WRITES)), plan)
        except AssertionError as error:
            raise AssertionError(f"HOSTILE_SEED={SEED}, round {tried}: {plan}") from error
        tried += 1
