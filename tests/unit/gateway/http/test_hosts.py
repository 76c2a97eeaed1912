"""Allowed hosts, and the headers of trusted proxies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.http.hosts import Hosts
from gateway.http.proxies import Proxies
from tests.support.observers import raise_defects

pytestmark = pytest.mark.anyio
ANSWER = {"query": "{ __typename }"}


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        # What no other site can make a browser send: addresses and loopback names.
        ("127.0.0.1:8000", True),
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("[::1]:8000", True),
        ("[::1]", True),
        ("[fe80::1%25eth0]:80", True),
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("localhost.:8000", True),
        ("gateway.localhost", True),
        # What it listens on, and what the settings name.
        ("gateway.internal", True),
        ("Gateway.Internal:9000", True),
        ("api.example.com", True),
        ("a.b.tenants.example.com:443", True),
        # Names that an attacker's name server may point here.
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("api.example.com.evil.example", False),
        ("evilapi.example.com", False),
        ("tenants.example.com", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("2130706433", False),
        ("127.1", False),
        ("[::1", False),
        ("[::1].evil.example", False),
        ("localhost@evil.example", False),
        ("localhost/x", False),
        ("localhost:80:80", False),
        ("localhost:http", False),
        ("", False),
    ],
)
def test_only_allowed_hosts_are_answered(host: str, allowed: bool) -> None:
    hosts = Hosts(("api.example.com", "*.tenants.example.com"), listens_on="gateway.internal")

    assert hosts.allows(host) is allowed


def test_star_allows_every_valid_host() -> None:
    hosts = Hosts(("*",), listens_on="0.0.0.0")

    assert hosts.allows("evil.example:80")
    assert not hosts.allows("evil.example:http")


def app_of(**settings: Any) -> Starlette:
    given = Settings(cache_dir=None, language=None, **settings)
    return create_app(given, observe=raise_defects)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(allowed_hosts=("api.example.com",))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
    ):
        yield http


@pytest.mark.parametrize("path", ["/graphql", "/graphiql", "/graphiql/", "/", "/nothing"])
async def test_other_hosts_are_refused(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"Host": "evil.example"}, follow_redirects=False)

    assert response.status_code == 421
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "MISDIRECTED_REQUEST"
    assert "allowed_hosts" in error["extensions"]["hint"]


async def test_rebound_page_cannot_write(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/graphql",
        json=ANSWER,
        headers={"Host": "evil.example:8000", "Origin": "http://evil.example:8000"},
    )

    assert response.status_code == 421


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_answers_any_host(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"Host": "evil.example"})

    assert response.status_code == 200


async def test_websocket_of_another_host_is_refused() -> None:
    sent = await sent_by(
        app_of(),
        type="websocket",
        path="/graphql",
        headers=[(b"host", b"evil.example"), (b"origin", b"http://evil.example")],
    )

    assert [m["type"] for m in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"localhost")], 404),
        ([], 400),
        ([(b"host", b"localhost"), (b"host", b"evil.example")], 400),
        ([(b"host", b"localhost"), (b"host", b"localhost")], 400),
    ],
    ids=["one", "none", "two", "twice"],
)
async def test_request_must_have_one_host(headers: list[tuple[bytes, bytes]], status: int) -> None:
    sent = await sent_by(app_of(), path="/nothing", headers=headers)

    assert sent[0]["status"] == status


async def test_http_1_0_needs_no_host() -> None:
    sent = await sent_by(app_of(), path="/nothing", headers=[], http_version="1.0")

    assert sent[0]["status"] == 404


async def sent_by(app: Any, **scope: Any) -> list[dict[str, Any]]:
    """Return what an application sends for a request."""
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        kind = scope.get("type", "http")
        return {"type": f"{kind}.connect" if kind == "websocket" else "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app({**given, **scope}, receive, send)
    return sent


PEER = ("10.0.0.9", 4_711)
TRUSTED = Proxies(("10.0.0.0/8", "fd00::/8"))


def seen(headers: Mapping[str, str], peer: tuple[str, int] = PEER) -> dict[str, Any]:
    """Return what becomes of a request with these headers."""
    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "http",
        "client": peer,
        "headers": [(b"host", b"inner")]
        + [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "root_path": "",
    }
    TRUSTED.apply(scope)
    return {
        "client": scope["client"][0],
        "scheme": scope["scheme"],
        "host": dict(scope["headers"])[b"host"].decode(),
        "root": scope["root_path"],
    }


PLAIN = {"client": "10.0.0.9", "scheme": "http", "host": "inner", "root": ""}
CALLER = {"client": "203.0.113.7", "scheme": "https", "host": "api.example.com", "root": ""}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, PLAIN),
        (
            {
                "X-Forwarded-For": "203.0.113.7",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "api.example.com",
            },
            CALLER,
        ),
        ({"Forwarded": "for=203.0.113.7;proto=https;host=api.example.com"}, CALLER),
        ({"Forwarded": 'For="203.0.113.7:4711";Proto=HTTPS;Host="api.example.com"'}, CALLER),
        # Two trusted proxies in a row; what stands before the client was said by the client.
        (
            {
                "X-Forwarded-For": "127.0.0.1, 203.0.113.7, 10.0.0.2",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "evil.example, api.example.com",
            },
            CALLER,
        ),
        (
            {
                "Forwarded": "for=127.0.0.1;host=evil.example,"
                " for=203.0.113.7;proto=https;host=api.example.com, for=10.0.0.2;proto=http"
            },
            CALLER,
        ),
        ({"X-Forwarded-For": "[2001:db8::7]:4711"}, {**PLAIN, "client": "2001:db8::7"}),
        ({"Forwarded": 'for="[2001:db8::7]:4711"'}, {**PLAIN, "client": "2001:db8::7"}),
        ({"Forwarded": "for=_hidden"}, {**PLAIN, "client": "_hidden"}),
        ({"X-Forwarded-For": "10.1.1.1, 10.0.0.2"}, {**PLAIN, "client": "10.1.1.1"}),
        ({"X-Forwarded-Prefix": "/erp/"}, {**PLAIN, "root": "/erp"}),
        # Where the two contradict each other, one of them is the client's own.
        ({"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=198.51.100.1"}, PLAIN),
        (
            {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7"},
            {**PLAIN, "client": "203.0.113.7"},
        ),
        # What cannot be read is not believed.
        ({"Forwarded": 'for="203.0.113.7'}, PLAIN),
        ({"X-Forwarded-Proto": "javascript"}, PLAIN),
        ({"X-Forwarded-Prefix": "//evil.example"}, PLAIN),
        ({"X-Forwarded-Prefix": "https://evil.example"}, PLAIN),
        ({"X-Forwarded-Prefix": "/a\\b"}, PLAIN),
    ],
)
def test_headers_of_a_trusted_proxy_are_used(
    headers: Mapping[str, str], expected: dict[str, str]
) -> None:
    assert seen(headers) == expected


def test_headers_of_other_clients_are_ignored() -> None:
    headers = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Host": "x", "Forwarded": "for=1.2.3.4"}

    assert seen(headers, ("203.0.113.9", 1)) == {**PLAIN, "client": "203.0.113.9"}


@pytest.fixture
async def behind() -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(
        allowed_hosts=("api.example.com",), trusted_proxies=("127.0.0.1",), root_path="/erp"
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://localhost",
            headers={"X-Forwarded-Host": "api.example.com", "X-Forwarded-Proto": "https"},
        ) as http,
    ):
        yield http


@pytest.mark.parametrize("prefix", ["", "/erp"], ids=["the proxy strips it", "it passes it on"])
async def test_urls_begin_with_the_root_path(behind: httpx.AsyncClient, prefix: str) -> None:
    html = {"Accept": "text/html"}
    assert (await behind.post(f"{prefix}/graphql", json=ANSWER)).json()["data"]
    assert (await behind.get(f"{prefix}/healthz")).status_code == 200
    assert (await behind.get(f"{prefix}/", headers=html)).headers["location"] == "/erp/graphiql"
    visit = await behind.get(f"{prefix}/graphql", headers=html)
    assert visit.headers["location"] == "/erp/graphiql"
    config = (await behind.get(f"{prefix}/graphiql/config.json")).json()
    assert config["endpoint"] == "/erp/graphql"


async def test_redirects_use_the_forwarded_host(behind: httpx.AsyncClient) -> None:
    response = await behind.get("/graphiql/")

    assert response.headers["location"] == "https://api.example.com/erp/graphiql"


async def test_forwarded_host_must_be_allowed_too(
    behind: httpx.AsyncClient,
) -> None:
    for host, forwarded in (("evil.example", "api.example.com"), ("localhost", "evil.example")):
        response = await behind.post(
            "/graphql", json=ANSWER, headers={"Host": host, "X-Forwarded-Host": forwarded}
        )

        assert (
            response.status_code,
            json.loads(response.text)["errors"][0]["extensions"]["code"],
        ) == (
            421,
            "MISDIRECTED_REQUEST",
        )
