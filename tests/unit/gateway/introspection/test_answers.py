"""Introspection through the engine and through HTTP: exact, kept, compressed, revalidated, and switched off."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
import zstandard

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.introspection import answers as introspection_module
from gateway.introspection import writer_process as telling
from gateway.introspection.answers import LongAnswer
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, fresh_copy, open_gateway
from gateway.storage.content_coding import compress_pieces
from gateway.storage.response_artifacts import MAX_FILES, STEP, ArtifactStore
from tests.processes.test_warm_start import CSDL
from tests.support.introspections import (
    EVERYTHING,
    assert_same,
    build_eagerly,
    introspect_with_graphql_core,
)
from tests.support.observers import raise_defects

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
NAMES = "{ __schema { types { name } } }"
UNPACK = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    "identity": bytes,
}


def settings_of(folder: Path | None, **values: Any) -> Settings:
    """Settings of a gateway over a small document, so that something is kept."""
    if folder is None:
        return Settings(language=None, cache_dir=None, **values)
    document = folder / "m.xml"
    document.write_text(CSDL)
    return Settings.model_validate(
        {
            "url": "https://fo.example/data",
            "auth": "none",
            "dialect": "finops",
            "metadata": str(document),
            "cache_dir": folder / "cache",
            **values,
        }
    )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Gateway]:
    transport = None
    if settings.url is not None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"value": []}))
    async with open_gateway(settings, transport=transport, observe=raise_defects) as gateway:
        yield gateway


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    upstream = None
    if settings.url is not None:
        upstream = httpx.MockTransport(lambda _: httpx.Response(200, json={"value": []}))
    app = create_app(settings, transport=upstream, observe=raise_defects)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        client.headers.pop("accept-encoding")
        yield client


async def post(
    client: httpx.AsyncClient, query: str, **headers: str
) -> tuple[httpx.Response, bytes]:
    """The response, and its body as it went over the wire."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = client.build_request("POST", "/graphql", json={"query": query}, headers=named)
    if "accept_encoding" not in headers:
        request.headers.pop("accept-encoding", None)
    response = await client.send(request, stream=True)
    raw = b"".join([piece async for piece in response.aiter_raw()])
    return response, raw


async def ask(gateway: Gateway, query: str, **variables: Any) -> Any:
    answer = await gateway.engine.execute(GraphQLRequest(query=query, variables=variables))
    return answer.to_builtins()


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "cache/introspection").iterdir())


# Through the engine


@pytest.mark.heavy
async def test_the_engine_tells_the_whole_schema_as_graphql_core_does(tmp_path: Path) -> None:
    async with opened(settings_of(None)) as gateway:
        answer = await ask(gateway, EVERYTHING)

        assert gateway.schema.made_types < 5
        wanted = introspect_with_graphql_core(build_eagerly(gateway.schema.core), EVERYTHING)
    assert_same(answer, {"data": wanted})


async def test_one_type_is_told_without_making_any() -> None:
    query = """query ($name: String!) {
        __typename
        __type(name: $name) { name possibleTypes { name } fields { name type { name ofType { name } } } }
        __schema { queryType { name } mutationType { name } directives { name } }
    }"""
    async with opened(settings_of(None)) as gateway:
        before = gateway.schema.made_types
        for name in ("CustomerV3", "CustomerV3Connection", "CustomerV3Where", "NoSuchType"):
            answer = await ask(gateway, query, name=name)
            assert "errors" not in answer
        assert gateway.schema.made_types == before

        wanted = introspect_with_graphql_core(gateway.schema.core, query, {"name": "CustomerV3"})
        assert_same((await ask(gateway, query, name="CustomerV3"))["data"], wanted)


async def test_the_schema_beside_data_is_told_too() -> None:
    query = '{ __type(name: "CustomerV3") { name } customersV3(first: 1) { nodes { customerAccount } } }'
    async with opened(settings_of(None)) as gateway:
        answer = await ask(gateway, query)

    assert list(answer["data"]) == ["__type", "customersV3"]
    assert len(answer["data"]["customersV3"]["nodes"]) == 1


