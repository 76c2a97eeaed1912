"""Imports over HTTP: rows of a file, each with a result, written with the caller's rights; or an error that shows."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from starlette.applications import Starlette

from gateway.config.setting_models import Profile
from gateway.config.settings import Settings
from gateway.config.write_models import WriteOptions
from gateway.events import Event
from gateway.events.imports import ImportServed
from gateway.sandbox import create_sandbox
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault, SandboxSettings
from tests.support.app_client import Client, calling, code_of
from tests.support.app_client import serving as serving_app
from tests.support.manual_clock import until
from tests.support.role_doors import bearer, settings
from tests.support.streaming import Served, serving
from tests.support.write_kinds import BATCH, fresh

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
GROUPS = "/import/CustomerGroups?companies=usmf"
NDJSON, CSV = "application/x-ndjson", "text/csv"
BAD_TERMS = "no such terms"
ROLES: dict[str, Any] = {
    "clerk": {
        "sets": {
            "CustomerGroups": {
                **dict.fromkeys(("create", "update"), True),
                "where": {"description": {"eq": "mine"}},
                "deny_columns": ["PaymentTermId"],
            },
            "CustomersV3": {},
        }
    },
}


@pytest.fixture(scope="module")
def upstream() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.1))


@pytest.fixture(scope="module")
async def served(
    upstream: Starlette, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    folder: Path = tmp_path_factory.mktemp("imports")
    profiles = {"small": Profile(include=("CustomerGroups",))}
    async with serving(upstream, [], profiles=profiles, data_dir=folder) as opened:
        yield opened


@pytest.fixture(scope="module")
async def app_with_roles() -> AsyncIterator[tuple[Starlette, list[Event]]]:
    async with serving_app(settings(roles=ROLES, profiles={})) as opened:
        yield opened


@pytest.fixture
async def client(app_with_roles: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*app_with_roles) as client:
        yield client


def group(key: str, **values: Any) -> dict[str, Any]:
    return {"customerGroupId": key, "description": "new", **values}


def body_of(*rows: dict[str, Any] | str) -> bytes:
    return "".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in rows).encode()


async def post(
    served: Served, body: Any, path: str = GROUPS, media: str = NDJSON, **fields: str
) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in fields.items()}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        return await http.post(path, content=body, headers={"content-type": media, **names})


def results(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson; charset=utf-8"
    return [json.loads(line) for line in response.text.splitlines()]


def described(upstream: Starlette, key: str) -> str | None:
    rows = upstream.state.store.rows("CustomerGroups", CustomerGroupId=key)
    return rows[0]["Description"] if rows else None


def sent(upstream: Starlette, start: int) -> int:
    return sum(
        r.method in ("POST", "PATCH") and not r.in_batch for r in upstream.state.requests[start:]
    )


async def test_each_row_has_a_result(served: Served, upstream: Starlette) -> None:
    keys = [fresh() for _ in range(8)]
    rows = body_of(
        group(keys[0]),
        "not JSON",
        group(keys[2], paymentTermId=BAD_TERMS),
        {"CustomerGroupId": keys[3], "Description": "by names of the metadata"},
        group(keys[4], nothing="1"),
        group(keys[5], description=7),
        group(keys[0]),
        "",
        group(keys[7], writeOffReason=None),
    )
    start = len(upstream.state.requests)

    found = results(await post(served, rows, f"{GROUPS}&trailer=true"))

    end = found.pop()
    assert [(r["row"], r["status"]) for r in found] == [
        (1, "created"),
        (2, "refused"),
        (3, "refused"),
        (4, "created"),
        (5, "refused"),
        (6, "refused"),
        (7, "refused"),
        (8, "created"),
    ]
    assert [e["code"] for r in found for e in r.get("errors", ())] == [
        "BAD_ARGUMENT",
        "RELATED_RECORD_NOT_FOUND",
        "BAD_ARGUMENT",
        "BAD_USER_INPUT",
        "DUPLICATE_KEY",
    ]
    assert found[2]["errors"][0]["path"] == ["paymentTermId"]
    assert found[5]["errors"][0]["message"].startswith("description: ")
    assert end == {"end": {"rows": 8, "created": 3, "refused": 5}}
    assert found[3]["id"]
    assert described(upstream, keys[3]) == "by names of the metadata"
    # Twice the same row: the second is written after the batch with the first.
    assert sent(upstream, start) == 2
    (event,) = [e for e in served.events if isinstance(e, ImportServed)]
    assert (event.set, event.mode, event.rows, event.refused) == ("CustomerGroups", "create", 8, 5)


async def test_csv_is_read_by_the_types_of_its_columns(served: Served, upstream: Starlette) -> None:
    keys = [fresh() for _ in range(4)]
    text = (
        "\ufeffCustomerGroupId,description,isPublicSector_IT,clearingPeriodPaymentTermName\r\n"
        f'{keys[0]},"A, ""b""\nc",yes,\r\n'
        f"{keys[1]},plain,No,\r\n"
        f"{keys[2]},plain,perhaps,\r\n"
        f"{keys[3]},too few\r\n"
    )

    found = results(await post(served, text.encode(), media=f"{CSV}; charset=utf-8"))

    assert [r["status"] for r in found] == ["created", "created", "refused", "refused"]
    assert [r["errors"][0]["message"] for r in found[2:]] == [
        "isPublicSector_IT is no Boolean.",
        "The line has 2 cells, and the header 4.",
    ]
    assert described(upstream, keys[0]) == 'A, "b"\nc'
    (row,) = upstream.state.store.rows("CustomerGroups", CustomerGroupId=keys[0])
    assert row["IsPublicSector_IT"] == "Yes"


async def test_upserts_change_what_is_there(served: Served, upstream: Starlette) -> None:
    one, two = fresh(), fresh()
    text = f"customerGroupId,description\n{one},first\n"
    results(await post(served, text.encode(), media=CSV))
    more = f"customerGroupId,description,paymentTermId\n{one},second,\n{two},new,\n".encode()
    path = f"{GROUPS}&mode=upsert&empty=null"

    found = results(await post(served, more, path, CSV))

    assert [r["status"] for r in found] == ["written", "written"]
    assert [described(upstream, key) for key in (one, two)] == ["second", "new"]


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_body_may_be_compressed(served: Served, coding: str) -> None:
    pack = gzip.compress if coding == "gzip" else zstandard.compress
    packed = pack(body_of(group(fresh()))) + pack(body_of(group(fresh())))

    found = results(await post(served, packed, content_encoding=coding))
    broken = await post(served, b"{}\n", content_encoding=coding)
    cut = await post(served, pack(body_of(group(fresh())))[:-1], content_encoding=coding)

    assert [r["status"] for r in found] == ["created", "created"]
    for refused in (broken, cut):
        assert (refused.status_code, code_of(refused)) == (400, "BAD_REQUEST")


async def test_validation_sends_nothing(served: Served, upstream: Starlette) -> None:
    start = len(upstream.state.requests)
    rows = body_of(group(fresh()), group(fresh(), nothing=1), {"description": "no key"})

    found = results(await post(served, rows, f"{GROUPS}&validate=true"))

    assert [r["status"] for r in found] == ["valid", "refused", "refused"]
    assert sent(upstream, start) == 0


async def test_headers_come_with_their_lines(served: Served, upstream: Starlette) -> None:
    item = upstream.state.store.rows("ReleasedProductsV2", dataAreaId="usmf")[0]["ItemNumber"]

    def order(item: str) -> dict[str, Any]:
        lines = [{"itemNumber": item, "orderedSalesQuantity": 2.5}]
        customer = dict.fromkeys(
            ("orderingCustomerAccountNumber", "InvoiceCustomerAccountNumber"), "US-001"
        )
        return {**customer, "currencyCode": "USD", "salesOrderLines": {"create": lines}}

    path = "/import/SalesOrderHeadersV2?companies=usmf"
    found = results(await post(served, body_of(order(item), order("none")), path))

    assert [r["status"] for r in found] == ["created", "refused"]
    assert found[1]["errors"][0]["path"] == ["salesOrderLines", "create", "0", "itemNumber"]


async def test_too_many_errors_end_an_import(served: Served, upstream: Starlette) -> None:
    start, lines = len(upstream.state.requests), bytearray()
    text = body_of(*(group("G", nothing=1) for _ in range(250)))

    async def read(http: httpx.AsyncClient) -> None:
        path, headers = f"{GROUPS}&maxErrors=2", {"content-type": NDJSON}
        async with http.stream("POST", path, content=text, headers=headers) as response:
            async for piece in response.aiter_bytes():
                lines.extend(piece)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await read(http)

    *rows, last = map(json.loads, lines.splitlines())
    assert last["error"]["extensions"]["code"] == "TOO_MANY_ERRORS"
    assert [row["row"] for row in rows] == list(range(1, 201))
    assert sent(upstream, start) == 0


async def test_a_row_is_written_once_under_a_key(served: Served, upstream: Starlette) -> None:
    one, two, key = fresh(), fresh(), fresh()
    first = body_of(group(one), group(two, paymentTermId=BAD_TERMS), group(two, nothing=1))
    corrected = body_of(group(one), group(two), group(two))

    before = results(await post(served, first, idempotency_key=key))
    start = len(upstream.state.requests)
    again = results(await post(served, first, idempotency_key=key))
    assert sent(upstream, start) == 0
    after = results(await post(served, corrected, idempotency_key=key))

    assert [r["status"] for r in before] == ["created", "refused", "refused"]
    assert again == [{**before[0], "replayed": True}, {**before[1], "replayed": True}, before[2]]
    assert [r["status"] for r in after] == ["created", "refused", "created"]
    assert after[1]["errors"][0]["code"] == "IDEMPOTENCY_MISMATCH"
    assert described(upstream, two) == "new"


async def test_rows_that_are_there_are_not_created(served: Served, upstream: Starlette) -> None:
    names = [fresh(), fresh()]
    rows = body_of(*({"journalName": "GenJrn", "IntegrationKey": name} for name in names))
    path = "/import/LedgerJournalHeaders?companies=usmf&uniqueBy=IntegrationKey"

    first = results(await post(served, rows.splitlines()[0], path))
    start = len(upstream.state.requests)
    again = results(await post(served, rows, path))

    assert [r["status"] for r in (*first, *again)] == ["created", "exists", "created"]
    assert again[0]["id"] == first[0]["id"]
    assert sent(upstream, start) == 1


async def test_a_lost_answer_is_unknown_for_each_of_its_rows(
    served: Served, upstream: Starlette
) -> None:
    keys, key = [fresh(), fresh()], fresh()
    rows = body_of(*map(group, keys))
    upstream.state.faults.add(FaultRule(at="after", **BATCH))  # type: ignore[arg-type]

    with pytest.raises(httpx.RemoteProtocolError):
        await post(served, rows, idempotency_key=key)
    again = results(await post(served, rows, idempotency_key=key))

    assert [(r["status"], r["replayed"]) for r in again] == [("unknown", True)] * 2
    for name, row in zip(keys, again, strict=True):
        assert f"CustomerGroupId = {name}" in row["errors"][0]["message"]
        assert len(upstream.state.store.rows("CustomerGroups", CustomerGroupId=name)) == 1


async def test_rows_that_were_not_sent_can_be_sent_again(
    served: Served, upstream: Starlette
) -> None:
    one, key = fresh(), fresh()
    upstream.state.faults.add(FaultRule(at="before", answer=Fault(status=403), **BATCH))  # type: ignore[arg-type]
    rows = body_of(group(one), group(fresh()))

    with pytest.raises(httpx.RemoteProtocolError):
        await post(served, rows, idempotency_key=key)
    assert described(upstream, one) is None
    again = results(await post(served, rows, idempotency_key=key))

    assert [r["status"] for r in again] == ["created", "created"]


async def test_rows_do_without_batches_what_they_do_in_them(upstream: Starlette) -> None:
    keys = [fresh() for _ in range(6)]
    fault = FaultRule(at="before", answer=Fault(status=403), method="POST", skip=1)
    one_by_one = Settings(cache_dir=None, language="none", writes=WriteOptions(batch_size=0))
    rows = [group(key) for key in keys[:4]]
    body = body_of(*rows, group(keys[4], paymentTermId=BAD_TERMS), group(keys[5]))
    async with (
        serving_app(one_by_one, upstream=httpx.ASGITransport(upstream)) as opened,
        calling(*opened) as client,
    ):
        upstream.state.faults.add(fault)
        response = await client.http.post(GROUPS, content=body, headers={"content-type": NDJSON})

    # A row that failed stops no others, unless all behind it fail, too.
    statuses = ["created", "not_sent", "created", "created", "refused", "created"]
    assert [r["status"] for r in results(response)] == statuses
    written = ["new" if s == "created" else None for s in statuses]
    assert [described(upstream, key) for key in keys] == written


@pytest.mark.parametrize(
    ("path", "media", "status", "code"),
    [
        ("/import/Nothing", NDJSON, 404, "UNKNOWN_SET"),
        ("/import/small/CustomersV3", NDJSON, 404, "UNKNOWN_SET"),
        ("/import/SystemParameters", NDJSON, 404, "UNKNOWN_SET"),
        ("/import/accounting.nothing", NDJSON, 404, "UNKNOWN_SET"),
        ("/import/accounting.receipts", NDJSON, 403, "FORBIDDEN"),
        ("/import/accounting.vendors?uniqueBy=raw", NDJSON, 400, "BAD_ARGUMENT"),
        ("/import/accounting.journalEntries?uniqueBy=lines", NDJSON, 400, "BAD_ARGUMENT"),
        ("/import/accounting.vendors", CSV, 400, "BAD_ARGUMENT"),
        ("/import/CustomerGroups?mode=delete", NDJSON, 400, "BAD_ARGUMENT"),
        ("/import/CustomerGroups?first=5", NDJSON, 400, "BAD_ARGUMENT"),
        ("/import/CustomerGroups?uniqueBy=nothing", NDJSON, 400, "BAD_ARGUMENT"),
        ("/import/CustomerGroups?uniqueBy=description&mode=upsert", NDJSON, 400, "BAD_ARGUMENT"),
        ("/import/CustomerGroups?maxErrors=-1", NDJSON, 400, "BAD_ARGUMENT"),
        ("/import/CustomerGroups?empty=null", NDJSON, 400, "BAD_ARGUMENT"),
        ("/import/CustomerGroups", "application/json", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("/import/CustomerGroups", CSV, 400, "BAD_ARGUMENT"),
    ],
)
async def test_what_cannot_run_has_a_status(
    served: Served, path: str, media: str, status: int, code: str
) -> None:
    response = await post(served, b"a,b\n1,2\n", path, media)

    assert (response.status_code, code_of(response)) == (status, code)


@pytest.mark.parametrize(
    "header", ["customerGroupId,CustomerGroupId", "description,description", "description,,x"]
)
async def test_a_header_names_each_field_once(
    served: Served, upstream: Starlette, header: str
) -> None:
    start = len(upstream.state.requests)

    response = await post(served, f"{header}\n{fresh()},{fresh()}\n".encode(), media=CSV)

    assert (response.status_code, code_of(response)) == (400, "BAD_ARGUMENT")
    assert sent(upstream, start) == 0


async def test_other_methods_codings_and_sites_are_refused(served: Served) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        read = await http.get("/import/CustomerGroups")
        options = await http.options("/import/CustomerGroups")
    packed = await post(served, b"", content_encoding="br")
    foreign = await post(served, b"", sec_fetch_site="cross-site")

    assert (read.status_code, read.headers["allow"]) == (405, "POST, OPTIONS")
    assert (options.status_code, options.headers["allow"]) == (200, "POST, OPTIONS")
    assert (packed.status_code, code_of(packed)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (foreign.status_code, code_of(foreign)) == (403, "CROSS_SITE_REQUEST")


async def test_a_row_that_is_too_long_ends_an_import(served: Served) -> None:
    response = await post(served, b'{"description":"' + b"x" * 30_000)

    assert (response.status_code, code_of(response)) == (400, "BAD_ARGUMENT")


async def test_results_come_while_the_body_is_sent(served: Served) -> None:
    """A client that reads while it sends has the first results before it sends the last row."""
    answered = asyncio.Event()
    first, last = [fresh() for _ in range(200)], fresh()

    async def rows() -> AsyncIterator[bytes]:
        yield body_of(*map(group, first))
        yield body_of(group(last))
        await asyncio.wait_for(answered.wait(), 60)
        yield body_of(group(fresh()))

    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = f"POST {GROUPS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {NDJSON}\r\nConnection: close\r\n"
    writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())

    async def send() -> None:
        async for piece in rows():
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")

    sending = asyncio.ensure_future(send())
    got = await asyncio.wait_for(reader.readuntil(b'"row":1,'), 60)
    assert got.startswith(b"HTTP/1.1 200")
    answered.set()
    rest = await asyncio.wait_for(reader.read(), 60)
    await sending
    writer.close()
    assert rest.count(b'"status":"created"') == 202
    assert rest.endswith(b"0\r\n\r\n")


async def test_a_client_that_leaves_ends_the_import(served: Served, upstream: Starlette) -> None:
    served.events.clear()
    keys = [fresh() for _ in range(201)]
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = f"POST {GROUPS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {NDJSON}\r\n"
    writer.write(f"{head}Content-Length: 1000000\r\n\r\n".encode() + body_of(*map(group, keys)))
    await until(lambda: described(upstream, keys[199]) is not None)
    writer.close()
    await until(lambda: any(isinstance(e, ImportServed) for e in served.events))

    (event,) = [e for e in served.events if isinstance(e, ImportServed)]
    assert (event.error, event.rows) == ("CLIENT_LEFT", 200)
    assert described(upstream, keys[200]) is None


@pytest.mark.parametrize(
    ("path", "roles", "status", "code"),
    [
        ("/import/CustomersV3", ("clerk",), 403, "FORBIDDEN"),
        ("/import/VendorGroups", ("clerk",), 404, "UNKNOWN_SET"),
        ("/import/CustomerGroups", (), 403, "FORBIDDEN"),
    ],
)
async def test_roles_decide_where_rows_are_imported(
    client: Client, path: str, roles: tuple[str, ...], status: int, code: str
) -> None:
    headers = {**(bearer(*roles) if roles else {}), "content-type": NDJSON}
    response = await client.http.post(path, content=b"{}", headers=headers)

    assert (response.status_code, code_of(response)) == (status, code)


@pytest.mark.parametrize("validates", ["true", "false"])
async def test_roles_decide_which_rows_are_imported(client: Client, validates: str) -> None:
    mine, other, hidden = fresh(), fresh(), fresh()
    rows = body_of(
        group(mine, description="mine"),
        group(other, description="not mine"),
        group(hidden, description="mine", paymentTermId="Net10"),
    )
    headers = {**bearer("clerk"), "content-type": NDJSON}

    response = await client.http.post(
        f"{GROUPS}&validate={validates}", content=rows, headers=headers
    )

    done = "valid" if validates == "true" else "created"
    found = results(response)
    assert [r["status"] for r in found] == [done, "refused", "refused"]
    assert [e["code"] for r in found for e in r.get("errors", ())] == ["FORBIDDEN", "BAD_ARGUMENT"]


async def test_nothing_is_imported_where_nothing_may_be_written() -> None:
    async with (
        serving_app(settings(roles={}, profiles={}, read_only=True)) as opened,
        calling(*opened) as client,
    ):
        headers = {"content-type": NDJSON}
        response = await client.http.post(GROUPS, content=b"{}", headers=headers)

    assert (response.status_code, code_of(response)) == (403, "FORBIDDEN")
