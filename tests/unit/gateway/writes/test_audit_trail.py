"""Writes in the audit log: one line for each row or call, with what became of it; required ones are announced."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.audit import sinks
from gateway.audit.entries import Entry, Who
from gateway.audit.opening import open_audit_log
from gateway.audit.verify import verify
from gateway.config.settings import Settings
from gateway.events import Observer
from gateway.identity.caller import ANONYMOUS
from gateway.sandbox import create_sandbox
from gateway.store.api_keys import open_register
from gateway.writes.audit_trail import WriteAudit
from tests.support.observers import raise_bugs

pytestmark = pytest.mark.anyio
EXAMPLES = Path(__file__).parents[4] / "gateway/graphiql/examples"
UPDATE = """mutation Terms($terms: String!, $key: String! = "US-001") {
  updateVendorV3(key: { vendorAccountNumber: $key }, patch: { defaultPaymentTermsName: $terms }) {
    userErrors { code }
  }
}"""


class Serving:
    """A gateway over a sandbox, with its audit files."""

    way: Way

    def __init__(self, app: Any, sandbox: Any, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 1))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    async def post(self, query: str, **variables: Any) -> httpx.Response:
        return await self.http.post(
            "/graphql",
            json={"query": query, "variables": variables},
            headers={"X-D365-Company": "usmf", "X-Request-ID": "r-1"},
        )

    async def lines(self, count: int = 1) -> list[dict[str, Any]]:
        """Return what the log has when so many entries are written."""
        async with asyncio.timeout(60):
            while len(self.written()) < count:  # noqa: ASYNC110 - a thread writes
                await asyncio.sleep(0.01)
        return self.written()

    def written(self) -> list[dict[str, Any]]:
        contents = [path.read_bytes() for path in audit_files(self.folder)]
        lines = [json.loads(line) for content in contents for line in content.splitlines()]
        return [line for line in lines if line["kind"] not in {"start", "end"}]

    def writes(self) -> int:
        """Return how many writes came to the sandbox."""
        sent = [r for r in self.sandbox.state.requests if r.method in {"POST", "PATCH", "DELETE"}]
        return len([r for r in sent if not r.in_batch])


class Way(httpx.ASGITransport):
    """The way to a sandbox. It notes for each write whether an intent without an outcome was on disk."""

    def __init__(self, sandbox: Any, folder: Path) -> None:
        super().__init__(sandbox)
        self._folder = folder
        self.announced: list[tuple[str, bool]] = []
        self.breaks: type[BaseException] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_write = request.method != "GET"
        if is_write:
            paths = audit_files(self._folder)
            lines = [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]
            open_writes = {line["write"] for line in lines if line["kind"] == "intent"}
            open_writes -= {line["write"] for line in lines if line["kind"] == "write"}
            self.announced.append((request.method, bool(open_writes)))
        if is_write and self.breaks is not None:
            raise self.breaks
        return await super().handle_async_request(request)


@asynccontextmanager
async def serving(
    tmp_path: Path,
    more: Mapping[str, Any] = MappingProxyType({}),
    observe: Observer = raise_bugs,
    **audit: Any,
) -> AsyncIterator[Serving]:
    settings = Settings.model_validate(
        {
            "language": "none",
            "audit": {"sink": "file", "path": tmp_path, **audit},
            "company_limit": ["usmf", "demf"],
            **more,
        }
    )
    sandbox = create_sandbox()
    way = Way(sandbox, tmp_path)
    app = create_app(settings, transport=way, observe=observe)
    async with app.router.lifespan_context(app):
        served = Serving(app, sandbox, tmp_path)
        served.way = way
        async with served.http:
            yield served
    assert verify(audit_files(tmp_path)).problems == []


def audit_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


async def test_a_row_that_is_there_is_recorded_without_values(tmp_path: Path) -> None:
    query = """mutation { createLedgerJournalHeader(uniqueBy: "integrationKey", input: {
      journalName: "GenJrn", integrationKey: "K" }) { created } }"""
    async with serving(tmp_path, values=["*.IntegrationKey"]) as gateway:
        first, second = [(await gateway.post(query)).json() for _ in range(2)]
        created, existed = await gateway.lines(2)

    assert [a["data"]["createLedgerJournalHeader"]["created"] for a in (first, second)] == [
        True,
        False,
    ]
    assert (created["outcome"], created["values"]) == ("done", {"IntegrationKey": "K"})
    assert (existed["outcome"], existed["key"]) == ("existed", created["key"])
    assert "fields" not in existed
    assert "values" not in existed


async def test_a_write_is_one_line(tmp_path: Path) -> None:
    async with serving(tmp_path) as gateway:
        response = await gateway.post(UPDATE, terms="Net30")
        (line,) = await gateway.lines()

    assert response.json() == {"data": {"updateVendorV3": {"userErrors": []}}}
    assert line.pop("upstream_request")
    assert len(line.pop("operation_hash")) == 64
    for name in ("chain", "n", "prev", "digest", "at"):
        line.pop(name)
    assert line == {
        "kind": "write",
        "who": {"kind": "anonymous"},
        "client": "192.0.2.7",
        "request": "r-1",
        "environment": "sandbox",
        "operation": "Terms",
        "companies": ["usmf"],
        "write": 1,
        "verb": "update",
        "set": "VendorsV3",
        "key": {"dataAreaId": "usmf", "VendorAccountNumber": "US-001"},
        "company": "usmf",
        "fields": ["DefaultPaymentTermsName"],
        "outcome": "done",
    }


@pytest.mark.parametrize(
    ("values", "recorded"),
    [
        ([], None),
        (["VendorsV3.Default*"], {"DefaultPaymentTermsName": "Net30"}),
        (["*.*Name"], {"DefaultPaymentTermsName": "Net30"}),
        (["CustomersV3.*"], None),
    ],
)
async def test_values_are_recorded_where_settings_name_them(
    tmp_path: Path, values: list[str], recorded: object
) -> None:
    async with serving(tmp_path, values=values) as gateway:
        await gateway.post(UPDATE, terms="Net30")
        (line,) = await gateway.lines()

    assert line.get("values") == recorded


async def test_credentials_in_values_are_masked(tmp_path: Path) -> None:
    async with serving(tmp_path, values=["*"]) as gateway:
        await gateway.post(UPDATE, terms="Bearer abcdefgh")
        (line,) = await gateway.lines()

    assert line["values"] == {"DefaultPaymentTermsName": "Bearer ********"}


@pytest.mark.parametrize(
    ("key", "terms", "outcome", "code"),
    [("nobody", "Net30", "refused", "NOT_FOUND"), ("US-001", "nothing", "refused", "INVALID")],
)
async def test_refusals_of_the_service_are_recorded(
    tmp_path: Path, key: str, terms: str, outcome: str, code: str
) -> None:
    async with serving(tmp_path) as gateway:
        response = await gateway.post(UPDATE, terms=terms, key=key)
        (line,) = await gateway.lines()

    (error,) = response.json()["data"]["updateVendorV3"]["userErrors"]
    assert (line["outcome"], line["code"]) == (outcome, error["code"])


async def test_writes_outside_the_company_limit_are_recorded(tmp_path: Path) -> None:
    query = 'mutation { postLedgerJournal(company: "frrt", journalBatchNumber: "1") { userErrors { code } } }'
    async with serving(tmp_path) as gateway:
        await gateway.post(UPDATE.replace("key: {", 'key: { dataAreaId: "frrt",'), terms="Net30")
        await gateway.post(query)
        lines = await gateway.lines(2)
        writes = gateway.writes()

    assert [(line["outcome"], line["code"]) for line in lines] == [
        ("refused", "NOT_FOUND"),
        ("refused", "FORBIDDEN"),
    ]
    assert writes == 0


async def test_each_row_of_a_changeset_is_a_line(tmp_path: Path) -> None:
    query = (EXAMPLES / "12-all-or-nothing.graphql").read_text("utf-8")
    async with serving(tmp_path) as gateway:
        await gateway.post(query)
        lines = await gateway.lines(3)

    assert [(line["verb"], line["set"], line["outcome"]) for line in lines] == [
        ("create", "LedgerJournalHeaders", "done"),
        ("create", "LedgerJournalLines", "done"),
        ("create", "LedgerJournalLines", "done"),
    ]
    assert len({line["upstream_request"] for line in lines}) == 1
    assert {line["request"] for line in lines} == {"r-1"}


async def test_calls_are_lines_with_their_parameters(tmp_path: Path) -> None:
    query = (EXAMPLES / "8-post-a-journal.graphql").read_text("utf-8")
    async with serving(tmp_path) as gateway:
        await gateway.post(query)
        lines = await gateway.lines(4)

    call = lines[-1]
    assert call["verb"] == "call"
    assert call["call"].endswith("/post")
    assert "_journalBatchNumber" in call["fields"]
    assert call["outcome"] == "done"
    header = lines[0]
    assert header["key"]["JournalBatchNumber"]  # a number sequence gave it


async def test_a_required_write_is_announced_before_it_is_sent(tmp_path: Path) -> None:
    async with serving(tmp_path, required=True) as gateway:
        await gateway.post(UPDATE, terms="Net30")
        lines = await gateway.lines(2)

    assert [(line["kind"], line["write"], line.get("outcome")) for line in lines] == [
        ("intent", 1, None),
        ("write", 1, "done"),
    ]


class FullDisk:
    """Fails every write after some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
        self.left = lines
        self._write = sinks.write_all
        monkeypatch.setattr(sinks, "write_all", self.write)

    def write(self, handle: int, content: bytes) -> None:
        if self.left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.left -= 1
        self._write(handle, content)


