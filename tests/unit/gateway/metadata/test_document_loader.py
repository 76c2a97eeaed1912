"""``document_loader`` and ``document_cache``: sources of the document, and when a cached copy is used."""

from __future__ import annotations

import gzip
import random
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.errors import (
    SettingsError,
    UpstreamForbidden,
    UpstreamMalformed,
    UpstreamUnavailable,
)
from gateway.events import Event, MetadataLoaded, MetadataStale
from gateway.metadata import document_loader as metadata
from gateway.metadata.document_loader import MetadataDocument, describe_non_xml, load_metadata
from gateway.odata.client import ODataClient
from gateway.storage.document_cache import DocumentCache, DocumentInfo, digest_of
from tests.support.scripted_upstream import NOW, Upstream, upstream

pytestmark = pytest.mark.anyio
XML = b'<?xml version="1.0"?><edmx:Edmx Version="4.0" xmlns:edmx="x"></edmx:Edmx>'
OTHER = XML.replace(b'"x"', b'"y"')
URL = "https://fo.example/data"


def document(body: bytes = XML, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, content=body, headers={"content-type": "application/xml", **named})


class Loading:
    """One gateway's start after another, with one cache."""

    def __init__(self, fo: Upstream, cache: Path | None, **settings: object) -> None:
        self.fo = fo
        self.settings = Settings.model_validate({"url": URL, "cache_dir": cache, **settings})
        self.events: list[Event] = []
        self.at = NOW

    async def __call__(self, *, refresh: bool = False) -> MetadataDocument:
        async with self.fo.client(retries=0) as client:
            return await load_metadata(
                self.settings,
                client,
                refresh=refresh,
                observe=self.events.append,
                now=lambda: self.at,
            )


async def test_the_document_comes_from_the_service_root() -> None:
    fo = upstream(document())
    load = Loading(fo, None)

    loaded = await load()

    assert loaded == MetadataDocument(XML, digest_of(XML), f"{URL}/$metadata")
    (request,) = fo.requests
    assert str(request.url) == f"{URL}/$metadata"
    assert request.headers["accept"] == "application/xml"
    (event,) = load.events
    assert isinstance(event, MetadataLoaded)
    assert (event.digest, event.size) == (loaded.digest, len(XML))


@pytest.mark.parametrize("zipped", [False, True])
async def test_the_document_comes_from_a_file(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / ("m.xml.gz" if zipped else "m.xml")
    path.write_bytes(gzip.compress(XML) if zipped else XML)
    fo = upstream()

    loaded = await Loading(fo, tmp_path / "cache", metadata=str(path))()

    assert (loaded.text, loaded.digest, loaded.source) == (XML, digest_of(XML), str(path))
    assert fo.requests == []
    # no copy: at most what its digest is
    assert not any(XML in cached.read_bytes() for cached in (tmp_path / "cache").rglob("*.cache"))
    assert all(cached.stat().st_size < 400 for cached in (tmp_path / "cache").rglob("*.cache"))


async def test_a_file_that_changes_while_read_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "m.xml"
    path.write_bytes(XML)
    loaded = await Loading(upstream(), None, metadata=str(path))()

    path.write_bytes(OTHER)

    with pytest.raises(SettingsError, match=r"m\.xml changed while it was read"):
        loaded.text  # noqa: B018 - reading is what raises


@pytest.mark.parametrize(("zipped", "unzipped"), [(True, 1), (False, 3)])
async def test_an_unchanged_gzipped_file_is_checked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, unzipped: int
) -> None:
    read: list[Path] = []
    look = metadata._check_file

    def counted(path: Path, *values: Any) -> MetadataDocument:
        read.append(path)
        return look(path, *values)

    monkeypatch.setattr(metadata, "_check_file", counted)
    path = tmp_path / "m.xml"
    path.write_bytes(gzip.compress(XML) if zipped else XML)
    load = Loading(upstream(), tmp_path / "cache", metadata=str(path))

    loaded = [await load() for _ in range(3)]

    assert loaded == [MetadataDocument(path, digest_of(XML), str(path))] * 3
    assert len(read) == unzipped
    assert [document.text for document in loaded] == [XML] * 3

    path.write_bytes(gzip.compress(OTHER) if zipped else OTHER)
    assert (await load()).digest == digest_of(OTHER)