async def test_introspection_has_a_depth_limit_of_its_own() -> None:
    deep = "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }"
    async with opened(settings_of(None, max_depth=2)) as gateway:
        whole = await ask(gateway, EVERYTHING)
        too_deep = await ask(gateway, deep)
        data = await ask(gateway, "{ customersV3 { nodes { customerAccount } } }")

    assert "errors" not in whole
    assert [e["message"] for e in too_deep["errors"]] == ["Maximum introspection depth exceeded"]
    assert data["errors"][0]["extensions"]["code"] == "BUDGET_EXCEEDED"


async def test_an_answer_beyond_all_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "MOST_BYTES", 10_000)
    async with opened(settings_of(None)) as gateway:
        answer = await ask(gateway, EVERYTHING)
        again = await ask(gateway, NAMES.replace("name", "kind"))

    assert answer["errors"][0]["extensions"]["code"] == "BUDGET_EXCEEDED"
    assert "errors" in again


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { queryType { name } } }",
        '{ a: __type(name: "CustomerV3") { name } legalEntities { totalCount } }',
        "query Q { ...F } fragment F on Query { __schema { types { name } } }",
    ],
)
async def test_introspection_that_is_switched_off_is_refused(query: str) -> None:
    async with opened(settings_of(None, introspection=False)) as gateway:
        answer = await ask(gateway, query)
        typename = await ask(gateway, "{ __typename legalEntities(first: 1) { __typename } }")

    assert [e["extensions"]["code"] for e in answer["errors"]] == ["INTROSPECTION_DISABLED"]
    assert "data" not in answer
    assert typename["data"]["__typename"] == "Query"


@pytest.mark.heavy
@pytest.mark.parametrize(
    "query",
    [
        "{ customerV3s { nodes { name } } }",
        "{ customersV3 { nodes { customerAccont } } }",
        "query ($w: CustomerV3Wher) { customersV3(where: $w) { totalCount } }",
        '{ customersV3(where: {customerAccont: {eq: "x"}}) { totalCount } }',
        "{ customersV3(frist: 1) { totalCount } }",
    ],
)
async def test_errors_suggest_no_names_where_introspection_is_off(query: str) -> None:
    async with opened(settings_of(None)) as gateway:
        text = json.dumps(await ask(gateway, query))
    async with opened(settings_of(None, introspection=False)) as gateway:
        silent = json.dumps(await ask(gateway, query))

    assert "Did you mean" in text
    assert "errors" in silent
    assert "Did you mean" not in silent


async def test_variables_suggest_no_names_where_introspection_is_off() -> None:
    query = "query ($w: CustomerV3Where) { customersV3(where: $w) { totalCount } }"
    async with opened(settings_of(None, introspection=False)) as gateway:
        answer = await ask(gateway, query, w={"customerAccont": {"eq": "x"}})

    assert "errors" in answer
    assert "Did you mean" not in json.dumps(answer)


# Kept


async def test_a_long_answer_is_made_once_whatever_it_is_called(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as gateway:
        first = await ask(gateway, NAMES)
        spelled = "query Other { __schema { ...T } } fragment T on __Schema { types { ... { name } name } }"
        again = await ask(gateway, spelled)
        made = gateway.introspection_store.artifacts.writes
        await ask(gateway, "{ s: __schema { types { name } } }")

        assert first == again
        assert made == 1
        assert gateway.introspection_store.artifacts.writes == 2


async def test_a_long_answer_outlives_program_and_generation(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as gateway:
        first = await ask(gateway, EVERYTHING)
        fresh = fresh_copy(gateway)
        assert await ask(fresh, EVERYTHING) == first
        assert fresh.introspection_store.artifacts.writes == 1
    async with opened(settings_of(tmp_path)) as gateway:
        again = await ask(gateway, EVERYTHING)
        assert gateway.introspection_store.artifacts.writes == 0

    assert again == first
    assert files(tmp_path) == [".zstd"]


@pytest.mark.heavy
async def test_a_subprocess_writes_for_a_large_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspection_module, "SMALL", 0)
    monkeypatch.setattr(introspection_module, "whole_answer", None)  # nothing is written here
    async with opened(settings_of(tmp_path)) as gateway:
        answer = await ask(gateway, EVERYTHING)
        wanted = introspect_with_graphql_core(build_eagerly(gateway.schema.core), EVERYTHING)
        assert gateway.introspection_store.artifacts.writes == 1

    assert_same(answer, {"data": wanted})
    assert files(tmp_path) == [".zstd"]


async def test_the_subprocess_reports_a_too_long_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "python").chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(introspection_module, "SMALL", 0)
    async with opened(settings_of(tmp_path)) as gateway:
        answer = await ask(gateway, EVERYTHING)

    assert answer["errors"][0]["extensions"]["code"] == "BUDGET_EXCEEDED"