async def test_a_write_that_cannot_be_recorded_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, required=True) as gateway:
        FullDisk(monkeypatch, 0)
        before = gateway.writes()
        response = await gateway.post(UPDATE, terms="Net30")
        sent = gateway.writes() - before
        read = await gateway.post("{ legalEntities { totalCount } }")
        monkeypatch.undo()

    assert (response.status_code, sent) == (503, 0)
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "AUDIT_UNAVAILABLE"
    assert "No space" not in response.text
    assert response.headers["retry-after"]
    assert read.status_code == 200


async def test_writes_after_the_first_are_refused_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = UPDATE.partition("{")[2].rpartition("}")[0]
    one, two = (
        body.replace("updateVendorV3", "a: updateVendorV3", 1),
        body.replace("updateVendorV3", "b: updateVendorV3", 1),
    )
    query = f'mutation Two($terms: String!, $key: String! = "US-001") {{ {one} {two} }}'
    async with serving(tmp_path, required=True) as gateway:
        FullDisk(monkeypatch, 1)  # the first intent
        response = await gateway.post(query, terms="Net30")
        sent = gateway.writes()
        monkeypatch.undo()

    data = response.json()["data"]
    assert (response.status_code, sent) == (200, 1)
    assert data["a"] == {"userErrors": []}
    assert [e["code"] for e in data["b"]["userErrors"]] == ["AUDIT_UNAVAILABLE"]


