"""Compression of ordinary responses."""

from __future__ import annotations

import gzip
import json
import random
import threading
from typing import Any

import pytest
import zstandard

from gateway.storage import content_coding as encoding
from gateway.storage.content_coding import (
    CODINGS,
    IDENTITY,
    OFF_LOOP,
    Compression,
    accepted_coding,
    negotiate_coding,
    stream_decompressor,
)
from tests.unit.gateway.introspection.test_answers import UNPACK, client_of, post, settings_of

pytestmark = pytest.mark.anyio
LONG = "{ customersV3(first: 50) { nodes { customerAccount organizationName } } }"
SHORT = "{ legalEntities { totalCount } }"


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, IDENTITY),
        ("", IDENTITY),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, br", "br"),
        ("br, gzip, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("zstd, br;q=0.9", "zstd"),
        ("deflate", IDENTITY),
        ("gzip;q=0", IDENTITY),
        ("gzip;q=0.001", "gzip"),
        ("gzip; q=0.9 , br;q=0.8", "gzip"),
        ("*", "br"),
        ("*;q=0", IDENTITY),
        ("zstd;q=0, *", "br"),
        ("identity", IDENTITY),
        ("identity, gzip", IDENTITY),
        ("identity;q=0, gzip", "gzip"),
        ("gzip;q=much", IDENTITY),
        ("gzip;q=nan", IDENTITY),
        (",,;q=1,", IDENTITY),
    ],
)
def test_the_preferred_coding_is_chosen(accept: str | None, coding: str) -> None:
    assert negotiate_coding(accept) == coding


BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("client", "agent", "accept", "coding"),
    [
        ("Chrome, Edge", BROWSER, "gzip, deflate, br, zstd", "zstd"),
        ("Firefox", "Mozilla/5.0 (X11; Linux) Gecko/20100101", "gzip, deflate, br, zstd", "zstd"),
        ("Safari", "Mozilla/5.0 (Macintosh) Version/18.0 Safari/605", "gzip, deflate, br", "br"),
        # Names zstd also where Node (before 22.15) cannot read it.
        ("@whatwg-node/fetch", "node", "gzip, deflate, br, zstd", "br"),
        ("GraphQL Code Generator", "graphql-codegen", "gzip, deflate, br, zstd", "br"),
        ("fetch of Node", "node", "gzip, deflate", "gzip"),
        ("fetch of Node, https", "node", "br, gzip, deflate", "br"),
        ("curl --compressed", "curl/8.14.1", "deflate, gzip, br, zstd", "br"),
        ("httpx, requests, aiohttp", "python-httpx/0.28.1", "gzip, deflate, br, zstd", "br"),
        (".NET HttpClient", "", "gzip, deflate, br", "br"),
        ("okhttp (Apollo Kotlin)", "okhttp/5.1.0", "gzip", "gzip"),
        ("URLSession (Apollo iOS)", "App/1 CFNetwork/1568", "gzip, deflate, br", "br"),
        ("Apollo Router", "", "gzip, br, deflate", "br"),
        ("Go net/http", "Go-http-client/1.1", "gzip", "gzip"),
    ],
)
def test_each_client_gets_a_coding_that_it_can_read(
    client: str, agent: str, accept: str, coding: str
) -> None:
    headers = {"user-agent": agent, "accept-encoding": accept}

    assert accepted_coding(headers) == coding, client


@pytest.mark.parametrize("coding", CODINGS)
async def test_long_answers_are_compressed_and_short_ones_are_not(coding: str) -> None:
    async with client_of(settings_of(None)) as client:
        plain, body = await post(client, LONG)
        long, packed = await post(client, LONG, accept_encoding=coding)
        short, _ = await post(client, SHORT, accept_encoding=coding)

    assert long.headers["content-encoding"] == coding
    assert int(long.headers["content-length"]) == len(packed) < len(body)
    assert json.loads(UNPACK[coding](packed)) == json.loads(body)
    assert "content-encoding" not in plain.headers.keys() | short.headers.keys()
    assert {r.headers["vary"] for r in (plain, long, short)} == {
        "Accept, Accept-Encoding, Authorization, X-D365-Company, X-D365-Environment"
    }


@pytest.mark.parametrize(
    ("values", "compressed"),
    [
        ({}, True),
        ({"compress_over": 1_000_000}, False),
        ({"compression": False}, False),
    ],
)
async def test_settings_decide_what_is_compressed(values: dict[str, Any], compressed: bool) -> None:
    whole = "{ __schema { types { name } } }"
    async with client_of(settings_of(None, **values)) as client:
        response, _ = await post(client, LONG, accept_encoding="gzip")
        cached, _ = await post(client, whole, accept_encoding="gzip")

    assert ("content-encoding" in response.headers) is compressed
    assert ("content-encoding" in cached.headers) is values.get("compression", True)


async def test_http_errors_are_compressed_too() -> None:
    async with client_of(settings_of(None, compress_over=10)) as client:
        response, raw = await post(client, "", accept_encoding="gzip")

    assert response.status_code == 400
    assert json.loads(UNPACK["gzip"](raw))["errors"]


@pytest.mark.parametrize(("size", "apart"), [(OFF_LOOP - 1, False), (OFF_LOOP, True)])
async def test_only_a_large_body_is_compressed_in_a_thread(
    size: int, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def packs(body: bytes) -> bytes:
        threads.append(threading.get_ident())
        return body

    monkeypatch.setitem(encoding._FAST, "gzip", packs)
    await Compression().encode(b"x" * size, {"accept-encoding": "gzip"})

    assert (threads[0] != threading.get_ident()) is apart


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_that_lacks_its_end_is_not_complete(coding: str) -> None:
    pack = gzip.compress if coding == "gzip" else zstandard.compress
    plain = random.Random(1).randbytes(1_000)
    for body, is_whole in ((pack(plain) * 2, True), (pack(plain)[:-1], False), (b"", True)):
        decompressor = stream_decompressor(coding)
        assert decompressor is not None
        unpacked = b"".join(decompressor.pieces(body))
        if is_whole:
            assert unpacked == plain * 2 or not body
            decompressor.end()
        else:
            with pytest.raises(ValueError, match="does not end"):
                decompressor.end()
