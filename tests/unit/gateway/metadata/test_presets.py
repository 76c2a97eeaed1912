"""Presets of Finance & Operations: relations, and the posting service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from msgspec import structs

from gateway.config.settings import Settings
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import make_catalog, read_model
from gateway.odata.finops import FINOPS
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.sandbox.catalogue import built_in
from schema.model.records import Model
from schema.model.relations import preset
from tests.support.metadata_documents import REAL_CATALOGUE, catalogues, content_of
from tests.support.pages import blocks
from tests.support.soak import bounded

pytestmark = pytest.mark.anyio
ROOT = "https://sandbox.example/data"
FIRST_QUERY = blocks("graphql", of="querying")[0].text
FIRST_MUTATION = blocks("graphql", of="writing")[0].text


@asynccontextmanager
async def reached_by_url(
    transport: httpx.AsyncBaseTransport | None = None, **values: Any
) -> AsyncIterator[Gateway]:
    """A gateway that knows the sandbox by its address only."""
    settings = Settings(url=ROOT, auth="none", language=None, cache_dir=None, **values)
    reach = transport or httpx.ASGITransport(create_sandbox(SandboxSettings()))
    async with open_gateway(settings, transport=reach, observe=lambda _: None) as gateway:
        yield gateway


async def ask(gateway: Gateway, query: str, **variables: Any) -> dict[str, Any]:
    request = GraphQLRequest(query=query, variables=variables)
    return (await gateway.engine.execute(request)).to_builtins()


def declared(model: Model) -> set[tuple[str, str]]:
    """The navigations that settings and presets made, by set."""
    return {
        (name, navigation.name)
        for name, entity_set in model.entity_sets.items()
        for navigation in model.navigations_of(entity_set.type)
        if navigation.declared
    }


async def test_a_remote_sandbox_answers_the_first_query_of_the_readme() -> None:
    async with reached_by_url() as gateway:
        answer = await ask(gateway, FIRST_QUERY)

    assert "errors" not in answer
    assert answer["data"]["customersV3"]["nodes"][0]["salesOrders"]["nodes"]


async def test_a_remote_sandbox_posts_a_journal() -> None:
    async with reached_by_url(companies=["usmf"]) as gateway:
        answer = await ask(gateway, FIRST_MUTATION)

    assert "errors" not in answer
    assert answer["data"]["posted"] == {"isPosted": "Yes", "userErrors": []}


class Changed(httpx.AsyncBaseTransport):
    """The sandbox, with other answers about services."""

    def __init__(self, answer: Callable[[], httpx.Response]) -> None:
        self._sandbox = httpx.ASGITransport(create_sandbox(SandboxSettings()))
        self._answer = answer
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api/services"):
            self.asked.append(f"{request.method} {request.url.path}")
            return self._answer()
        return await self._sandbox.handle_async_request(request)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(404),
        lambda: httpx.Response(403, text="no"),
        lambda: httpx.Response(200, text="<html>Sign in</html>"),
        lambda: httpx.Response(200, json={"Parameters": [{"Name": "_other"}]}),
        lambda: httpx.Response(200, json={"ServiceGroups": []}),
    ],
    ids=["not there", "forbidden", "a web page", "other parameters", "a list of groups"],
)
async def test_an_undescribed_service_is_not_offered(
    answer: Callable[[], httpx.Response],
) -> None:
    transport = Changed(answer)

    async with reached_by_url(transport) as gateway:
        body = await ask(gateway, '{ __type(name: "Mutation") { fields { name } } }')

    names = {field["name"] for field in body["data"]["__type"]["fields"]}
    assert "createCustomerV3" in names
    assert "postLedgerJournal" not in names

    assert transport.asked == [f"GET /api/services/{FINOPS.services[0].path}"]


async def test_read_only_gateways_request_no_descriptions() -> None:
    transport = Changed(lambda: httpx.Response(404))

    async with reached_by_url(transport, read_only=True):
        pass

    assert transport.asked == []


def model_with(**values: Any) -> Model:
    settings = Settings(**values)
    return read_model(settings, MetadataDocument(_SANDBOX, "digest", "sandbox"))


_SANDBOX = create_sandbox(SandboxSettings()).state.world.document


def test_presets_can_be_turned_off() -> None:
    assert declared(model_with(relation_presets=False)) == set()


def test_presets_need_the_entity_sets_of_the_product() -> None:
    assert declared(model_with(dialect="odata")) == set()


def test_every_preset_fits_the_sandbox_or_is_out_of_its_reach() -> None:
    """A misspelt field would be passed over in silence."""
    model = built_in().model
    bare = {n: structs.replace(t, navigations=()) for n, t in model.entity_types.items()}
    related = preset(replace(model, entity_types=bare), FINOPS.relations)

    for relation in FINOPS.relations:
        if {relation.from_set, relation.to_set} <= model.entity_sets.keys():
            names = {
                n.name for n in related.navigations_of(model.entity_sets[relation.from_set].type)
            }
            assert relation.name in names, relation


def test_presets_make_no_new_name_clash() -> None:
    def findings(**values: Any) -> set[object]:
        settings = Settings(**values)
        return set(make_catalog(settings, model_with(**values), FINOPS, {}).findings)

    assert findings() == findings(relation_presets=False)


@pytest.mark.heavy
@pytest.mark.parametrize("name", catalogues(*bounded((), (REAL_CATALOGUE,))))
def test_presets_fit_the_full_catalogue_without_clashes(name: str) -> None:
    settings = Settings()
    document = MetadataDocument(content_of(name), "digest", name)
    without = read_model(settings.model_copy(update={"relation_presets": False}), document)
    related = preset(without, FINOPS.relations)

    assert len(declared(related)) >= len(FINOPS.relations) / 2
    for type_name in {without.entity_sets[entity_set].type for entity_set, _ in declared(related)}:
        names = [n.name for n in related.navigations_of(type_name)]
        names += [p.name for p in related.properties_of(type_name)]
        assert len(names) == len(set(names)), type_name
    loaded = set(make_catalog(settings, without, FINOPS, {}).findings)
    assert set(make_catalog(settings, related, FINOPS, {}).findings) - loaded == set()
