"""What a caller costs each request: reading the headers, the verified identity, the choice of the API's view."""

from __future__ import annotations

import itertools
from typing import Any

from starlette.types import Scope

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.http.endpoints import endpoints_of
from gateway.identity.authenticator import authenticator_of
from tests.bench.measure import GC_NORMAL, Report, in_turn, percent
from tests.support.issuer import TENANT, entra_claims, jwk, rsa_key, signed

AUDIENCE = "api://0b1d7c52-6f2a-4b7e-9d51-3a0f7be01234"
CALLS = 200
"""Requests of one round: a single one is too short to be timed."""
CALLERS = 500


def settings() -> Settings:
    """Return the settings of a gateway that knows a tenant, and roles."""
    issuer = {"entra": TENANT, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}
    values = {
        "inbound": {"issuers": [issuer]},
        "roles": {"ap-clerk": {"sets": {"VendorsV2": {"update": True}}}},
        "secret_key": "0123456789" * 5,
    }
    return Settings.model_validate({"language": None, **values})


def token(number: int) -> str:
    """Return a token of the size that Entra issues."""
    more: dict[str, Any] = {"aud": AUDIENCE, "oid": f"caller-{number}", "rh": "x" * 100}
    names = {"name": "Alice Example", "preferred_username": "alice@contoso.example"}
    groups = [f"{TENANT[:-4]}{group:04}" for group in range(10)]
    return signed(entra_claims(**more, **names, groups=groups), "k1", rsa_key("k1"))


def request(app: Any, token: str | None) -> Scope:
    """Return a request as a browser or a client library sends it."""
    headers = [
        (b"host", b"erp.contoso.example"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
        (b"accept", b"application/graphql-response+json, application/json"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"accept-language", b"en-US,en;q=0.9"),
        (b"content-type", b"application/json"),
        (b"content-length", b"400"),
        (b"x-d365-company", b"usmf"),
        (b"x-forwarded-for", b"203.0.113.7"),
        (b"x-forwarded-proto", b"https"),
    ]
    if token is not None:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    return {"type": "http", "query_string": b"", "headers": headers, "app": app}


async def identity(quick: bool) -> list[Report]:
    """Measure the way of a request to the engine, with and without a caller."""
    report = Report(
        "identity", f"until it is known who calls and what serves it, a request; {GC_NORMAL}"
    )
    chosen = settings()
    authenticator = authenticator_of(chosen, observe=lambda _: None)
    assert authenticator is not None
    app, open_app = (
        create_app(s, observe=lambda _: None) for s in (chosen, Settings(language=None))
    )
    (known,), (open_to_all,) = (
        endpoints_of(chosen, print, authenticator),
        endpoints_of(Settings(language=None), print),
    )
    async with (
        app.router.lifespan_context(app),
        open_app.router.lifespan_context(open_app),
        authenticator.running(),
    ):
        requests = [request(app, token(number)) for number in range(CALLERS)]
        nobody = request(open_app, None)
        for scope in requests:
            await known.admit(scope)
        turns = itertools.cycle(requests)
        fresh = iter([request(app, token(CALLERS + n)) for n in range(60)])

        async def warm() -> None:
            for _ in range(CALLS):
                await known.admit(next(turns))

        async def without() -> None:
            for _ in range(CALLS):
                await open_to_all.admit(nobody)

        async def first() -> None:
            await known.admit(next(fresh))

        rounds = 15 if quick else 50
        times = await in_turn(
            {"no callers configured": without, "warm caller": warm, "new token (RS256)": first},
            rounds,
        )
    for case, sample in times.items():
        calls = 1 if case.startswith("new") else CALLS
        report.add(
            case=case,
            median_us=round(sample.median / calls * 1e6, 2),
            p95_us=round(sample.at(0.95) / calls * 1e6, 2),
            spread=percent(sample.spread),
        )
    return [report]
