"""A deployment of environments with the full-size document, each with three custom fields of its own, in this process.

Documents are not parsed: the snapshot of each is made of that of the whole, as parsing it would make it, before
anything is measured, in a process of its own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    MutableMapping,
)
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import orjson
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import LoadedModel, find_model
from gateway.metadata.model_identity import model_identity, snapshot_folder
from gateway.metadata.model_process import BuildModel
from gateway.storage.model_snapshots import SnapshotStore
from schema.model.records import Model, Property, TypeRef
from schema.model.snapshot import Unpacked
from tests.bench import whole

CUSTOM = ("CustomersV3", "VendorsV3", "SalesOrderHeadersV2")
"""Entity sets whose types have a custom field in each environment."""
QUERIES = (
    "{ customersV3(first: 5) { nodes { customerAccount organizationName } } }",
    "{ vendorsV3(first: 5) { nodes { vendorAccountNumber } } }",
    "{ salesOrderHeadersV2(first: 5) { nodes { salesOrderNumber salesOrderLines { nodes { itemNumber } } } } }",
    '{ releasedProductsV2(first: 5, where: { itemNumber: { startsWith: "a" } }) { nodes { itemNumber } } }',
    "{ ledgerJournalHeaders(first: 5) { totalCount nodes { journalBatchNumber } } }",
)
EQUAL = "equal"
"""Part of the host names of environments that have one and the same document."""
_JSON = {"content-type": "application/json; odata.metadata=minimal"}
_XML = {"content-type": "application/xml"}


def name_of(number: int) -> str:
    return f"e{number}"


def settings_with(environments: int, *, are_equal: bool = False, **values: Any) -> Settings:
    """Return settings of so many environments; ``are_equal``: their documents."""
    names = map(name_of, range(environments))
    group = EQUAL if are_equal else "own"
    declared = {n: {"url": f"https://{n}.{group}.example/data", "auth": "none"} for n in names}
    return whole.settings(environments=declared, retries=0, **values)


class Upstream(httpx.AsyncBaseTransport):
    """Answers for all services: no rows, after about ``latency`` seconds. Documents differ, and are not read."""

    def __init__(self) -> None:
        self.latency = 0.0
        self._draw = random.Random(1)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.latency:
            # Spread, as equal ones would bring all answers of a batch at the same moment.
            await asyncio.sleep(self.latency * self._draw.uniform(0.8, 1.2))
        if request.url.path.endswith("/$metadata"):
            of = EQUAL if f".{EQUAL}." in request.url.host else request.url.host
            text = f'<edmx:Edmx Version="4.0" of="{of}"/>'
            return httpx.Response(200, text=text, headers=_XML)
        if not request.url.path.startswith("/data/"):
            return httpx.Response(404)
        return httpx.Response(200, json={"value": [], "@odata.count": 0}, headers=_JSON)


class Variants:
    """Makes the model of each environment."""

    def __init__(self, document: MetadataDocument) -> None:
        settings = whole.settings()
        key, fingerprint = model_identity(settings, document.digest)
        opened = SnapshotStore(snapshot_folder(settings)).open(key, fingerprint)
        assert opened is not None
        self._whole: Unpacked = opened
        self._types = dict(opened.model.entity_types)

    async def build(self, settings: Settings, document: MetadataDocument) -> LoadedModel:
        """Return a model from its snapshot, which is written if there is none."""
        return await asyncio.to_thread(self._build, settings, document)

    def _build(self, settings: Settings, document: MetadataDocument) -> LoadedModel:
        folder = snapshot_folder(settings)
        assert folder is not None
        key, fingerprint = model_identity(settings, document.digest)
        store = SnapshotStore(folder / "environments", count=10_000)
        store.write(key, fingerprint, self._model(document.digest), bytes(self._whole.notes))
        loaded = find_model(settings, document.digest)
        assert loaded is not None
        return loaded

    def _model(self, digest: str) -> Model:
        model, types = self._whole.model, dict(self._types)
        for of_set in CUSTOM:
            declared = types[model.entity_sets[of_set].type]
            own = Property(name=f"Own{digest[:12]}", type=TypeRef("Edm.String"), label="@Own:1")
            types[declared.name] = msgspec.structs.replace(
                declared, properties=(*declared.properties, own)
            )
        tables = {"entity_sets", "singletons", "complex_types", "enum_types", "type_definitions"}
        rest = {name: getattr(model, name) for name in (*tables, "operations", "imports")}
        return Model(namespace=model.namespace, entity_types=types, **rest)


class Deployment:
    """A running deployment, called without sockets."""

    def __init__(self, app: Starlette, upstream: Upstream) -> None:
        self.app = app
        self.upstream = upstream

    async def post(self, number: int | None, query: str) -> bytes:
        """Return the answer of an environment; None: that of the settings. Raises RuntimeError for errors."""
        path = "/graphql" if number is None else f"/e/{name_of(number)}/graphql"
        body = orjson.dumps({"query": query})
        status, answer = await _call(self.app, path, body)
        if status != 200 or b'"errors"' in answer:
            raise RuntimeError(f"{path}: {status} {answer[:300]!r}")
        return answer


async def _call(app: Starlette, path: str, body: bytes) -> tuple[int, bytes]:
    sent: list[Mapping[str, Any]] = []

    async def hear(message: Any) -> None:
        sent.append(message)

    await called(app, path, body, hear)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def called(
    app: Starlette,
    path: str,
    body: bytes,
    hear: Callable[[Any], Awaitable[None]],
    accept: str = "application/json",
) -> None:
    """POST a body to an application, and let ``hear`` have each message of its answer."""
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"accept-encoding", b"identity"),
        (b"accept", accept.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": headers, "client": ("127.0.0.1", 1), "server": ("localhost", 80),
    }  # fmt: skip
    received: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": body, "more_body": False}]
    )
    left = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        message = next(received, None)
        if message is None:
            await left.wait()
            return {"type": "http.disconnect"}
        return message

    await app(scope, receive, hear)
    left.set()


async def prepare(environments: int) -> None:
    """Write the snapshots of so many environments, and that of those with equal documents."""
    document, _ = await whole.known(whole.settings())
    async with deployed(environments, build_model=Variants(document).build) as deployment:
        for number in range(environments):
            await deployment.post(number, QUERIES[0])
    async with deployed(
        environments, build_model=Variants(document).build, are_equal=True
    ) as deployment:
        await deployment.post(0, QUERIES[0])


async def _prepared(_: Settings, document: MetadataDocument) -> LoadedModel:
    raise AssertionError(f"there is no snapshot of {document.source}")


@asynccontextmanager
async def deployed(
    environments: int, build_model: BuildModel = _prepared, **values: Any
) -> AsyncIterator[Deployment]:
    """Run a deployment of so many environments, whose snapshots are there."""
    upstream = Upstream()
    app = create_app(
        settings_with(environments, **values),
        transport=upstream,
        observe=lambda _: None,
        build_model=build_model,
    )
    async with app.router.lifespan_context(app):
        yield Deployment(app, upstream)