def test_the_subprocess_gets_no_credentials(tmp_path: Path) -> None:
    secrets = {"client_secret": "hush-hush", "admin_token": "0123456789-hush-hush"}
    settings = settings_of(tmp_path, **secrets)

    given = telling.IntrospectionWorker(settings, "digest", {}).task((), tmp_path)

    assert b"fo.example" in given
    assert not [
        word for word in (b"client_secret", b"admin_token", b"hush", b"***") if word in given
    ]


async def test_the_gateway_writes_if_the_subprocess_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspection_module, "SMALL", 0)
    async with opened(settings_of(tmp_path)) as gateway:
        for snapshot in os.scandir(tmp_path / "cache/models"):
            os.unlink(snapshot)
        answer = await ask(gateway, NAMES)
        assert gateway.introspection_store.artifacts.writes == 1

    assert answer["data"]["__schema"]["types"]


async def test_other_metadata_or_settings_have_other_answers(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as gateway:
        first = await ask(gateway, NAMES)
    async with opened(settings_of(tmp_path, exclude=["Others"])) as gateway:
        second = await ask(gateway, NAMES)
        assert gateway.introspection_store.artifacts.writes == 1

    assert first != second


async def test_a_damaged_or_foreign_file_is_rewritten(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as gateway:
        first = await ask(gateway, NAMES)
    (kept,) = (tmp_path / "cache/introspection").iterdir()
    sound = kept.read_bytes()
    for broken in (sound[:-9], b"", b"x" * 200, b"y" + sound[1:]):
        kept.write_bytes(broken)
        async with opened(settings_of(tmp_path)) as gateway:
            assert await ask(gateway, NAMES) == first
            assert gateway.introspection_store.artifacts.writes == 1


async def test_a_folder_that_takes_nothing_is_no_reason_to_fail(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("not a folder")
    artifacts = ArtifactStore(folder)

    artifact = await artifacts.get("k", lambda: [b"some", b" text"])

    assert b"".join((await artifacts.get("k", list, "identity")).pieces()) == b"some text"
    assert artifact.size == 9


async def test_old_files_go_but_those_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Not ours.")
    os.utime(tmp_path / "notes.txt", (0, 0))
    for number in range(MAX_FILES + 5):
        await ArtifactStore(tmp_path).get(f"{number}", lambda: [b"text"])

    assert len(os.listdir(tmp_path)) == MAX_FILES + 1
    assert (tmp_path / "notes.txt").is_file()


async def test_those_who_ask_at_once_share_one_making_and_may_leave() -> None:
    artifacts, calls, release = ArtifactStore(), list[int](), threading.Event()
    started, loop = asyncio.Event(), asyncio.get_running_loop()

    def make() -> Iterator[bytes]:
        calls.append(threading.get_ident())
        loop.call_soon_threadsafe(started.set)
        release.wait(10)
        yield b"text"

    waiting = [asyncio.ensure_future(artifacts.get("k", make)) for _ in range(5)]
    await started.wait()
    waiting[0].cancel()
    release.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(results[0], asyncio.CancelledError)
    assert len({id(artifact) for artifact in results[1:]}) == 1
    assert len(calls) == 1
    assert calls[0] != threading.get_ident()


async def test_a_failed_write_is_retried() -> None:
    artifacts = ArtifactStore()

    def fails() -> Iterator[bytes]:
        yield b"so far so good"
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await artifacts.get("k", fails)
    assert (await artifacts.get("k", lambda: [b"text"])).size == 4


# Over HTTP


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("*", "br"),
        ("zstd;q=0, *;q=0.5", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("identity;q=1, gzip;q=0.5", "identity"),
        ("compress", "identity"),
    ],
)
async def test_a_long_answer_comes_in_the_clients_best_coding(
    tmp_path: Path, accepts: str | None, coding: str
) -> None:
    headers = {} if accepts is None else {"accept_encoding": accepts}
    async with client_of(settings_of(tmp_path)) as client:
        plain, body = await post(client, EVERYTHING)
        response, raw = await post(client, EVERYTHING, **headers)

    assert response.headers.get("content-encoding", "identity") == coding
    assert int(response.headers["content-length"]) == len(raw)
    assert UNPACK[coding](raw) == body
    assert response.headers["etag"].endswith(f'-{coding}"')
    assert response.headers["etag"][:33] == plain.headers["etag"][:33]
    assert (
        response.headers["vary"]
        == "Accept, Accept-Encoding, Authorization, X-D365-Company, X-D365-Environment"
    )
    assert response.headers["content-type"] == plain.headers["content-type"]
    assert json.loads(body)["data"]["__schema"]["queryType"]["name"] == "Query"


async def test_a_client_that_has_the_answer_is_told_so(tmp_path: Path) -> None:
    async with client_of(settings_of(tmp_path)) as client:
        first, _ = await post(client, EVERYTHING, accept_encoding="gzip")
        etag = first.headers["etag"]
        again, raw = await post(client, EVERYTHING, accept_encoding="gzip", if_none_match=etag)
        weak, _ = await post(client, EVERYTHING, if_none_match=f'"other", W/{etag}')
        other, body = await post(client, NAMES, if_none_match=etag)
        by_get = await client.get(
            "/graphql", params={"query": EVERYTHING}, headers={"If-None-Match": etag}
        )

    assert (again.status_code, raw) == (304, b"")
    assert again.headers["etag"] == etag
    assert (
        again.headers["vary"]
        == "Accept, Accept-Encoding, Authorization, X-D365-Company, X-D365-Environment"
    )
    assert "content-type" not in again.headers
    assert (weak.status_code, by_get.status_code) == (304, 304)
    assert other.status_code == 200
    assert json.loads(body)["data"]


async def test_each_coding_is_made_once_and_kept(tmp_path: Path) -> None:
    for _ in range(2):
        async with client_of(settings_of(tmp_path)) as client:
            for coding in ("gzip", "br", "zstd", "gzip"):
                await post(client, EVERYTHING, accept_encoding=coding)
            gateway: Gateway = client._transport.app.state.live.gateway  # type: ignore[attr-defined]
            counts = gateway.introspection_store.artifacts.writes

    assert counts == 0
    assert files(tmp_path) == [".br", ".gzip", ".zstd"]


async def test_a_fault_while_a_long_answer_is_made_is_told_as_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> Iterator[bytes]:
        raise OSError("secret path")
        yield b""

    monkeypatch.setattr(telling, "introspect", fails)
    async with client_of(settings_of(None)) as client:
        response, raw = await post(client, NAMES, accept="application/graphql-response+json")

    assert response.status_code == 500
    assert b"secret" not in raw
    assert json.loads(raw)["errors"][0]["extensions"]["code"] == "INTERNAL_ERROR"


async def test_a_long_answer_is_sent_piece_by_piece() -> None:
    text = bytes(range(256)) * 40_000
    artifacts = ArtifactStore()
    stored = await artifacts.get("k", lambda: [text])
    kept = LongAnswer(artifacts, "k", lambda: [text], stored)

    for coding, unpack in UNPACK.items():
        pieces = list((await kept.coded(coding)).pieces())
        assert unpack(b"".join(pieces)) == text
        assert max(map(len, pieces)) <= STEP
    assert kept.encode() == text


def test_a_stream_of_pieces_is_one_compressed_text() -> None:
    pieces = [bytes([n % 251]) * n for n in range(0, 3_000, 7)]

    for coding in ("gzip", "br", "zstd"):
        assert UNPACK[coding](b"".join(compress_pieces(iter(pieces), coding))) == b"".join(pieces)
    assert zlib.decompress(b"".join(compress_pieces([b""], "gzip")), wbits=31) == b""
