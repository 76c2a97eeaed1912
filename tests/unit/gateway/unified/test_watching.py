"""``entityChanged`` of unified lists: changed rows as objects, in the words of the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.setting_models import SubscriptionOptions
from gateway.config.settings import Settings
from gateway.explain.explain import explain
from gateway.request import GraphQLRequest
from gateway.runtime.generations import open_generations
from gateway.sandbox import create_sandbox
from gateway.sandbox.settings import SandboxSettings
from gateway.subscriptions.hub import FeedEnded, Hub
from gateway.subscriptions.streams import Streams
from tests.support.manual_clock import Ticking, until

pytestmark = pytest.mark.anyio
WATCH = 'entityChanged(set: "accounting.vendors", where: { status: { eq: ACTIVE } })'
OBJECTS = f"""subscription ($with: Boolean = true) {{ {WATCH} {{
  kind set node {{ ... on VendorV3 {{ vendorOrganizationName }} }}
  object {{ __typename ...Own ... on UnifiedCustomer {{ number }} }}
  other: object {{ ... on UnifiedCustomer {{ number }} }}
}} }}
fragment Own on UnifiedVendor {{ name @include(if: $with) status paymentTerms {{ days }} }}"""


class Watched:
    """Subscribers over a sandbox, and what is changed in it."""

    def __init__(self, streams: Streams, ticking: Ticking, upstream: Starlette) -> None:
        self.streams = streams
        self.ticking = ticking
        self.upstream = upstream

    async def first(self, query: str) -> Any:
        request = GraphQLRequest(query=query, companies=("usmf",))
        async with aclosing(self.streams.results(request)) as results:
            return json.loads(await anext(results))

    async def change(self, write: str, *queries: str) -> tuple[list[Any], list[str]]:
        """Return the first result of each subscription, and what is read for all of them."""
        hearing = [asyncio.create_task(self.first(query)) for query in queries]
        hub = self.streams.hub
        await until(lambda: sum(len(w.feeds) for w in hub._watches.values()) == len(queries))
        await self.ticking.asleep()
        answer = await self.streams._execute(
            GraphQLRequest(query=f"mutation {{ {write} }}", companies=("usmf",))
        )
        assert not answer.errors
        start = len(self.upstream.state.requests)
        self.ticking.wake()
        results = await asyncio.gather(*hearing)
        return results, [r.path for r in self.upstream.state.requests[start:]]


@pytest.fixture(scope="module")
async def watched() -> AsyncIterator[Watched]:
    upstream, ticking = create_sandbox(SandboxSettings(scale=0.1)), Ticking()
    hub = Hub(SubscriptionOptions(), lambda _: None, ticking.clock)
    settings = Settings(cache_dir=None, language="none")
    transport = httpx.ASGITransport(upstream)
    async with open_generations(settings, transport=transport, observe=lambda _: None) as live:
        yield Watched(Streams(live, hub), ticking, upstream)
        await hub.close()


async def test_changed_rows_come_as_objects(watched: Watched) -> None:
    create = 'createUnifiedVendor(input: { number: "ZZ-1", name: "Zoo", group: "10", paymentTerm: "Net30" })'
    names = "accounting.vendors", "VendorsV3"
    sets = [f'subscription {{ entityChanged(set: "{name}") {{ set }} }}' for name in names]

    (objects, *own), paths = await watched.change(f"{create} {{ created }}", OBJECTS, *sets)

    assert objects == {
        "data": {
            "entityChanged": {
                "kind": "CREATED",
                "set": "accounting.vendors",
                "node": {"vendorOrganizationName": "Zoo"},
                "object": {
                    "__typename": "UnifiedVendor",
                    "name": "Zoo",
                    "status": "ACTIVE",
                    "paymentTerms": {"days": 30},
                },
                "other": {},
            }
        }
    }
    assert [each["data"]["entityChanged"]["set"] for each in own] == [
        "accounting.vendors",
        "vendorsV3",
    ]
    # Without a filter both are one poll. The row and its object are one request.
    polls, reads = paths[:2], paths[2:]
    assert polls == ["/data/VendorsV3"] * 2
    assert [path.partition("(")[0] for path in reads] == ["/data/VendorsV3", "/data/PaymentTerms"]


async def test_objects_that_no_longer_match_are_gone(watched: Watched) -> None:
    create = 'createUnifiedVendor(input: { number: "ZZ-2", name: "Zoo", group: "10" })'
    await watched.change(f"{create} {{ created }}", OBJECTS)
    key = 'key: { dataAreaId: "usmf", vendorAccountNumber: "ZZ-2" }'
    patch = f"updateVendorV3({key}, patch: {{ onHoldStatus: ALL }})"

    ((gone,), _) = await watched.change(f"{patch} {{ userErrors {{ message }} }}", OBJECTS)

    change = gone["data"]["entityChanged"]
    assert (change["kind"], change["object"], change["other"]) == ("DELETED", None, None)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('set: "accounting.nothing"', "BAD_ARGUMENT"),
        ('set: "accounting.vendor"', "BAD_ARGUMENT"),
        ('set: "accounting.vendors", where: { status: { eq: "HAPPY" } }', "BAD_ARGUMENT"),
        ('set: "accounting.vendors", where: { onHoldStatus: { eq: NO } }', "BAD_ARGUMENT"),
        (
            'set: "accounting.accounts", where: { classification: { eq: ASSET } }',
            "UNSUPPORTED_QUERY",
        ),
        ('set: "directory.groups", companies: ["usmf"]', "BAD_ARGUMENT"),
    ],
)
async def test_what_cannot_be_watched_is_refused(
    watched: Watched, arguments: str, code: str
) -> None:
    with pytest.raises(FeedEnded) as ended:
        await watched.first(f"subscription {{ entityChanged({arguments}) {{ id }} }}")

    assert [e["extensions"]["code"] for e in ended.value.errors] == [code]


async def test_explain_shows_how_objects_are_read(watched: Watched) -> None:
    with watched.streams.live.serving() as gateway:
        (step,) = (await explain(gateway, GraphQLRequest(query=OBJECTS))).steps

    assert [below.field for below in step.below] == ["node", "object"]
    assert [below.field for below in step.below[1].below] == ["paymentTerms"]
