"""Files of rows over HTTP: the bytes both ways, with the caller's rights, and never as a whole in memory."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shlex
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.events import Event, OperationServed, RequestSent
from gateway.events.admission import BreakerOpened
from gateway.events.files import FileServed
from gateway.files.upload import stand_in
from gateway.sandbox.app import create_sandbox
from tests.support.app_client import Client, calling, code_of, serving
from tests.support.role_doors import ISSUER, bearer
from tests.support.wire import Wire

pytestmark = pytest.mark.anyio
SET = "VendorInvoiceDocumentAttachments"
PIECE = 65_536
PIECES = 160
"""10 MiB of a file."""
ATTACHMENTS = "/files/accounting.attachments/content"
USMF = {"dataAreaId": {"eq": "usmf"}}
ROLES: Mapping[str, Any] = {
    "reader": {"sets": {SET: {"where": USMF}, "CustomersV3": {}}},
    "writer": {"sets": {SET: {"where": USMF, "create": True, "update": True}, "CustomersV3": {}}},
    "masked": {"sets": {SET: {"masks": {"FileContents": "null"}}}},
    "blind": {"sets": {SET: {"deny_columns": ["FileContents"]}}},
    "typist": {"sets": {SET: {"update": True, "presets": {"FileContents": "QQ=="}}}},
}


class Upstream(httpx.AsyncBaseTransport):
    """The sandbox, whose answers and requests with files can be made to flow, or to fail."""

    def __init__(self) -> None:
        self.sandbox = httpx.ASGITransport(create_sandbox())
        self.answer: AsyncIterator[bytes] | None = None
        """Stands for the next answer with a file."""
        self.taken = 0
        """Bytes of bodies that were taken."""
        self.takes: Any = None
        """Called with each piece of a body."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.answer is not None and "select=FileContents" in str(request.url):
            answer, self.answer = self.answer, None
            fields = {"content-type": "application/json"}
            return httpx.Response(200, headers=fields, stream=_Flow(answer))
        if self.takes is not None and request.method in ("PATCH", "POST"):
            assert isinstance(request.stream, httpx.AsyncByteStream)
            async for piece in request.stream:
                self.taken += len(piece)
                self.takes(piece)
            return httpx.Response(204)
        return await self.sandbox.handle_async_request(request)


