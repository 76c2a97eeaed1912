"""Every address of the API asks who calls, before it reads a body, and answers alike."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from gateway.config.inbound_models import InboundOptions
from gateway.config.settings import Settings
from gateway.errors import Unauthenticated
from gateway.events import CallerRefused, Event, RequestRefused
from gateway.http.graphql_endpoint import GRAPHQL, status_of
from gateway.http.refusals import answered_challenge
from gateway.http.request_parameters import JSON
from gateway.request import Answer
from tests.support.app_client import Client, calling, code_of, serving
from tests.support.issuer import AUDIENCE, ISS, jwk, token

pytestmark = pytest.mark.anyio
ISSUER: dict[str, Any] = {"issuer": ISS, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}
TYPENAME = {"query": "{ __typename }"}
REALM = 'Bearer realm="d365-graphql"'
ADMIN = "0123456789abcdef"
DOORS = [
    ("POST", "/graphql"),
    ("GET", "/graphql?query={__typename}"),
    ("GET", "/graphql?query={__schema{queryType{name}}}"),
    ("GET", "/graphql?query={_service{sdl}}"),
    ("POST", "/graphql/ap"),
    ("POST", "/graphql/explain"),
    ("GET", "/graphql/explain?query={__typename}"),
    ("POST", "/graphql/ap/explain"),
    ("GET", "/graphql/search?q=customers"),
    ("GET", "/graphql/ap/search?q=customers"),
    ("GET", "/graphql/slice?query=customersV3"),
    ("GET", "/graphql/ap/slice?query=customersV3"),
]
"""Addresses that a signed-in caller can use."""
NO_DOORS = [("POST", "/graphql/nothing"), ("GET", "/graphql/nothing")]
EXPORTS = [
    *(("GET", "/export/CustomersV3"), ("GET", "/export/ap/VendorsV2")),
    *(("POST", "/import/CustomersV3"), ("POST", "/import/ap/VendorsV2")),
    *(("GET", "/files/a/b"), ("PUT", "/files/a/b"), ("POST", "/files/ap/a/b")),
]


def settings(**more: Any) -> Settings:
    profiles = {"ap": {"include": ["Vend*", "Customers*"]}}
    inbound = {"issuers": [ISSUER], **more.pop("inbound", {})}
    return Settings.model_validate(
        {"language": None, "profiles": profiles, "inbound": inbound, **more}
    )


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Starlette, list[Event]]]:
    async with serving(settings(cors_origins=["https://shop.example"])) as found:
        yield found


@pytest.fixture
async def client(served: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*served) as client:
        yield client


async def call(client: Client, method: str, address: str, **headers: str) -> httpx.Response:
    fields = {"accept": GRAPHQL, **{n.replace("_", "-"): v for n, v in headers.items()}}
    body = json.dumps(TYPENAME) if method == "POST" else None
    if body is not None:
        fields["content-type"] = JSON
    return await client.http.request(method, address, content=body, headers=fields)


@pytest.mark.parametrize(("method", "address"), [*DOORS, *EXPORTS, *NO_DOORS])
async def test_a_door_is_closed_without_credentials(
    client: Client, method: str, address: str
) -> None:
    response = await call(client, method, address)

    assert (response.status_code, code_of(response)) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"] == REALM


@pytest.mark.parametrize(("method", "address"), [*DOORS, *EXPORTS, *NO_DOORS])
async def test_a_door_is_closed_to_a_bad_token(client: Client, method: str, address: str) -> None:
    response = await call(client, method, address, authorization=f"Bearer {token(exp=1)}")

    assert (response.status_code, code_of(response)) == (401, "UNAUTHENTICATED")
    challenge = response.headers["www-authenticate"]
    assert challenge == (
        f'{REALM}, error="invalid_token", error_description="The token has expired."'
    )
    assert [e.reason for e in client.events if isinstance(e, CallerRefused)] == ["expired"]


@pytest.mark.parametrize(("method", "address"), DOORS)
async def test_a_door_opens_with_a_good_token(client: Client, method: str, address: str) -> None:
    response = await call(client, method, address, authorization=f"Bearer {token()}")

    assert response.status_code == 200
    assert "errors" not in response.json()
    assert "www-authenticate" not in response.headers


async def test_a_caller_learns_which_profiles_there_are(client: Client) -> None:
    response = await call(client, "POST", "/graphql/no", authorization=f"Bearer {token()}")

    assert (response.status_code, code_of(response)) == (404, "UNKNOWN_PROFILE")


@pytest.mark.parametrize("media", [GRAPHQL, JSON])
async def test_a_refusal_has_the_negotiated_media_type(client: Client, media: str) -> None:
    response = await client.post(TYPENAME, accept=media)

    assert response.status_code == 401
    assert response.headers["content-type"] == f"{media}; charset=utf-8"
    assert [e.status for e in client.events if isinstance(e, RequestRefused)] == [401]


async def test_the_body_of_a_stranger_is_not_read(
    served: tuple[Starlette, list[Event]],
) -> None:
    app, _ = served
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    for path in ("/graphql", "/graphql/explain", "/graphql/ap"):
        headers = [(b"host", b"localhost"), (b"content-type", JSON.encode())]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b""}
        await app({**scope, "headers": headers, "http_version": "1.1"}, receive, send)

    assert [m["status"] for m in sent if m["type"] == "http.response.start"] == [401] * 3


@pytest.mark.parametrize(
    ("address", "authorization", "status"),
    [
        ("/graphql?access_token=x", None, 400),
        ("/graphql", "Bearer a, Bearer b", 400),
        ("/graphql/search?q=a&access_token=x", None, 400),
        ("/graphql", "Basic YTpi", 401),
    ],
)
async def test_malformed_credentials_are_a_bad_request(
    client: Client, address: str, authorization: str | None, status: int
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}

    response = await call(client, "GET", address, **headers)

    assert response.status_code == status
    assert ('error="invalid_request"' in response.headers["www-authenticate"]) == (status == 400)


async def test_two_headers_are_two_credentials(client: Client) -> None:
    pair = [("authorization", f"Bearer {token()}")] * 2

    response = await client.http.get("/graphql?query={__typename}", headers=pair)

    assert response.status_code == 400


async def test_preflights_need_no_credentials(client: Client) -> None:
    for path in ("/graphql", "/graphql/ap", "/graphql/explain", "/graphql/search"):
        response = await client.http.options(
            path,
            headers={
                "origin": "https://shop.example",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization, content-type",
            },
        )

        assert response.status_code == 200
        assert "authorization" in response.headers["access-control-allow-headers"].lower()


async def test_pages_of_other_origins_can_read_the_challenge(client: Client) -> None:
    response = await call(client, "POST", "/graphql", origin="https://shop.example")

    assert response.headers["access-control-allow-origin"] == "https://shop.example"
    assert "WWW-Authenticate" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/graphiql", "/graphiql/config.json"])
async def test_health_and_pages_are_open(client: Client, path: str) -> None:
    response = await client.http.get(path)

    assert response.status_code == 200


async def test_a_page_shows_a_stranger_no_examples(client: Client) -> None:
    async def examples(**headers: str) -> list[Any]:
        response = await client.http.get("/graphiql/config.json", headers=headers)
        found: list[Any] = response.json()["examples"]
        return found

    assert await examples() == []
    assert await examples(authorization=f"Bearer {token()}")


async def test_anonymous_callers_are_answered_if_the_settings_say_so() -> None:
    async with (
        serving(settings(inbound={"anonymous": True})) as (app, events),
        calling(app, events) as client,
    ):
        assert (await call(client, "POST", "/graphql")).status_code == 200
        bad = await call(client, "POST", "/graphql", authorization="Bearer a.b.c")
        assert bad.status_code == 401


async def test_without_callers_credentials_are_not_read() -> None:
    open_settings = Settings(language=None)
    assert open_settings.inbound == InboundOptions()
    async with serving(open_settings) as (app, events), calling(app, events) as client:
        for authorization in ("Bearer a.b.c", "Negotiate x", "Bearer a, Bearer b"):
            response = await call(client, "POST", "/graphql", authorization=authorization)
            assert response.status_code == 200


async def test_the_administrator_explains_with_the_admin_token() -> None:
    chosen = settings(explain="admin", admin_token=ADMIN)
    async with serving(chosen) as (app, events), calling(app, events) as client:
        for authorization, status in (
            (f"Bearer {ADMIN}", 200),
            ("Basic OjAxMjM0NTY3ODlhYmNkZWY=", 200),
            (f"Bearer {token()}", 401),
            ("Bearer no", 401),
        ):
            response = await call(client, "POST", "/graphql/explain", authorization=authorization)
            assert response.status_code == status
        assert (
            await call(client, "POST", "/graphql", authorization=f"Bearer {ADMIN}")
        ).status_code == 401
        reload = await client.http.post(
            "/admin/reload", headers={"authorization": f"Bearer {ADMIN}"}
        )
        assert reload.status_code == 200


async def test_keys_that_are_away_are_no_fault_of_the_caller() -> None:
    away = {**ISSUER, "jwks": None, "jwks_url": "http://127.0.0.1:9/keys"}
    async with (
        serving(settings(inbound={"issuers": [away]})) as (app, events),
        calling(app, events) as client,
    ):
        response = await call(client, "POST", "/graphql", authorization=f"Bearer {token()}")

        assert (response.status_code, code_of(response)) == (503, "ISSUER_UNAVAILABLE")
        assert response.headers["retry-after"]


@pytest.mark.parametrize("media", [GRAPHQL, JSON])
def test_a_claims_challenge_of_an_operation_is_status_401(media: str) -> None:
    error = Unauthenticated("Sign in again.", claims='{"access_token":{}}')
    errors = [{"message": error.message, "extensions": error.extensions()}]

    assert status_of(Answer(data={"a": None}, errors=errors), media) == 401
    assert status_of(Answer(data={"a": None}, errors=errors, changed=True), media) == 200
    challenge = answered_challenge(errors)
    assert (
        challenge == f'{REALM}, error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="'
    )
    assert answered_challenge([{"message": "m"}]) is None
