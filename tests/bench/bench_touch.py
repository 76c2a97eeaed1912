"""Every entity set of the whole catalogue touched once over HTTP: filter, order, connection, relation, key, ``node``.

What is measured is memory: the types of one generation are bounded (setting ``max_types``), the process is.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx

from gateway.config.settings import Settings
from gateway.metadata.model_builder import dialect_of, make_catalog
from gateway.operations.global_ids import node_id
from schema.catalog import Catalog
from schema.catalog.records import FieldKind, RootField, RootKind, TypeKind
from tests.bench import whole
from tests.bench.measure import Report, memory, peak_memory
from tests.bench.processes import gateway

_EMPTY = b'{"@odata.count":0,"value":[]}'
_HEADERS = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_NO_ROWS = b"HTTP/1.1 200 OK\r\n" + _HEADERS % (len(_EMPTY), _EMPTY)
_ERROR = b'{"error":{"code":"","message":"No."}}'
_NO_ROW = b"HTTP/1.1 404 Not Found\r\n" + _HEADERS % (len(_ERROR), _ERROR)
MARKS = 8
"""Rows of the table: memory after each part of the sets."""


async def touch(quick: bool) -> list[Report]:
    """Walk through the sets, one after another, and look at the process on the way."""
    report = Report("touch", "every entity set touched over HTTP, one after another; no rows")
    async with nothing() as port:
        settings = whole.settings(url=f"http://127.0.0.1:{port}/data", auth="none")
        queries = await asyncio.to_thread(list, operations(await _catalog(settings)))
        if quick:
            queries = queries[:: len(queries) // 400]
        environment = {
            "D365_URL": str(settings.url),
            "D365_AUTH": "none",
            "D365_DIALECT": "finops",
            "D365_METADATA": str(whole.source()),
            "D365_CACHE_DIR": str(whole.folder()),
        }
        with gateway(**environment) as (program, address):
            await _walk(report, queries, address, program.server_pid)
    return [report]


async def _walk(report: Report, queries: list[str], address: str, pid: int) -> None:
    failed = 0
    slowest = 0.0
    ready = address.replace("/graphql", "/readyz")
    started = time.perf_counter()
    async with httpx.AsyncClient(timeout=60) as http:
        for number, query in enumerate(queries, 1):
            began = time.perf_counter()
            answer = (await http.post(address, json={"query": query})).json()
            slowest = max(slowest, time.perf_counter() - began)
            if "errors" in answer:
                failed += 1
                if failed <= 3:
                    report.notes.append(f"{query}: {str(answer['errors'])[:200]}")
            if number % -(-len(queries) // MARKS) == 0 or number == len(queries):
                facts = (await http.get(ready)).json()
                report.add(
                    sets=number,
                    seconds=round(time.perf_counter() - started, 1),
                    slowest_ms=round(slowest * 1000, 1),
                    generation=facts["generation"],
                    types=facts["types"],
                    rss_mib=round(memory(pid)),
                    peak_mib=round(peak_memory(pid)),
                    errors=failed,
                )


@asynccontextmanager
async def nothing() -> AsyncIterator[int]:
    """Serve an environment without rows; gives the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                path = request.split(b" ", 2)[1].partition(b"?")[0]
                writer.write(_NO_ROW if path.endswith(b")") else _NO_ROWS)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _catalog(settings: Settings) -> Catalog:
    """Make the catalogue here too, and with it the snapshot that the gateway opens."""
    _, known = await whole.known(settings)
    dialect = dialect_of(settings, known.model)
    return make_catalog(settings, known.model, dialect, {}, known.naming)


def operations(catalog: Catalog) -> Iterator[str]:
    """Return an operation for each set."""
    by_key = {root.csdl: root for root in catalog.roots.values() if root.kind is RootKind.BY_KEY}
    for root in catalog.roots.values():
        if root.kind is RootKind.LIST:
            yield _operation(catalog, root, by_key.get(root.csdl))


def _operation(catalog: Catalog, root: RootField, by_key: RootField | None) -> str:
    csdl = root.csdl
    fields = catalog.object(csdl).fields.values()
    values = [f.name for f in fields if f.kind is FieldKind.VALUE and not f.many][:10]
    many = [f for f in fields if f.kind is FieldKind.TO_MANY][:1]
    lists = [f"{f.name}(first: 2) {{ totalCount pageInfo {{ endCursor }} }}" for f in many]
    variables = {"first": "Int"}
    for argument, kind, form in (
        ("where", TypeKind.WHERE, "{}"),
        ("orderBy", TypeKind.ORDER_BY, "[{}!]"),
    ):
        if (name := catalog.generated_name(kind, csdl)) is not None:
            variables[argument] = form.format(name)
    declared = ", ".join(f"${name}: {kind}" for name, kind in variables.items())
    given = ", ".join(f"{name}: ${name}" for name in variables)
    selected = " ".join(["__typename", *values, *lists])
    nodes = f"nodes {{ {selected} }} edges {{ cursor }} pageInfo {{ hasNextPage }}"
    parts = [f"{root.name}({given}) {{ totalCount {nodes} }}"]
    key = catalog.object(csdl).key
    concrete = catalog.concrete_name(csdl)
    if by_key is not None and all(f.type_name == "String" for f in key) and concrete:
        plain = ", ".join(f'{f.name}: "x"' for f in key)
        parts.append(f"one: {by_key.name}({plain}) {{ {values[0]} }}")
        identity = node_id(concrete, *("x" for _ in key))
        parts.append(f'node(id: "{identity}") {{ id ... on {concrete} {{ {values[0]} }} }}')
    name = re.sub(r"\W", "", root.name)
    return f"query {name}({declared}) {{ {' '.join(parts)} }}"