class _Flow(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece


@pytest.fixture(scope="module")
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
async def app(upstream: Upstream, folder: Path) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    values: dict[str, Any] = {
        "cache_dir": None,
        "language": "none",
        "data_dir": folder,
        "roles": ROLES,
        "profiles": {"ap": {"include": ["Vendor*"]}, "ar": {"include": ["Customer*"]}},
        "inbound": {"issuers": [ISSUER]},
        "writes": {"max_file_bytes": PIECE * PIECES},
        "audit": {"sink": "file"},
    }
    async with serving(Settings.model_validate(values), upstream=upstream) as opened:
        yield opened


@pytest.fixture
async def client(app: tuple[Starlette, list[Event]], upstream: Upstream) -> AsyncIterator[Client]:
    upstream.answer, upstream.takes, upstream.taken = None, None, 0
    async with calling(*app) as client:
        client.http.headers.update(bearer("writer"))
        yield client


async def ids(client: Client, company: str = "usmf", *roles: str) -> list[str]:
    query = "query($c: String!) { accounting { attachments(where: {companyCode: {eq: $c}}) { nodes { id } } } }"
    body = {"query": query, "variables": {"c": company}}
    answer = (await client.post(body, **bearer(*(roles or ("reader",))))).json()
    return [node["id"] for node in answer["data"]["accounting"]["attachments"]["nodes"]]


async def path_of(client: Client, number: int = 0) -> str:
    return f"/files/{(await ids(client))[number]}/fileContents"


def served(client: Client) -> list[FileServed]:
    return [e for e in client.events if isinstance(e, FileServed)]


async def test_a_file_is_read_as_bytes(client: Client) -> None:
    path = await path_of(client)
    client.events.clear()
    response = await client.http.get(path)

    assert (response.status_code, response.content[:8]) == (200, b"%PDF-1.7")
    fields = response.headers
    assert fields["content-type"] == "application/pdf"
    assert fields["content-disposition"] == 'attachment; filename="invoice-5637144001.pdf"'
    assert fields["x-content-type-options"] == "nosniff"
    assert fields["cache-control"] == "private, no-cache"
    assert fields["accept-ranges"] == "none"
    sent = [str(e.url).partition("?")[2] for e in client.events if isinstance(e, RequestSent)]
    assert [url.partition(",")[0] for url in sent] == ["$select=FileName", "$select=FileContents"]
    (event,) = served(client)
    assert (event.set, event.direction, event.size) == (SET, "download", len(response.content))
    head = await client.http.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", fields["etag"])
    same = await client.http.get(path, headers={"if-none-match": fields["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    ranged = await client.http.get(path, headers={"range": "bytes=0-3"})
    assert (ranged.status_code, ranged.content) == (200, response.content)


async def test_an_attachment_says_where_its_bytes_are(client: Client) -> None:
    query = "{ accounting { attachments(first: 1) { nodes { id downloadPath content } } } }"
    for text in (query, query.replace("content", "sources { field }")):
        answer = (await client.post({"query": text})).json()
        (node,) = answer["data"]["accounting"]["attachments"]["nodes"]
        assert node["downloadPath"] == f"{node['id']}/fileContents"
        assert (await client.http.get(f"/files/{node['downloadPath']}")).status_code == 200
    line = (await client.http.get("/export/accounting.attachments?fields=id,downloadPath")).text
    assert "/fileContents" in line.splitlines()[0]


async def test_a_profile_has_files_of_its_own(client: Client) -> None:
    path = await path_of(client)

    assert (await client.http.get(path.replace("/files/", "/files/ap/"))).content[:5] == b"%PDF-"
    hidden = await client.http.get(path.replace("/files/", "/files/ar/"))
    assert (hidden.status_code, code_of(hidden)) == (400, "INVALID_ID")


async def test_a_file_is_written_in_its_row(client: Client, folder: Path) -> None:
    path, data = await path_of(client), os.urandom(100_001)
    before = await client.http.get(path)
    client.events.clear()
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    fields = {"if-match": before.headers["etag"], "content-digest": f"sha-256=:{digest}:"}
    written = await client.http.put(path, content=data, headers=fields)

    assert (written.status_code, written.json()["path"]) == (200, path)
    methods = [e.method for e in client.events if isinstance(e, RequestSent)]
    assert methods[-1] == "PATCH"
    after = await client.http.get(path)
    assert (after.content, after.headers["etag"] != before.headers["etag"]) == (data, True)
    old = await client.http.put(path, content=b"x", headers=fields | {"content-digest": ""})
    assert (old.status_code, code_of(old)) == (400, "BAD_REQUEST")
    del fields["content-digest"]
    old = await client.http.put(path, content=b"x", headers=fields)
    assert (old.status_code, code_of(old)) == (412, "CONFLICT")
    # What the row has now is not read to be compared.
    sizes = [e.size for e in client.events if isinstance(e, RequestSent)]
    assert max(sizes[-2:]) < 1_000
    assert (await client.http.put(path, content=b"")).status_code == 200
    empty = await client.http.get(path)
    assert (empty.status_code, empty.content) == (200, b"")
    audited = [
        (line["who"]["subject"], line["verb"], line["set"], line["fields"], line["outcome"])
        for file in (folder / "audit").glob("*.jsonl")
        for line in map(json.loads, file.read_text().splitlines())
        if line["kind"] == "write"
    ]
    assert audited[-3:] == [
        ("alice", "update", SET, ["FileContents"], outcome)
        for outcome in ("done", "refused", "done")
    ]


async def new_bill(upstream: Upstream, number: str) -> str:
    """Create a bill, and return its reference."""
    body = {"dataAreaId": "usmf", "InvoiceNumber": number, "InvoiceAccount": "US-001"}
    async with httpx.AsyncClient(
        transport=upstream.sandbox, base_url="http://sandbox.invalid"
    ) as http:
        created = await http.post("/data/VendorInvoiceHeaders?cross-company=true", json=body)
    return str(created.json()["HeaderReference"])


async def test_a_row_is_created_with_its_file_once(client: Client, upstream: Upstream) -> None:
    reference, data = await new_bill(upstream, "F-1"), os.urandom(70_000)
    address = f"{ATTACHMENTS}?billReference={reference}&fileType=pdf&companies=usmf"
    fields = {
        "content-disposition": "attachment; filename*=UTF-8''M%C3%A4rz%0D%0A.pdf",
        "idempotency-key": "one",
    }
    created = await client.http.post(address, content=data, headers=fields)

    assert (created.status_code, created.json()["created"]) == (201, True)
    assert created.headers["location"] == created.json()["path"]
    read = await client.http.get(created.headers["location"])
    assert (read.content, read.headers["content-type"]) == (data, "application/pdf")
    assert read.headers["content-disposition"].endswith("filename*=UTF-8''M%C3%A4rz__.pdf")
    again = await client.http.post(address, content=data, headers=fields)
    assert (again.status_code, again.json()) == (201, created.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = await client.http.post(address, content=data[1:], headers=fields)
    assert (other.status_code, code_of(other)) == (422, "IDEMPOTENCY_MISMATCH")
    del fields["idempotency-key"]
    twice = await client.http.post(address, content=data, headers=fields)
    assert (twice.status_code, code_of(twice)) == (409, "DUPLICATE_KEY")


PAGE = Path(__file__).parents[4] / "docs" / "data" / "files.md"


def curls() -> list[list[str]]:
    """Return the arguments of each ``curl`` of the page."""
    joined = PAGE.read_text("utf-8").replace("\\\n", " ").splitlines()
    return [shlex.split(line)[2:] for line in joined if line.startswith("$ curl ")]


async def test_the_lines_of_the_page_work(client: Client, upstream: Upstream) -> None:
    values = {"$ID": (await ids(client))[1], "$BILL": await new_bill(upstream, "F-2")}
    statuses = []
    for arguments in curls():
        address = arguments.pop()
        for name, value in values.items():
            address = address.replace(name, value)
        fields = [a for before, a in pairwise(arguments) if before == "-H" and "$TOKEN" not in a]
        headers = dict(field.split(": ") for field in fields)
        method = "POST" if "-X" in arguments else "PUT" if "-T" in arguments else "GET"
        body = None if method == "GET" else b"%PDF"
        path = address.removeprefix("http://127.0.0.1:8000")
        response = await client.http.request(method, path, content=body, headers=headers)
        statuses.append((method, response.status_code))

    assert statuses == [("GET", 200), ("PUT", 200), ("POST", 201)]


REFUSED: Mapping[str, tuple[str, str, dict[str, str], int, str]] = {
    "no id": ("GET", "/files/x/fileContents", {}, 400, "INVALID_ID"),
    "no field": ("GET", "/files/ID/nothing", {}, 400, "BAD_ARGUMENT"),
    "no file": ("GET", "/files/ID/fileName", {}, 400, "BAD_ARGUMENT"),
    "a parameter": ("GET", "/files/ID/fileContents?x=1", {}, 400, "BAD_ARGUMENT"),
    "a price": ("PUT", "/files/ID/fileContents", {"x-d365-cost": "estimate"}, 400, "BAD_REQUEST"),
    "no method": ("DELETE", "/files/ID/fileContents", {}, 405, "METHOD_NOT_ALLOWED"),
    "too long": ("PUT", "/files/ID/fileContents", {"content-length": "99999999"}, 413, "BODY_TOO_LARGE"),
    "compressed": ("PUT", "/files/ID/fileContents", {"content-encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "no digest": ("PUT", "/files/ID/fileContents", {"content-digest": "md5=:eA==:"}, 400, "BAD_REQUEST"),
    "other bytes": ("PUT", "/files/ID/fileContents", {"content-digest": f"sha-256=:{'A' * 43}=:"}, 400, "BAD_REQUEST"),
    "no list": ("POST", "/files/nothing/content", {}, 404, "UNKNOWN_SET"),
    "a list without rights": ("POST", "/files/customersV3/content", {}, 403, "FORBIDDEN"),
    "no file of the list": ("POST", "/files/accounting.attachments/name", {}, 400, "BAD_ARGUMENT"),
    "no such value": ("POST", f"{ATTACHMENTS}?x=1", {}, 400, "BAD_ARGUMENT"),
    "the file as a value": ("POST", f"{ATTACHMENTS}?content=QQ==", {}, 400, "BAD_ARGUMENT"),
    "no bill": ("POST", f"{ATTACHMENTS}?billReference=no&companies=usmf", {}, 422, "RELATED_RECORD_NOT_FOUND"),
    "two stand-ins": ("POST", f"{ATTACHMENTS}?billReference=STAND_IN&companies=usmf", {}, 400, "BAD_ARGUMENT"),
    "a foreign page": ("GET", "/files/ID/fileContents", {"sec-fetch-site": "cross-site"}, 403, "CROSS_SITE_REQUEST"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"), REFUSED.values(), ids=list(REFUSED)
)
async def test_what_cannot_be_done_is_refused(
    client: Client, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    path = path.replace("ID", (await ids(client))[0]).replace("STAND_IN", stand_in(1, None))
    body = None if method == "GET" else b"x"
    response = await client.http.request(method, path, content=body, headers=headers)

    assert (response.status_code, code_of(response)) == (status, code)


RIGHTS: Mapping[str, tuple[str, str, str, int]] = {
    "nobody": ("", "GET", "usmf", 401),
    "reader": ("reader", "GET", "usmf", 200),
    "outside the rule": ("reader", "GET", "demf", 404),
    "masked": ("masked", "GET", "usmf", 403),
    "hidden": ("blind", "GET", "usmf", 400),
    "masked by one role only": ("masked reader", "GET", "usmf", 200),
    "masked in this row": ("masked reader", "GET", "demf", 404),
    "reader writes": ("reader", "PUT", "usmf", 403),
    "read only": ("typist", "PUT", "usmf", 403),
    "writer": ("writer", "PUT", "usmf", 200),
    "writes outside": ("writer", "PUT", "demf", 404),
}


@pytest.mark.parametrize(
    ("roles", "method", "company", "status"), RIGHTS.values(), ids=list(RIGHTS)
)
async def test_roles_decide_what_is_read_and_written(
    client: Client, roles: str, method: str, company: str, status: int
) -> None:
    (id_, *_) = await ids(client, company, "masked")
    path = f"/files/{id_}/fileContents"
    del client.http.headers["authorization"]
    body = None if method == "GET" else b"new"
    headers = bearer(*roles.split())
    response = await client.http.request(method, path, content=body, headers=headers)

    assert response.status_code == status, response.text


def wire_to(client: Client, method: str, path: str, **headers: str) -> Wire:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Wire(client.app, method, path, PIECE * PIECES, {**bearer("writer"), **named})


async def flow(counter: list[int], *, breaks: bool = False) -> AsyncIterator[bytes]:
    """Yield an answer with a file of many pieces, and count them."""
    yield b'{"@odata.etag":"W/\\"abc\\"","FileContents":"'
    text = base64.b64encode(bytes(PIECE))[:-4] + b"AAAA"
    for number in range(PIECES):
        if breaks and number == PIECES // 2:
            raise httpx.ReadError("gone")
        counter[0] += PIECE
        # Pieces of an answer end anywhere.
        yield text[:7]
        yield text[7:]
    yield b'","dataAreaId":"usmf","HeaderReference":"1"}'


async def test_a_download_is_never_in_memory_as_a_whole(client: Client, upstream: Upstream) -> None:
    produced, ahead = [0], 0
    upstream.answer = flow(produced)
    wire = wire_to(client, "GET", await path_of(client))

    def note() -> None:
        nonlocal ahead
        ahead = max(ahead, produced[0] - wire.size)

    wire.on_send = note
    await wire.run()

    assert (wire.status, wire.is_complete) == (200, True)
    assert ahead <= 3 * PIECE
    assert wire.size == served(client)[-1].size > PIECE * PIECES


async def test_a_download_that_fails_midway_is_broken_off(
    client: Client, upstream: Upstream
) -> None:
    upstream.answer = flow([0], breaks=True)
    wire = wire_to(client, "GET", await path_of(client))
    await wire.run()

    assert (wire.status, wire.is_complete) == (200, False)
    assert served(client)[-1].error == "UPSTREAM_UNAVAILABLE"


async def broken(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (b'{"FileContents":null}', 404, "NOT_FOUND"),
        (b'{"FileContents":"****"}', 502, "UPSTREAM_MALFORMED"),
        (b'{"FileContents":"QUJD', 502, "UPSTREAM_MALFORMED"),
    ],
)
async def test_a_file_that_cannot_be_read_has_a_status(
    client: Client, upstream: Upstream, answer: bytes, status: int, code: str
) -> None:
    upstream.answer = broken(answer)
    response = await client.http.get(await path_of(client))

    assert (response.status_code, code_of(response)) == (status, code)


async def test_an_upload_is_never_in_memory_as_a_whole(client: Client, upstream: Upstream) -> None:
    path, ahead = await path_of(client), 0
    wire = wire_to(client, "PUT", path, content_length=str(PIECE * PIECES))
    wire.body = (bytes(PIECE) for _ in range(PIECES))

    def note(_piece: bytes) -> None:
        nonlocal ahead
        ahead = max(ahead, wire.given - upstream.taken * 3 // 4)

    upstream.takes = note
    await wire.run()

    assert (wire.status, wire.given) == (200, PIECE * PIECES)
    assert ahead <= 3 * PIECE
    assert upstream.taken > wire.given * 4 // 3


@pytest.mark.parametrize(
    ("pieces", "leaves_after", "status"), [(PIECES + 1, None, 413), (PIECES, PIECE * 3, None)]
)
async def test_an_upload_that_is_not_whole_is_not_written(
    client: Client, upstream: Upstream, pieces: int, leaves_after: int | None, status: int | None
) -> None:
    wire = wire_to(client, "PUT", await path_of(client))
    size = PIECE + 1 if leaves_after is None else PIECE
    wire.body, wire.leaves_after = (bytes(size) for _ in range(pieces)), leaves_after
    bodies: list[bytes] = []
    upstream.takes = bodies.append
    for _ in range(6):
        wire.given = 0
        wire.body = (bytes(size) for _ in range(pieces))
        await wire.run()

    assert wire.status == status
    assert b'"}' not in bodies[-1]
    assert served(client)[-1].error == ("BODY_TOO_LARGE" if status else "CLIENT_LEFT")
    # One truth: its mutation is no operation that went well.
    mutations = [
        e for e in client.events if isinstance(e, OperationServed) and e.type == "mutation"
    ]
    assert mutations == []
    # The service is not to blame for the client.
    assert not [e for e in client.events if isinstance(e, BreakerOpened)]


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_file_whose_end_the_server_does_not_wait_for_says_so(
    client: Client, upstream: Upstream, method: str
) -> None:
    upstream.answer = flow([0])
    wire = wire_to(client, method, await path_of(client))
    wire.body = (bytes(PIECE) for _ in range(PIECES))
    running = asyncio.ensure_future(wire.run())

    def cut(*_piece: bytes) -> None:
        running.cancel()
        wire.leaves_after = 0

    wire.on_send = upstream.takes = cut
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not wire.is_complete
    assert served(client)[-1].error == "STOPPING"
