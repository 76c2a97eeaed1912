"""``gateway.odata.package_download``: packages come from allowed hosts only, without credentials, within limits."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.errors import GatewayError, UpstreamMalformed, UpstreamTimeout, UpstreamUnavailable
from gateway.odata.package_download import AddressExpired, blob_transport, check_address, download
from gateway.odata.public_addresses import public_socket
from gateway.odata.transport import AiohttpTransport

pytestmark = pytest.mark.anyio
ADDRESS = "https://acme.blob.core.windows.net/dmf/p.zip?sv=1&sig=a%2Fb%2Bc%3D"
BODY = b"package" * 100


def settings(**packages: Any) -> Settings:
    return Settings.model_validate(
        {
            "packages": {
                "hosts": ["*.blob.core.windows.net", "127.0.0.1", "blobs.corp.example"],
                **packages,
            }
        }
    )


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (ADDRESS, "acme.blob.core.windows.net"),
        ("https://acme.blob.core.windows.net:443/x", "acme.blob.core.windows.net"),
        ("https://blobs.corp.example/x", "blobs.corp.example"),
        ("http://127.0.0.1:8123/dmf/x?sig=1", "127.0.0.1"),
    ],
)
def test_an_address_of_an_allowed_host_is_taken(address: str, host: str) -> None:
    assert check_address(address, settings().packages) == host


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/dmf/p.zip",
        "file:///etc/passwd",
        "http://acme.blob.core.windows.net/x",
        "https://acme.blob.core.windows.net",
        "https://acme.blob.core.windows.net:8443/x",
        "https://blob.core.windows.net.evil.example/x",
        "https://evilblob.core.windows.net/x",
        "https://evil.example/x?y=.blob.core.windows.net",
        "https://evil.example#.blob.core.windows.net/x",
        "https://acme.blob.core.windows.net@evil.example/x",
        "https://evil.example\\@acme.blob.core.windows.net/x",
        "https://acme.blob.core.windows.net\\.evil.example/x",
        "https://ACME.blob.core.windows.net/x",
        "https://acme.blob.core.windows.net/x y",
        "https://acme.blob.core.windows.net/x\r\nHost: evil",
        "https://169.254.169.254/metadata",
        "http://169.254.169.254/metadata",
        "http://localhost:80/x",
        "http://[::1]/x",
        "https://2130706433/x",
        "http://127.0.0.1.nip.io/x",
    ],
)
def test_any_other_address_is_refused(address: str) -> None:
    with pytest.raises(UpstreamMalformed) as refused:
        check_address(address, settings().packages)
    assert "sig=" not in f"{refused.value.message}{refused.value.detail}"


async def test_a_package_is_downloaded_without_credentials(tmp_path: Path) -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, stream=_Pieces(BODY))

    package = await download(ADDRESS, tmp_path / "p", settings(), httpx.MockTransport(answer))

    assert package.path.read_bytes() == BODY
    assert package.sha256 == hashlib.sha256(BODY).hexdigest()
    (sent,) = requests
    assert str(sent.url) == ADDRESS
    assert not {"authorization", "cookie", "x-ms-client-request-id"} & set(sent.headers)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(302, headers={"location": "https://evil.example/x"}), UpstreamMalformed),
        (httpx.Response(307, headers={"location": ADDRESS}), UpstreamMalformed),
        (httpx.Response(204), UpstreamMalformed),
        (httpx.Response(206, content=BODY), UpstreamMalformed),
        (httpx.Response(403), AddressExpired),
        (httpx.Response(404), AddressExpired),
        (httpx.Response(503), UpstreamUnavailable),
        (httpx.Response(429), UpstreamUnavailable),
        (
            httpx.Response(200, headers={"content-length": "5000"}, stream=_Pieces()),
            UpstreamMalformed,
        ),
        (httpx.Response(200, stream=_Pieces(*[BODY] * 3)), UpstreamMalformed),
        (
            httpx.Response(200, headers={"content-length": "900"}, stream=_Pieces(BODY)),
            UpstreamUnavailable,
        ),
        (
            httpx.Response(200, stream=_Pieces(BODY, httpx.ReadError("gone"))),
            UpstreamUnavailable,
        ),
        (
            httpx.Response(200, headers={"content-encoding": "gzip"}, stream=_Pieces(BODY)),
            UpstreamMalformed,
        ),
        (httpx.ConnectTimeout("slow"), UpstreamTimeout),
    ],
    ids=range(14),
)
async def test_what_is_no_whole_package_is_an_error(
    tmp_path: Path, answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    def answered(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(error) as failed:
        await download(
            ADDRESS, tmp_path / "p", settings(max_bytes=1_000), httpx.MockTransport(answered)
        )
    if isinstance(failed.value, GatewayError):
        assert "sig=" not in f"{failed.value.message}{failed.value.detail}"


@pytest.mark.parametrize(
    ("host", "is_public_only"),
    [("acme.blob.core.windows.net", True), ("blobs.corp.example", False), ("127.0.0.1", False)],
)
def test_hosts_of_a_pattern_are_reached_at_public_addresses_only(
    monkeypatch: pytest.MonkeyPatch, host: str, is_public_only: bool
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    transport = blob_transport(host, settings())

    assert isinstance(transport, AiohttpTransport)
    assert (transport._sockets is public_socket) is is_public_only
