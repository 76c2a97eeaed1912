"""Categories of entity sets: fetched once per metadata document, cached, never guessed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.errors import GatewayError, SettingsError, UpstreamMalformed
from gateway.events import CategoriesStale, Event
from gateway.metadata.categories import load_categories
from gateway.metadata.model_builder import LoadedModel
from gateway.odata import dialects
from gateway.runtime.assembly import open_client, read_profiles
from gateway.sandbox import create_sandbox
from tests.support.small_models import entity, model, prop

pytestmark = pytest.mark.anyio

ENVIRONMENT = "https://fo.example"
ROOT = f"{ENVIRONMENT}/data"
LIST = "https://fo.example/metadata/DataEntities"


def page(*rows: tuple[str | None, str | None], link: str | None = None) -> httpx.Response:
    value = [{"Name": "X", "PublicCollectionName": n, "EntityCategory": c} for n, c in rows]
    return httpx.Response(200, json={"value": value, **({"@odata.nextLink": link} if link else {})})


@dataclass
class Service:
    """A metadata service that gives its answers in order, the last one again and again."""

    answers: Sequence[httpx.Response]
    asked: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        given = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return httpx.Response(given.status_code, headers=given.headers, content=given.content)

    async def load(self, metadata: str = "one", cache_dir: Path | None = None) -> Any:
        settings = Settings.model_validate({"url": ROOT, "auth": "none", "retries": 0})
        transport = httpx.MockTransport(self)
        async with open_client(settings, transport=transport, observe=lambda _: None) as client:
            return await load_categories(
                client, ENVIRONMENT, metadata, cache_dir=cache_dir, observe=self.events.append
            )


async def test_every_page_of_the_list_is_read() -> None:
    service = Service(
        [
            page(("Customers", "Master"), (None, "Document"), link=f"{LIST}?$skip=2"),
            page(("Orders", "Document"), ("Notes", None)),
        ]
    )

    assert await service.load() == {"Customers": "Master", "Orders": "Document"}
    assert service.asked == [LIST, f"{LIST}?$skip=2"]


async def test_categories_are_cached_per_metadata_document(tmp_path: Path) -> None:
    service = Service([page(("A", "Master")), page(("A", "Document"))])

    body = [await service.load(m, tmp_path) for m in ("one", "one", "two", "two")]

    assert [found["A"] for found in body] == ["Master", "Master", "Document", "Document"]
    assert len(service.asked) == 2


async def test_stale_categories_are_used_if_the_service_is_away(
    tmp_path: Path,
) -> None:
    service = Service([page(("A", "Master")), httpx.Response(503)])
    await service.load("one", tmp_path)

    assert await service.load("two", tmp_path) == {"A": "Master"}
    assert [type(event) for event in service.events] == [CategoriesStale]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(403),
        httpx.Response(200, text="<html>Sign in</html>"),
        httpx.Response(200, json={"value": 5}),
        page(("A", "Master"), link="https://elsewhere.example/other/DataEntities?$skip=1"),
    ],
)
async def test_without_any_answer_it_is_an_error(answer: httpx.Response, tmp_path: Path) -> None:
    with pytest.raises(GatewayError):
        await Service([answer]).load("one", tmp_path)


async def test_an_endless_list_is_given_up() -> None:
    service = Service([page(("A", "Master"), link=f"{LIST}?$skiptoken={n}") for n in range(600)])

    with pytest.raises(UpstreamMalformed, match="500 pages"):
        await service.load()


async def test_the_sandbox_has_categories() -> None:
    transport = httpx.ASGITransport(create_sandbox())
    settings = Settings(language=None, cache_dir=None)
    async with open_client(settings, transport=transport, observe=lambda _: None) as client:
        loaded = await load_categories(
            client, dialects.SANDBOX.environment_root(client.root), "one"
        )

    assert loaded["CustomersV3"] == "Master"
    assert set(loaded.values()) >= {"Master", "Reference", "Transaction"}


@pytest.mark.parametrize(
    ("dialect", "categories", "raised"),
    [("odata", ["Master"], SettingsError), ("odata", [], None), ("finops", [], None)],
)
async def test_categories_are_fetched_only_if_a_profile_names_one(
    dialect: str, categories: list[str], raised: type[Exception] | None
) -> None:
    service = Service([httpx.Response(503)])
    profiles = json.dumps({"p": {"include": ["T*"], "categories": categories}})
    given = {"url": ROOT, "auth": "none", "dialect": dialect, "profiles": profiles}
    settings = Settings.model_validate(given)
    loaded = LoadedModel(model(entity("Thing", prop("Id")), sets={"Things": "Thing"}), None)
    transport = httpx.MockTransport(service)
    async with open_client(settings, transport=transport, observe=lambda _: None) as client:

        async def chosen() -> tuple[str, ...]:
            document = await read_profiles(settings, client, loaded, "one", lambda _: None)
            return document["p"].chosen

        if raised is None:
            assert await chosen() == ("Things",)
        else:
            with pytest.raises(raised, match=r"profiles\.p\.categories"):
                await chosen()

    assert service.asked == []
