"""``gateway.odata.decoding``: what a coded body unpacks to, and that nothing unpacks beyond its bound."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamMalformed
from gateway.odata.decoding import STEP, read_body

pytestmark = pytest.mark.anyio
TEXT = b'{"value":[' + b'{"a":1},' * 500 + b"]}"
PLENTY = 100_000_000


def bare(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


def answer(body: bytes, coding: str | None, piece: int = 1_000) -> httpx.Response:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), piece):
            yield body[at : at + piece]

    headers = {} if coding is None else {"content-encoding": coding}
    return httpx.Response(200, headers=headers, content=pieces())


@pytest.mark.parametrize("piece", [1, 7, 1_000_000])
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (None, TEXT),
        ("identity", TEXT),
        ("", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("X-GZIP", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", bare(TEXT)),
    ],
)
async def test_one_coding_is_decoded(coding: str | None, body: bytes, piece: int) -> None:
    assert await read_body(answer(body, coding, piece), PLENTY) == TEXT


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(TEXT))),
        ("gzip,deflate", zlib.compress(gzip.compress(TEXT))),
        ("br", b"\x0b\x02\x80"),
        ("zstd", b"(\xb5/\xfd"),
        ("gzip", TEXT),
        ("gzip", gzip.compress(TEXT)[:-9]),
        ("gzip", gzip.compress(TEXT) + b"rubbish"),
        ("gzip", gzip.compress(TEXT)[:-8] + b"\x00" * 8),
        ("deflate", TEXT),
        ("deflate", zlib.compress(TEXT)[:-5]),
        ("deflate", zlib.compress(TEXT) + b"rubbish"),
    ],
)
async def test_two_codings_others_and_broken_ones_are_malformed(coding: str, body: bytes) -> None:
    with pytest.raises(httpx.DecodingError):
        await read_body(answer(body, coding), PLENTY)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_small_body_with_gigabytes_is_not_decompressed(coding: str) -> None:
    packer = zlib.compressobj(9, wbits=31 if coding == "gzip" else zlib.MAX_WBITS)
    head, piece = (packer.compress(bytes(STEP)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    # Nothing refers across a full flush, so the same piece may follow itself.
    bomb = head + piece * 498 + packer.flush()
    assert zlib.decompressobj(wbits=47).decompress(bomb, 2 * STEP) == bytes(2 * STEP)
    assert len(bomb) < 600_000

    tracemalloc.start()
    try:
        with pytest.raises(UpstreamMalformed, match="larger than 3,000,000 bytes"):
            await read_body(answer(bomb, coding, len(bomb)), 3_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 12_000_000


@pytest.mark.parametrize("wbits", [-zlib.MAX_WBITS, zlib.MAX_WBITS, 16 + zlib.MAX_WBITS])
@pytest.mark.parametrize("size", [STEP - 1, STEP, STEP + 1, STEP + 200, 2 * STEP, 2 * STEP + 7])
@pytest.mark.parametrize("piece", [1_000, 1_000_000])
async def test_content_left_after_a_full_step_is_read(wbits: int, size: int, piece: int) -> None:
    """One repetition makes 258 bytes: with all of the input taken, some of its content may still be held back."""
    packer = zlib.compressobj(9, wbits=wbits)
    packed = packer.compress(b"a" * size) + packer.flush()
    coding = "gzip" if wbits > zlib.MAX_WBITS else "deflate"

    assert len(await read_body(answer(packed, coding, piece), PLENTY)) == size


@pytest.mark.parametrize("size", [0, 1, 999, 1_000, 1_001])
async def test_the_limit_is_exact(size: int) -> None:
    coded = answer(gzip.compress(b"x" * size), "gzip")
    if size <= 1_000:
        assert len(await read_body(coded, 1_000)) == size
    else:
        with pytest.raises(UpstreamMalformed):
            await read_body(coded, 1_000)


@given(st.binary(max_size=300), st.integers(1, 50), st.sampled_from(["gzip", "deflate"]))
async def test_truncated_content_is_never_accepted(text: bytes, cut: int, coding: str) -> None:
    packed = gzip.compress(text) if coding == "gzip" else zlib.compress(text)
    rest = packed[: max(1, len(packed) - cut)]

    with pytest.raises(httpx.DecodingError):
        await read_body(answer(rest, coding), PLENTY)


async def test_progress_counts_compressed_bytes() -> None:
    packed = gzip.compress(TEXT)
    coded = answer(packed, "gzip", 30)
    coded.headers["content-length"] = str(len(packed))
    steps: list[tuple[int, int | None]] = []

    await read_body(coded, PLENTY, lambda size, total: steps.append((size, total)))

    assert steps[0] == (30, len(packed))
    assert steps[-1] == (len(packed), len(packed))