async def test_calls_that_cannot_be_recorded_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = 'mutation { postLedgerJournal(company: "usmf", journalBatchNumber: "1") { userErrors { code } } }'
    async with serving(tmp_path, required=True) as gateway:
        FullDisk(monkeypatch, 0)
        response = await gateway.post(query)
        sent = gateway.writes()
        monkeypatch.undo()

    assert (response.status_code, sent) == (503, 0), response.text


async def test_a_full_disk_stops_no_write_that_need_not_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as gateway:
        FullDisk(monkeypatch, 0)
        response = await gateway.post(UPDATE, terms="Net30")
        sent = gateway.writes()
        await asyncio.sleep(0.05)
        monkeypatch.undo()

    assert (response.status_code, sent) == (200, 1)


async def test_callers_with_roles_are_named(tmp_path: Path) -> None:
    register = open_register(Settings(data_dir=tmp_path / "data"))
    key, text = register.create("ci", ["clerk"], None)
    register.close()
    rights = {"create": True, "update": True}
    policy = {
        "data_dir": tmp_path / "data",
        "inbound": {"api_keys": True},
        "roles": {"clerk": {"sets": {"VendorsV3": rights}}},
    }
    async with serving(tmp_path, policy) as gateway:
        gateway.http.headers["Authorization"] = f"Bearer {text}"
        response = await gateway.post(UPDATE, terms="Net30")
        lines = await gateway.lines(2)

    assert response.json() == {"data": {"updateVendorV3": {"userErrors": []}}}
    (line,) = [line for line in lines if line["kind"] == "write"]
    who = line["who"]
    assert (who["kind"], who["subject"], who["name"], who["roles"]) == (
        "key",
        key.id,
        "ci",
        ["clerk"],
    )
    assert text not in json.dumps(lines)


