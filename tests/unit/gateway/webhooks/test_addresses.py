"""Where webhooks go that callers choose: to hosts that are allowed, on the internet, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.config.webhook_addresses import webhook_address
from gateway.odata.transport_errors import PrivateAddress
from gateway.webhooks.sending import ChosenTargets, attempt
from tests.support.sockets import answering, listening

pytestmark = pytest.mark.anyio
HOSTS = ("*.example.com", "hooks.test")
PRIVATE = ("localhost", "10.1.2.3", "receiver")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://app.example.com", "https://app.example.com/"),
        (" https://APP.example.com:443/a/b?c=d%20e ", "https://app.example.com/a/b?c=d%20e"),
        ("https://hooks.test/x", "https://hooks.test/x"),
        ("http://localhost:8080/x", "http://localhost:8080/x"),
        ("http://10.1.2.3/x", "http://10.1.2.3/x"),
        ("https://receiver/x", "https://receiver/x"),
    ],
)
def test_addresses_are_read(text: str, address: str) -> None:
    assert webhook_address(text, HOSTS, PRIVATE) == address


@pytest.mark.parametrize(
    "text",
    [
        "http://app.example.com/",
        "https://app.example.com:8443/",
        "https://user@app.example.com/",
        "https://app.example.com@evil.test/",
        "https://app.example.com\\@evil.test/",
        "https://evil.test/",
        "https://example.com/",
        "https://app.example.com.evil.test/",
        "https://app.example.com#x",
        "https://app.example.com/ x",
        "https://app.example.com/\nx",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
        "https://\u212aelvin.example.com/",
        "http://localhost.evil.test/",
        "http://localhost:8080@evil.test/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://app.example.com/" + "x" * 1_000,
        "",
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it says what is accepted, in many ways
        webhook_address(text, HOSTS, PRIVATE)


@asynccontextmanager
async def client(*private: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=ChosenTargets(private, 1)) as http:
        yield http


async def test_a_name_that_leads_into_the_own_network_is_not_connected_to() -> None:
    """Also if it led elsewhere when it was checked."""
    async with client() as http, listening(answering(b"")) as server:
        for host in ("localhost", "127.0.0.1", "[::1]", "169.254.169.254"):
            with pytest.raises(PrivateAddress):
                await http.post(f"http://{host}:{server.port}/")
        assert (
            await attempt(http, f"http://localhost:{server.port}/", {}, b"{}") == "PrivateAddress"
        )
