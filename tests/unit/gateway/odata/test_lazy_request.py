"""``gateway.odata.lazy_request``: httpx's request without its cost must not differ from httpx's request."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.odata.lazy_request import LONGEST, LazyRequest, LazyResponse, normalize_address

ROOT = "https://x.operations.dynamics.com/data/"
TIMEOUT: dict[str, float | None] = {"read": 1.0}


def call(method: str = "GET", body: bytes | None = None) -> LazyRequest:
    return LazyRequest(method, f"{ROOT}Set?$top=5", {"Accept": "application/json"}, body, TIMEOUT)


@pytest.mark.heavy
@given(st.text(max_size=40), st.text(max_size=40))
def test_addresses_go_out_as_httpx_writes_them(path: str, query: str) -> None:
    address = f"{ROOT}A{path.replace('/', '|')}?{query}"
    try:
        expected = str(httpx.URL(address))
    except httpx.InvalidURL:
        with pytest.raises(httpx.InvalidURL):
            normalize_address(address)
    else:
        assert normalize_address(address) == expected


@pytest.mark.parametrize("at", ["A{}", "A('{}')", "A?$filter=B%20eq%20'{}'"])
def test_every_character_goes_out_as_httpx_writes_it(at: str) -> None:
    addresses = [ROOT + at.format(chr(code)) for code in range(0x21, 0x7F)]

    assert [normalize_address(address) for address in addresses] == [
        str(httpx.URL(a)) for a in addresses
    ]


def test_an_address_is_as_long_as_httpx_allows_and_no_longer() -> None:
    longest = ROOT + "a" * (LONGEST - len(ROOT))

    assert normalize_address(longest) == longest
    with pytest.raises(httpx.InvalidURL):
        normalize_address(f"{longest}a")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("body", [None, b'{"A": 1}'])
@pytest.mark.anyio
async def test_an_initialized_request_equals_httpx_request(method: str, body: bytes | None) -> None:
    made = call(method, body)

    expected = httpx.Request(
        method,
        made.address,
        headers=made.own_headers,
        content=body,
        extensions={"timeout": TIMEOUT},
    )
    assert not made.is_initialized
    assert made.headers.raw == expected.headers.raw
    assert made.is_initialized
    assert (made.method, made.url, made.content) == (method, expected.url, expected.content)
    assert await made.aread() == expected.content
    assert made.extensions == expected.extensions


@pytest.mark.anyio
async def test_a_body_can_be_read_first() -> None:
    assert await call("POST", b"{}").aread() == b"{}"
    assert call("POST", b"{}").content == b"{}"
    assert not hasattr(call(), "nothing")


def test_headers_are_set_before_and_after_initialization() -> None:
    made = call()

    made.set_header("Authorization", "Bearer 1")
    assert made.headers["authorization"] == "Bearer 1"
    made.set_header("Authorization", "Bearer 2")
    assert made.headers.get_list("authorization") == ["Bearer 2"]


@pytest.mark.anyio
async def test_a_lazy_response_equals_httpx_response() -> None:
    fields = [(b"Via", b"a"), (b"via", b"b"), (b"Content-Type", b"text/plain")]
    sent = httpx.Request("GET", ROOT)
    lazy = LazyResponse(429, fields, httpx.ByteStream(b"late"), sent, {"reason_phrase": b"Slow"})
    expected = httpx.Response(
        429,
        headers=fields,
        stream=httpx.ByteStream(b"late"),
        request=sent,
        extensions={"reason_phrase": b"Slow"},
    )

    assert {name: lazy.headers[name] for name in expected.headers} == dict(expected.headers)
    assert await lazy.aread() == await expected.aread()
    assert (lazy.status_code, lazy.reason_phrase) == (429, expected.reason_phrase)
    assert (lazy.text, lazy.request) == (expected.text, sent)
    assert lazy.headers["VIA"] == "a, b"