async def test_explain_records_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, required=True) as gateway:
        response = await gateway.http.post(
            "/graphql/explain", json={"query": UPDATE, "variables": {"terms": "Net30"}}
        )
        lines = gateway.written()

    assert response.status_code == 200
    assert lines == []


JOURNAL = """mutation { createLedgerJournalHeader(input: { journalName: "GenJrn", description: "x",
  ledgerJournalLine: { create: [{ lineNumber: "1", accountType: LEDGER, accountDisplayValue: "%s",
  debitAmount: "1", currencyCode: "USD" }] } }) { userErrors { code } } }"""
VENDOR_GROUP = "VendorGroup(%s) { userErrors { code } }"
KINDS: dict[str, tuple[str, list[str]]] = {
    "several in a row": (
        """mutation { a: createVendorGroup(input: { vendorGroupId: "R1", description: "a" }) { userErrors { code } }
        b: updateVendorGroup(key: { vendorGroupId: "R1" }, patch: { description: "b" }) { userErrors { code } }
        c: deleteVendorGroup(key: { vendorGroupId: "R1" }) { userErrors { code } } }""",
        ["POST", "PATCH", "DELETE"],
    ),
    "an upsert of no row": (
        """mutation { upsertVendorGroup(input: { vendorGroupId: "R2", description: "a" })
        { userErrors { code } } }""",
        ["PATCH", "POST"],
    ),
    "all or nothing": ((EXAMPLES / "12-all-or-nothing.graphql").read_text("utf-8"), ["POST"]),
    "a header first, and a call": (
        (EXAMPLES / "8-post-a-journal.graphql").read_text("utf-8"),
        ["POST", "POST", "POST"],
    ),
    "a header that is taken back": (JOURNAL % "nothing", ["POST", "POST", "DELETE"]),
    "a key that no address can hold": (
        """mutation { updateVendorGroup(key: { vendorGroupId: "a/b" }, patch: { description: "b" })
        { userErrors { code } } }""",
        ["POST"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_no_write_of_any_kind_is_sent_before_its_intent(tmp_path: Path, kind: str) -> None:
    query, methods = KINDS[kind]
    async with serving(tmp_path, required=True) as gateway:
        response = await gateway.post(query)
        announced = gateway.way.announced

    assert "errors" not in response.json(), response.text
    assert announced == [(method, True) for method in methods], response.text


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("query", [UPDATE, JOURNAL % "605120-001-022"])
async def test_a_write_that_ends_in_a_bug_is_recorded(
    tmp_path: Path, required: bool, query: str
) -> None:
    async with serving(tmp_path, observe=lambda _: None, required=required) as gateway:
        gateway.way.breaks = KeyError
        await gateway.post(query, terms="Net30")
        lines = await gateway.lines(2 if required else 1)

    assert lines[-1]["kind"] == "write"
    assert lines[-1]["outcome"] == "unknown"


async def test_an_intent_that_nobody_waits_for_is_closed(tmp_path: Path) -> None:
    settings = Settings.model_validate({"audit": {"sink": "file", "path": tmp_path}})
    log = open_audit_log(settings, raise_bugs)
    assert log is not None
    log.required = True
    trail = WriteAudit(log=log, environment="x", company_property=None).trail(
        caller=ANONYMOUS, client=None, request=None, operation=None, document="", companies=None
    )
    announcing = asyncio.create_task(
        trail.announce([Entry(kind="write", who=Who(kind="anonymous"), write=1)])
    )
    await asyncio.sleep(0)
    announcing.cancel()
    await asyncio.gather(announcing, return_exceptions=True)
    await log.close()

    (state,) = verify(audit_files(tmp_path)).chains.values()
    assert (state.lines, state.open_writes) == (4, set())
