"""Tokens on behalf of many callers: requests to the login host, and what a cached token costs each request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from gateway.errors import TokenError
from gateway.odata.login_http import LoginHttp
from gateway.odata.on_behalf_of import OnBehalfOf
from gateway.odata.token_requests import EntraAccount, IssuedToken
from tests.bench.measure import GC_NORMAL, Report, Sample, percent
from tests.support.callers import HOUR, caller_of

ACCOUNT = EntraAccount(
    authority="https://login.example", tenant_id="t", client_id="c", scope="s/.default"
)
ROUNDS = 3


class LoginHost:
    """Issues tokens at once, and counts them."""

    account = ACCOUNT
    http = LoginHttp(ACCOUNT.authority)
    issued = 0

    def on_behalf_of(
        self, assertion: str, _claims: str | None
    ) -> tuple[Mapping[str, Any], IssuedToken | TokenError]:
        self.issued += 1
        return {}, IssuedToken(assertion, HOUR)


async def on_behalf(quick: bool) -> list[Report]:
    """Let many callers make several requests each, some of them with a renewed token of their own."""
    number = 1_000 if quick else 10_000
    report = Report("on_behalf", f"tokens on behalf of callers; {GC_NORMAL}")
    host = LoginHost()
    tokens = OnBehalfOf(
        host,  # type: ignore[arg-type] # what it uses of the real one
        max_tokens=number,
        workers=8,
        observe=lambda _: None,
        now=lambda: 0.0,
    )
    first = [caller_of(str(n), scp="access_as_user", roles=["clerk"]) for n in range(number)]
    renewed = [
        caller_of(str(n), "renewed", scp="access_as_user", roles=["clerk"]) for n in range(number)
    ]
    started = time.perf_counter()
    await asyncio.gather(*(tokens.token(caller) for caller in first))
    cold = time.perf_counter() - started
    times: list[float] = []
    for _ in range(ROUNDS):
        for callers in (first, renewed):
            started = time.perf_counter()
            for caller in callers:
                await tokens.token(caller)
            times.append((time.perf_counter() - started) / number)
    tokens.close()
    warm = Sample(tuple(times))
    report.add(
        callers=number,
        requests_per_caller=host.issued / number,
        cold_us=round(cold / number * 1e6, 1),
        warm_us=round(warm.median * 1e6, 2),
        spread=percent(warm.spread),
    )
    return [report]
