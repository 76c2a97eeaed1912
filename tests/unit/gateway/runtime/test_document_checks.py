"""Trusted documents against what is served: which can run, and which are ready before their first use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.documents.lru_cache import LRUCache
from gateway.documents.trusted import TrustedDocument
from gateway.environments.open_environment import OpenEnvironment
from gateway.events import Event, tee
from gateway.events.documents import DocumentBroken, DocumentsChecked
from gateway.runtime.assembly import Gateway, fresh_copy, open_gateway
from gateway.runtime.document_checks import check_document
from gateway.status.deployment_status import DeploymentStatus
from tests.support.changing_metadata import Changing, build_here, csdl
from tests.support.environments import deployed, service, settings_of
from tests.support.manifests import write
from tests.support.manual_clock import until
from tests.support.observers import raise_defects

pytestmark = pytest.mark.anyio
LIST = "query Things { things(first: 1) { nodes { id name } } }"
COLOURS = "query Colours($where: ThingWhere) { things(where: $where) { nodes { colour } } }"
KEY = """query One($account: String!, $first: Int!, $sort: SortDirection!, $id: ID!, $day: Date!) {
  customerV3(customerAccount: $account) {
    salesOrders(
      first: $first, orderBy: [{ salesOrderNumber: $sort }], where: { requestedShippingDate: { gt: $day } }
    ) { totalCount }
  }
  node(id: $id) { id }
}"""
RENAME = """mutation Rename($key: CustomerV3Key!, $patch: CustomerV3Patch!, $tag: String @valueFrom(path: "a.etag")) {
  a: updateCustomerV3(key: $key, patch: $patch) { etag }
  b: updateCustomerV3(key: $key, patch: $patch, ifMatch: $tag) { etag }
}"""


def document(text: str, name: str = "d") -> TrustedDocument:
    return TrustedDocument(id=name, text=text)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (KEY, ["query"]),
        ("query A { __typename } query B { legalEntities { totalCount } }", ["query", "query"]),
        (
            "query ($where: CustomerV3Where!) { customersV3(where: $where) { totalCount } }",
            ["query"],
        ),
        ('subscription { entityChanged(set: "CustomersV3") { id } }', ["subscription"]),
        (
            "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
            ["query"],
        ),
        (
            "query ($after: String!) { customersV3(after: $after) { nodes { id } } }",
            ["query"],
        ),
    ],
)
def test_documents_that_can_run_pass(assembled: Gateway, text: str, kinds: list[str]) -> None:
    check = check_document(fresh_copy(assembled), document(text))

    assert [(o.kind, o.code, o.messages) for o in check.operations] == [
        (k, None, ()) for k in kinds
    ]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("{", "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED", "nothing"),
        ("fragment F on Query { __typename }", "GRAPHQL_VALIDATION_FAILED", "never used"),
        ("{ customersV3(first: 5000) { totalCount } }", "PAGE_LIMIT_EXCEEDED", "first"),
        ('{ node(id: "x") { id } }', "INVALID_ID", "id"),
        (
            "query ($n: Int) { customersV3(first: 5000, skip: $n) { totalCount } }",
            "GRAPHQL_VALIDATION_FAILED",
            "skip",
        ),
    ],
)
def test_documents_that_cannot_run_say_why(
    assembled: Gateway, text: str, code: str, message: str
) -> None:
    check = check_document(fresh_copy(assembled), document(text))

    (operation,) = check.broken
    assert operation.code == code
    assert message in operation.messages[0]


async def test_a_mutation_is_broken_where_nothing_is_written(sandbox: Starlette) -> None:
    transport = httpx.ASGITransport(sandbox)
    for read_only in (True, False):
        settings = Settings(cache_dir=None, language="none", read_only=read_only)
        async with open_gateway(settings, transport=transport, observe=raise_defects) as gateway:
            codes = [o.code for o in check_document(gateway, document(RENAME)).operations]

        assert codes == ["GRAPHQL_VALIDATION_FAILED" if read_only else None]


def pinned(gateway: Gateway) -> tuple[int, int]:
    """Return how many documents and how many operations are kept ready."""
    documents, operations = gateway.engine._documents._cache, gateway.engine._prepared._prepared
    return len(documents.pinned), len(operations.pinned)


@asynccontextmanager
async def served(
    service: Changing, manifest: Path, **values: Any
) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    events: list[Event] = []
    settings = Settings.model_validate(
        {
            "url": "https://fo.example/data",
            "auth": "none",
            "dialect": "finops",
            "retries": 0,
            "metadata_poll": 0,
            "language": None,
            "cache_dir": None,
            "documents": {"manifest": str(manifest), "poll": 0},
            **values,
        }
    )
    transport = httpx.MockTransport(service.answer)
    app = create_app(
        settings,
        transport=transport,
        observe=tee(raise_defects, events.append),
        build_model=build_here,
    )
    async with app.router.lifespan_context(app):
        yield app, events


def checks(events: list[Event]) -> list[tuple[int, int, int]]:
    found = [e for e in events if isinstance(e, DocumentsChecked)]
    return [(e.documents, e.broken, e.ready) for e in found]


async def test_documents_are_ready_before_their_first_use(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.json", {"list": LIST, "colours": COLOURS})
    async with served(Changing(csdl("Name")), manifest) as (app, events):
        environment: OpenEnvironment = app.state.environment
        await until(lambda: bool(checks(events)))

        assert checks(events) == [(2, 1, 2)]
        assert pinned(environment.live.gateway) == (1, 1)
        (broken,) = [e for e in events if isinstance(e, DocumentBroken)]
        assert (broken.document, broken.operation) == ("colours", "Colours")
        assert broken.code == "GRAPHQL_VALIDATION_FAILED"


async def test_new_metadata_and_new_documents_are_checked(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.json", {"list": LIST, "colours": COLOURS})
    service = Changing(csdl("Name"))
    async with served(service, manifest) as (app, events):
        environment: OpenEnvironment = app.state.environment
        ready = environment.documents
        assert ready is not None
        await until(lambda: bool(checks(events)))
        service.document = csdl("Name", "Colour")
        await environment.reloader.reload("admin")
        await until(lambda: len(checks(events)) == 2)
        assert ready.broken == {}
        assert pinned(environment.live.gateway) == (2, 2)

        write(manifest, {"other": "{ things { nodes { size } } }"})
        await ready._store.refresh()
        await until(lambda: len(checks(events)) == 3)

        assert list(ready.broken) == ["other"]
        assert pinned(environment.live.gateway) == (0, 0)
    assert checks(events) == [(2, 1, 2), (2, 0, 2), (1, 1, 1)]


async def test_used_documents_stay_ready_when_types_are_renewed(tmp_path: Path) -> None:
    texts = {f"d{i}": f"query D{i} {{ things(first: {i}) {{ totalCount }} }}" for i in range(1, 4)}
    manifest = write(tmp_path / "m.json", texts)
    async with served(Changing(csdl("Name")), manifest) as (app, events):
        environment: OpenEnvironment = app.state.environment
        ready = environment.documents
        assert ready is not None
        await until(lambda: bool(checks(events)))
        ready._store.usage.note(ready._store.release.documents[2])

        environment.live.replace(fresh_copy(environment.live.gateway))
        await until(lambda: pinned(environment.live.gateway) == (1, 1))

        assert "D3" in next(iter(environment.live.gateway.engine._documents._cache.pinned))
    assert len(checks(events)) == 1


async def test_checking_exceeds_no_budget_of_types(tmp_path: Path) -> None:
    sets = tuple(f"Set{n}s" for n in range(30))
    texts = {name: f"{{ {name[0].lower()}{name[1:]} {{ totalCount }} }}" for name in sets}
    manifest = write(tmp_path / "m.json", texts)
    async with served(Changing(csdl("Name", sets=sets)), manifest, max_types=40) as (
        app,
        events,
    ):
        environment: OpenEnvironment = app.state.environment
        await until(lambda: bool(checks(events)))

        ((documents, broken, ready),) = checks(events)
        assert (documents, broken) == (30, 0)
        assert 0 < ready < 30
        assert environment.live.generation == 1
        assert environment.live.gateway.schema.made_types <= 40


async def test_a_change_of_metadata_names_documents_that_it_breaks(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.json", {"list": LIST, "colours": COLOURS})
    service = Changing(csdl("Name", "Colour"))
    async with served(service, manifest) as (app, events):
        environment: OpenEnvironment = app.state.environment
        await until(lambda: bool(checks(events)))
        service.document = csdl("Name")
        await environment.reloader.reload("admin")
        status: DeploymentStatus = app.state.status
        await status.drift.idle()
        (change,) = status.source.drift("default", 60.0)["documents"]

    assert [broken["id"] for broken in change["broken_operations"]] == ["colours"]


async def test_each_environment_is_checked_by_its_own_metadata(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.json", {"list": LIST, "colours": COLOURS})
    services = {name: service(name) for name in ("home", "acme")}
    services["acme"].document = csdl("Name", "Colour")
    settings = settings_of("acme", documents={"manifest": str(manifest)}, data_dir=tmp_path)
    async with deployed(settings, services) as deployment:
        answers = [
            (await deployment.http.get(f"{path}/documents/colours")).json()
            for path in ("/graphql", "/e/acme/graphql")
        ]
        await until(lambda: len(checks(deployment.events)) == 2)
        broken = [e.environment for e in deployment.events if isinstance(e, DocumentBroken)]

    assert ["data" in answer for answer in answers] == [False, True]
    assert broken == [None]
    names = {e.environment for e in deployment.events if isinstance(e, DocumentsChecked)}
    assert names == {None, "acme"}


async def test_nothing_is_kept_ready_where_views_serve(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.json", {"list": LIST})
    values = {"roles": {"clerk": {"sets": {"*": {}}}}, "data_dir": tmp_path}
    async with served(Changing(csdl("Name")), manifest, **values) as (app, events):
        environment: OpenEnvironment = app.state.environment
        await until(lambda: bool(checks(events)))

        assert checks(events) == [(1, 0, 0)]
        assert pinned(environment.live.gateway) == (0, 0)


async def test_a_pinned_document_survives_all_others() -> None:
    cache: LRUCache[str, str] = LRUCache(2)
    cache.put("a", "first")
    cache.pin("a")
    cache.pin("absent")
    for name in "bcd":
        cache.put(name, name)

    assert (cache.get("a"), cache.get("b"), cache.get("d")) == ("first", None, "d")
