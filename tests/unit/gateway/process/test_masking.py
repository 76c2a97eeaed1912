"""Credentials in upstream responses reach neither logs nor clients."""

from __future__ import annotations

import httpx
import pytest

from gateway.errors import GatewayError, UpstreamRejected
from gateway.odata.query import Request
from gateway.process.masking import mask
from tests.support.scripted_upstream import upstream

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "displayed"),
    [
        (f"Authorization: Bearer {TOKEN}\r\nHost: x", "Authorization: Bearer ********\r\nHost: x"),
        ("authorization=bearer opaque-token-1", "authorization=bearer ********"),
        ("<td>Basic dXNlcjpwYXNzd29yZA==</td>", "<td>Basic ********</td>"),
        (f"<pre>{TOKEN}</pre>", "<pre>********</pre>"),
        ('{"client_secret":"s3cr+t/=","a":1}', '{"client_secret":"********","a":1}'),
        ("grant=x&client_secret=s3cret&b=1", "grant=x&client_secret=********&b=1"),
        ("Set-Cookie: ARR=abcdef; path=/", "Set-Cookie: ********; path=/"),
        ("https://x/?sig=abcdef123&b=1", "https://x/?sig=********&b=1"),
        ("Password='hunter22'", "Password='********'"),
        (f"authorization%3A%20Bearer%20{TOKEN}&a=1", "authorization%3A%20Bearer%20********&a=1"),
        (f"?token%3D{TOKEN}", "?token%3D********"),
        ("<td>Bearer&nbsp;opaque-token-1</td>", "<td>Bearer&nbsp;********</td>"),
        ("auth=Bearer+opaque-token-1", "auth=Bearer+********"),
        ("h=%20Bearer%20opaque-token-1", "h=%20Bearer%20********"),
        ("Customer 1001 is unknown.", "Customer 1001 is unknown."),
    ],
)
def test_credentials_are_blanked(text: str, displayed: str) -> None:
    assert mask(text) == displayed
    assert mask(mask(text)) == displayed


def test_the_detail_of_every_error_is_masked() -> None:
    assert GatewayError("x", detail=f"Bearer {TOKEN}").detail == "Bearer ********"


@pytest.mark.anyio
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 302])
async def test_an_error_page_that_echoes_the_request_shows_no_token(status: int) -> None:
    page = f"<html>Request: GET /data<br>Authorization: Bearer {TOKEN}</html>"
    fo = upstream(httpx.Response(status, text=page))

    async with fo.client(retries=0) as client:
        with pytest.raises(GatewayError) as caught:
            await client.send(Request("GET", "Sets", {}))

    assert "Authorization" in str(caught.value.detail)
    assert TOKEN not in str(caught.value.detail)


@pytest.mark.anyio
async def test_messages_for_clients_are_masked_too() -> None:
    error = {"error": {"code": "x", "message": f"Bad header Bearer {TOKEN}"}}
    fo = upstream(httpx.Response(400, json=error))

    async with fo.client() as client:
        with pytest.raises(UpstreamRejected) as caught:
            await client.send(Request("GET", "Sets", {}))

    assert TOKEN not in caught.value.message
