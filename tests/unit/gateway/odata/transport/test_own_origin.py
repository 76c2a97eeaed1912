"""Environments that were added at run time: the gateway connects to them, and to nothing else."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.environments import overlaid
from gateway.config.settings import Settings
from gateway.errors import SettingsError, UpstreamUnavailable
from gateway.odata.client import ODataClient
from gateway.odata.own_origin import OwnOriginTransport, own_origin_transport
from gateway.odata.public_addresses import public_socket
from gateway.odata.query import Request
from gateway.odata.transport import AiohttpTransport
from gateway.odata.transport_errors import ForeignOrigin, PrivateAddress
from tests.support.sockets import Listening, answering, listening, ok
from tests.support.transport_client import ask

pytestmark = pytest.mark.anyio
HOST = "contoso.operations.dynamics.com"
READ = Request("GET", "CustomersV3", {})


class Names(AbstractResolver):
    """Resolves every name to these addresses, one after the other."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]  # fmt: skip

    async def close(self) -> None:
        pass


def settings_of(url: str, **linking: Any) -> Settings:
    whole = Settings.model_validate({"linking": linking, "retries": 0})
    return overlaid(whole, "acme", EnvironmentOptions(url=url), stored=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254"])
async def test_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    network = AiohttpTransport(connections=1, sockets=public_socket, resolver=Names(address))
    async with listening(answering(ok())) as server:
        port = server.url().rsplit(":", 1)[1].split("/")[0]
        with pytest.raises(PrivateAddress):
            await ask(network, f"http://{HOST}:{port}/data")
        await network.aclose()

    assert server.connections == []


async def test_the_address_that_is_checked_is_the_one_that_is_used() -> None:
    """A name that was public a moment ago (DNS rebinding) is checked again for the connection."""
    names = Names("20.50.2.1", "127.0.0.1")
    assert (await names.resolve(HOST))[0]["host"] == "20.50.2.1"  # when it was added
    network = AiohttpTransport(connections=1, sockets=public_socket, resolver=names)

    with pytest.raises(PrivateAddress):
        await ask(network, f"http://{HOST}:81/data")
    await network.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "https://other.operations.dynamics.com/data",
        f"http://{HOST}/data",
        f"https://{HOST}:8443/data",
        f"https://{HOST}.evil.example/data",
        f"https://{HOST}@evil.example/data",
        "http://127.0.0.1/data",
        "https://169.254.169.254/metadata/instance",
    ],
)
async def test_requests_to_other_origins_are_refused(url: str) -> None:
    sent: list[httpx.Request] = []
    network = httpx.MockTransport(lambda request: sent.append(request) or httpx.Response(200))  # type: ignore[func-returns-value]
    transport = OwnOriginTransport(f"https://{HOST}/data", network)

    with pytest.raises(ForeignOrigin):
        await ask(transport, url)
    assert sent == []

    await ask(transport, f"https://{HOST}/data/CustomersV3")
    assert len(sent) == 1
    await transport.aclose()


async def test_clients_of_such_environments_use_that_transport() -> None:
    async def read(server: Listening, url: str, **linking: Any) -> None:
        async with ODataClient(settings_of(url, **linking)) as client:
            await client.send(READ)

    async with listening(
        answering(ok(b'{"value": []}', "Content-Type: application/json"))
    ) as server:
        url = server.url("127.0.0.1").rstrip("/") + "/data"
        await read(server, url, allowed_hosts=["127.0.0.1"])
        assert len(server.requests) == 1
        # It was listed when it was added, and is not any more.
        with pytest.raises(SettingsError, match="cannot be used"):
            await read(server, url)
        with pytest.raises(SettingsError, match="cannot be used"):
            await read(server, url, allowed_hosts=["*"])
    assert len(server.requests) == 1


async def test_redirects_are_not_followed() -> None:
    async with listening(answering(ok())) as target:
        answer = f"HTTP/1.1 302 Found\r\nLocation: {target.url()}\r\nContent-Length: 0\r\n\r\n"
        async with listening(answering(answer.encode())) as server:
            url = server.url("127.0.0.1").rstrip("/") + "/data"
            settings = settings_of(url, allowed_hosts=["127.0.0.1"])
            async with ODataClient(settings) as client:
                with pytest.raises(Exception) as raised:  # noqa: PT011 - the type follows
                    await client.send(READ)

    assert not isinstance(raised.value, SettingsError)
    assert target.connections == []


async def test_a_client_fetches_nothing_from_elsewhere() -> None:
    async with listening(answering(ok())) as other, listening(answering(ok())) as server:
        url = server.url("127.0.0.1").rstrip("/") + "/data"
        settings = settings_of(url, allowed_hosts=["127.0.0.1"])
        async with ODataClient(settings) as client:
            with pytest.raises(UpstreamUnavailable, match="outside of the environment"):
                await client.fetch(other.url("127.0.0.1"), {})

    assert other.connections == []


async def test_an_address_in_the_settings_is_the_operators_choice() -> None:
    whole = Settings(retries=0)
    async with listening(
        answering(ok(b'{"value": []}', "Content-Type: application/json"))
    ) as server:
        url = server.url("127.0.0.1").rstrip("/") + "/data"
        declared = overlaid(whole, "acme", EnvironmentOptions(url=url))
        async with ODataClient(declared) as client:
            await client.send(READ)

    assert len(server.requests) == 1


def test_behind_a_proxy_the_proxy_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    def network() -> Any:
        return own_origin_transport(settings_of(f"https://{HOST}/data"))._network  # type: ignore[attr-defined]

    assert network()._sockets is public_socket
    monkeypatch.setenv("HTTPS_PROXY", "http://10.0.0.1:3128")
    assert network()._sockets is None
    assert network()._proxies == {"https": "http://10.0.0.1:3128"}
    monkeypatch.setenv("NO_PROXY", "dynamics.com")
    assert network()._sockets is public_socket
