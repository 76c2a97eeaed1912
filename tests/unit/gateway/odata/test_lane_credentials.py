"""Lanes with applications of their own: whose token a request carries, and which limit it is under."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from gateway.admission.work import Lane, Work, working
from gateway.config.environments import environment_settings
from gateway.config.loading import load_settings
from gateway.config.rendering import to_toml
from gateway.config.settings import Settings
from gateway.errors import UpstreamThrottled
from gateway.odata.auth import auth_of, lane_sign_ins
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from tests.support.login_host import SECRET, LoginHost, login_host

pytestmark = pytest.mark.anyio
GET = Request("GET", "CustomersV3", {})
OWN = {"export": {"client_id": "export-app", "client_secret": SECRET}}
EXPORT, PERSON = Work(lane=Lane.EXPORT), Work(lane=Lane.INTERACTIVE)


@pytest.fixture
def host() -> Iterator[LoginHost]:
    with login_host() as running:
        yield running


def settings(authority: str = "https://login.example", **changes: Any) -> Settings:
    values = {
        "url": "https://fo.example/data",
        "authority": authority,
        "tenant_id": "contoso",
        "client_id": "app",
        "client_secret": SECRET,
        "admission": {"credentials": OWN},
        **changes,
    }
    return Settings.model_validate(values)


class Service(httpx.AsyncBaseTransport):
    """Answers what is sent with a token, and 429 to some of them."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.refused = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        self.tokens.append(token)
        if token == self.refused:
            return httpx.Response(429, headers={"Retry-After": "500"})
        return httpx.Response(200, json={"value": []})


def client_of(own: Settings, service: Service) -> ODataClient:
    client = ODataClient(own, auth=auth_of(own), transport=service, observe=lambda _: None)
    client.use_credentials(lane_sign_ins(own))
    return client


async def test_each_lane_signs_in_as_its_application(host: LoginHost) -> None:
    service = Service()
    async with client_of(settings(host.authority), service) as client:
        for work in (PERSON, EXPORT, PERSON):
            with working(work):
                await client.send(GET)

    assert [grant["client_id"] for grant in host.grants] == ["app", "export-app"]
    assert service.tokens == ["token-1", "token-2", "token-1"]


async def test_an_export_that_is_refused_stops_nobody_else(host: LoginHost) -> None:
    service = Service()
    async with client_of(settings(host.authority), service) as client:
        with working(PERSON):
            await client.send(GET)
        service.refused = "token-2"
        with working(EXPORT):
            await _refused(client)
            assert client.admission.is_busy(None)
        with working(PERSON):
            assert not client.admission.is_busy(None)
            await client.send(GET)

    assert service.tokens == ["token-1", "token-2", "token-1"]


async def _refused(client: ODataClient) -> None:
    with pytest.raises(UpstreamThrottled):
        await client.send(GET)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": None, "auth": "none"}, "needs auth = client_credentials"),
        ({"identity": "caller"}, "identity = app"),
        ({"admission": {"credentials": {"export": {"client_id": "a"}}}}, "client_secret or"),
        ({"admission": {"credentials": {"night": OWN["export"]}}}, "export"),
    ],
)
def test_what_cannot_sign_in_is_refused_at_the_start(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        settings(**changes)


@pytest.mark.parametrize("is_environment", [False, True])
def test_the_secret_of_a_lane_may_be_in_a_vault(*, is_environment: bool) -> None:
    reference = "@keyvault:https://v.vault.azure.net/secrets/export"
    lane = {"export": {"client_id": "export-app", "client_secret": reference}}
    own = {
        "tenant_id": "t",
        "client_id": "a",
        "client_secret": SECRET,
        "url": "https://fo.example/data",
    }
    if is_environment:
        environments = {"b": {**own, "admission": {"credentials": lane}}}
        loaded = load_settings({"D365_ENVIRONMENTS": json.dumps(environments)})
        loaded = environment_settings(loaded, "b")
    else:
        variables = {f"D365_{name.upper()}": value for name, value in own.items()}
        loaded = load_settings({**variables, "D365_ADMISSION__CREDENTIALS": json.dumps(lane)})
    secret = loaded.admission.credentials["export"].client_secret

    assert secret is not None
    assert secret.get_secret_value() == reference


def test_secrets_of_lanes_are_not_printed() -> None:
    own = settings()

    assert SECRET not in to_toml(own)
    assert SECRET not in repr(own)


@pytest.mark.parametrize(
    ("place", "lanes"),
    [
        ({"url": "https://b.example/data"}, {"export"}),
        ({"url": "https://b.example/data", "tenant_id": "other"}, set()),
        ({"url": "https://b.example/data", "client_id": "b", "client_secret": "c"}, set()),
        ({"sandbox": {}}, set()),
    ],
)
def test_no_secret_of_a_lane_goes_to_another_tenant(
    place: dict[str, object], lanes: set[str]
) -> None:
    own = environment_settings(settings(environments={"b": place}), "b")

    assert set(own.admission.credentials) == lanes
