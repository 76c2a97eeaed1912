"""An environment that answers nobody: requests to it are refused at once, and go on with its first answer."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateway.config.environment_models import OWN
from gateway.events.admission import BreakerClosed, BreakerOpened
from gateway.http.upstream_health import upstream_health
from gateway.lifespan import seconds_refused
from gateway.telemetry.exposition import render
from gateway.telemetry.measurements import Measurements
from tests.support.environments import code_of, deployed, path_of, settings_of
from tests.support.manual_clock import until

pytestmark = pytest.mark.anyio
NAMES = "{ things { nodes { name } } }"
WRITE = 'mutation { createThing(input: { name: "new" }) { thing { id } } }'
OPTIONS = {"admission": {"breaker_failures": 3, "breaker_pause": 0.3}}


async def test_what_an_environment_that_is_away_costs() -> None:
    measurements = Measurements()
    async with deployed(settings_of("acme", **OPTIONS), measurements=measurements) as here:
        await here.data(NAMES)
        await here.data(NAMES, path_of("acme"))
        home = here.services["home"]
        home.fault, before = httpx.ConnectError("refused"), home.requests
        for _ in range(3):
            assert code_of(await here.post(NAMES)) == "UPSTREAM_UNAVAILABLE"
        (event,) = here.said(BreakerOpened)
        assert (event.reason, event.pause) == ("ConnectError", 0.3)

        # Refused at once, writes before anything of them was sent.
        for query in (NAMES, WRITE):
            refused = await here.post(query)
            error = refused.json()["errors"][0]["extensions"]
            assert (error["code"], error["retryAfter"]) == ("UPSTREAM_UNAVAILABLE", 1.0)
            assert error["hint"].startswith("Nothing was sent.")
            assert refused.headers["retry-after"] == "1"
        assert home.requests == before + 3
        assert home.written == []
        await here.data(NAMES, path_of("acme"))
        assert 0 < (seconds_refused(here.app, OWN) or 0) <= 0.3
        assert seconds_refused(here.app, "acme") is None
        text = render(measurements)
        assert 'd365_gateway_events_total{event="breaker_opened"} 1.0' in text

        # One probe, however many requests there are.
        await asyncio.sleep(0.3)
        home.fault, gate = None, asyncio.Event()
        home.gate = gate
        one_each = [NAMES.replace("things", f"things(first: {n})") for n in range(1, 6)]
        asked = [asyncio.create_task(here.post(query)) for query in one_each]
        await until(lambda: home.requests > before + 3)
        await asyncio.sleep(0.05)
        assert home.requests == before + 4
        gate.set()
        failed = ["errors" in answer.json() for answer in await asyncio.gather(*asked)]
        assert sorted(failed) == [False, True, True, True, True]
        assert len(here.said(BreakerClosed)) == 1
        await here.data(NAMES)
        assert seconds_refused(here.app, OWN) is None


async def test_a_write_that_has_begun_is_sent_all_the_same() -> None:
    two = (
        'mutation { a: createThing(input: { name: "a" }) { thing { id } }'
        ' b: createThing(input: { name: "b" }) { thing { id } } }'
    )
    async with deployed(settings_of(**OPTIONS)) as here:
        await here.data(NAMES)
        home = here.services["home"]
        gate = home.gate = asyncio.Event()
        writing = asyncio.create_task(here.data(two))
        before = home.requests
        await until(lambda: home.requests > before)
        breaker = here.app.state.live.gateway.client.admission.breaker
        for _ in range(3):
            breaker.failed(object(), "ReadTimeout")
        assert breaker.is_open
        gate.set()

        data = await writing

        assert data["a"]["thing"] is not None
        assert data["b"]["thing"] is not None
        assert not breaker.is_open


async def test_the_health_of_the_way_says_whether_requests_are_sent() -> None:
    settings = settings_of(url=None)
    answer = upstream_health(settings, lambda _: None, {OWN: 3.2}.get)
    scope = {"type": "http", "method": "GET", "query_string": b"", "headers": []}

    from starlette.requests import Request

    said = bytes((await answer(Request(scope))).body)

    assert b'"status": "refused",\n    "retryAfter": 4' in said