async def test_the_cached_digest_is_of_the_bytes_that_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file may take its place between two looks."""
    path = tmp_path / "m.xml.gz"
    path.write_bytes(gzip.compress(XML))
    look = metadata._check_file

    def late(path: Path, *values: Any) -> MetadataDocument:
        path.write_bytes(gzip.compress(OTHER))
        return look(path, *values)

    load = Loading(upstream(), tmp_path / "cache", metadata=str(path))
    with monkeypatch.context() as patched:
        patched.setattr(metadata, "_check_file", late)
        assert (await load()).digest == digest_of(OTHER)
    path.write_bytes(gzip.compress(XML))

    assert (await load()).digest == digest_of(XML)


@pytest.mark.parametrize("zipped", [False, True])
async def test_a_document_is_read_piece_by_piece_with_a_report(
    tmp_path: Path, zipped: bool
) -> None:
    text = XML + random.Random(1).randbytes(1_000_000).hex().encode()
    path = tmp_path / "m.xml"
    path.write_bytes(gzip.compress(text) if zipped else text)
    loaded = await Loading(upstream(), None, metadata=str(path))()
    reports: list[tuple[int, int]] = []

    pieces = list(loaded.pieces(lambda done, total: reports.append((done, total))))

    assert b"".join(pieces) == text
    assert max(map(len, pieces)) < len(text) / 4
    size = path.stat().st_size
    assert reports[-1] == (size, size)
    assert len(reports) > 2


async def test_the_document_comes_from_another_address_gzipped() -> None:
    fo = upstream(document(gzip.compress(XML)))

    loaded = await Loading(fo, None, metadata="https://files.example/m.xml.gz")()

    assert (loaded.text, loaded.source) == (XML, "https://files.example/m.xml.gz")


async def test_progress_is_reported() -> None:
    reports: list[tuple[int, int | None]] = []
    fo = upstream(document())

    async with fo.client() as client:
        await load_metadata(
            Settings(url=URL),
            client,
            progress=lambda done, total: reports.append((done, total)),
            observe=lambda _: None,
        )

    assert reports[-1][1] == len(XML)


# -- the copy


@pytest.mark.parametrize(
    ("offered", "asked"),
    [
        ({"ETag": 'W/"7"'}, ("if-none-match", 'W/"7"')),
        ({"Last_Modified": "yesterday"}, ("if-modified-since", "yesterday")),
        ({"ETag": '"7"', "Last_Modified": "yesterday"}, ("if-none-match", '"7"')),
    ],
)
async def test_a_cached_copy_is_used_after_a_304(
    tmp_path: Path, offered: dict[str, str], asked: tuple[str, str]
) -> None:
    fo = upstream(document(XML, **offered), httpx.Response(304))
    load = Loading(fo, tmp_path)

    await load()
    again = await load()

    assert (again.text, again.digest) == (XML, digest_of(XML))
    assert again.source == f"{URL}/$metadata (cached)"
    assert asked[0] not in fo.requests[0].headers
    assert fo.requests[1].headers[asked[0]] == asked[1]


async def test_a_changed_document_replaces_the_cached_copy(tmp_path: Path) -> None:
    fo = upstream(document(ETag="1"), document(OTHER, ETag="2"), httpx.Response(304))
    load = Loading(fo, tmp_path)

    texts = [(await load()).text for _ in range(3)]

    assert texts == [XML, OTHER, OTHER]
    assert fo.requests[2].headers["if-none-match"] == "2"


async def test_a_copy_without_validators_is_used_while_young(tmp_path: Path) -> None:
    fo = upstream(document(), document(OTHER))
    load = Loading(fo, tmp_path, metadata_max_age=100)

    texts = []
    for load.at in (NOW, NOW + 99, NOW + 101):
        texts.append((await load()).text)

    assert texts == [XML, XML, OTHER]
    assert len(fo.requests) == 2


async def test_refresh_sends_no_validators(tmp_path: Path) -> None:
    fo = upstream(document(ETag="1"), document(OTHER))
    load = Loading(fo, tmp_path)

    await load()

    assert (await load(refresh=True)).text == OTHER
    assert "if-none-match" not in fo.requests[1].headers


@pytest.mark.parametrize("refresh", [False, True])
@pytest.mark.parametrize(
    "trouble", [httpx.Response(503), httpx.ConnectError("away"), httpx.Response(429)]
)
async def test_a_cached_copy_serves_while_the_service_is_away(
    tmp_path: Path, trouble: httpx.Response | Exception, refresh: bool
) -> None:
    fo = upstream(document(ETag="1"), trouble)
    load = Loading(fo, tmp_path)

    await load()
    load.at += 50
    again = await load(refresh=refresh)

    assert again.text == XML
    (stale,) = [event for event in load.events if isinstance(event, MetadataStale)]
    assert (stale.source, stale.age) == (f"{URL}/$metadata", 50.0)


async def test_a_rejected_sign_in_is_an_error_despite_a_copy(tmp_path: Path) -> None:
    load = Loading(upstream(document(ETag="1"), httpx.Response(401)), tmp_path)

    await load()

    with pytest.raises(UpstreamForbidden):
        await load()


async def test_an_unreachable_service_without_a_copy_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UpstreamUnavailable):
        await Loading(upstream(httpx.Response(503)), tmp_path)()


async def test_each_address_has_its_own_copy(tmp_path: Path) -> None:
    fo = upstream(document(), document(OTHER))

    first = await Loading(fo, tmp_path)()
    second = await Loading(fo, tmp_path, metadata="https://other.example/m")()

    assert (first.text, second.text) == (XML, OTHER)


async def test_the_sandboxs_document_is_not_cached(tmp_path: Path) -> None:
    fo = upstream(document())
    async with fo.client() as client:
        await load_metadata(Settings(cache_dir=tmp_path), client, observe=lambda _: None)

    assert DocumentCache(tmp_path / "metadata").read(f"{URL}/$metadata") is None


async def test_a_copy_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    cache = tmp_path / "a" / "cache"

    await Loading(upstream(document()), cache)()

    (path,) = (cache / "metadata").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_copy_counts_as_absent(tmp_path: Path, damage: str) -> None:
    cache = DocumentCache(tmp_path)
    cache.write(DocumentInfo(key="k", digest=digest_of(XML), fetched_at=1.0), XML)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    assert cache.read("k") is not None

    damaged = {
        "cut": whole[:-20],
        "flip": whole.replace(b'"digest":"', b'"digest":"0'),
        "empty": b"",
        "other": b"{}\nxx",
    }[damage]
    path.write_bytes(damaged)

    assert cache.read("k") is None


def test_a_draft_is_removed_when_writing_fails(tmp_path: Path) -> None:
    cache = DocumentCache(tmp_path)
    facts = DocumentInfo(key="k", digest="d", fetched_at=1.0)
    (tmp_path / f"{digest_of(b'k')[:32]}.cache").mkdir()

    cache.write(facts, XML)

    assert [path.is_dir() for path in tmp_path.iterdir()] == [True]


def test_an_unusable_folder_caches_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = DocumentCache(tmp_path / "file" / "below")

    cache.write(DocumentInfo(key="k", digest="d", fetched_at=1.0), XML)

    assert cache.read("k") is None


# -- what is no metadata


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (XML, None),
        (b"\xef\xbb\xbf\n" + XML, None),
        ("\ufeff<Edmx/>".encode("utf-16-le"), None),
        ("\ufeff<Edmx/>".encode("utf-16-be"), None),
        (b"", "nothing"),
        (b" \n", "nothing"),
        (b"<!DOCTYPE html><p>", "a web page"),
        (b"\n<HTML lang=en>", "a web page"),
        ("\ufeff<html>".encode("utf-16-le"), "a web page"),
        (b'{"$Version": "4.01"}', "JSON, and CSDL is read as XML"),
        (b"Not found", "something that is not XML"),
    ],
)
def test_content_that_is_not_xml_is_recognised(text: bytes, what: str | None) -> None:
    assert describe_non_xml(text) == what


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/html"}])
async def test_a_login_page_is_reported_with_the_address(headers: dict[str, str]) -> None:
    page = httpx.Response(200, content=b"<html>Sign in", headers=headers)

    with pytest.raises(UpstreamMalformed) as caught:
        await Loading(upstream(page), None)()

    assert caught.value.message == (
        f"{URL}/$metadata returned a web page, not a metadata document."
    )
    assert "D365_URL" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (gzip.compress(XML)[:-9], "cut off"),
        (b"\x1f\x8bnonsense", "not valid gzip"),
        (gzip.compress(XML + b" " * 5_000), "larger than 2,000 bytes"),
    ],
    ids=["cut off", "not gzip", "too large"],
)
async def test_a_damaged_gzip_is_reported(tmp_path: Path, body: bytes, says: str) -> None:
    path = tmp_path / "m.xml.gz"
    path.write_bytes(body)

    with pytest.raises(UpstreamMalformed, match=says):
        await Loading(upstream(document(body)), None, max_upstream_bytes=2_000)()
    with pytest.raises(SettingsError, match=says):
        await Loading(upstream(), None, metadata=str(path), max_upstream_bytes=2_000)()


async def test_a_missing_or_wrong_file_is_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.xml"
    page.write_text("<html>")

    with pytest.raises(SettingsError, match=r"nope\.xml cannot be read"):
        await Loading(upstream(), None, metadata=str(tmp_path / "nope.xml"))()
    with pytest.raises(SettingsError, match=r"page\.xml contains a web page"):
        await Loading(upstream(), None, metadata=str(page))()


async def test_credentials_are_not_sent_to_another_origin() -> None:
    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request):
            request.headers["Authorization"] = "Bearer t"
            yield request

    fo = upstream(document())
    settings = Settings(url=URL, metadata="https://files.example/m.xml")
    transport = httpx.MockTransport(fo.answer)
    async with ODataClient(
        settings, auth=Token(), transport=transport, observe=lambda _: None
    ) as client:
        await load_metadata(settings, client, observe=lambda _: None)

    assert "authorization" not in fo.requests[0].headers
