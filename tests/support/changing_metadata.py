"""A service whose metadata document can be set while it is asked, by ASGI's or httpx's means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx

from gateway.config.settings import Settings
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import LoadedModel, make_model
from gateway.storage.document_cache import digest_of

ROWS = {"value": [{"Id": "1", "Name": "one"}]}


def csdl(*properties: str, sets: tuple[str, ...] = ("Things",)) -> str:
    """Return a document with an entity type of these text properties beside its key, for each of the sets."""
    texts = "".join(f'<Property Name="{name}" Type="Edm.String"/>' for name in properties)
    types = "".join(
        f'<EntityType Name="{name[:-1]}"><Key><PropertyRef Name="Id"/></Key>'
        f'<Property Name="Id" Type="Edm.String" Nullable="false"/>{texts}</EntityType>'
        for name in sets
    )
    served = "".join(f'<EntitySet Name="{name}" EntityType="N.{name[:-1]}"/>' for name in sets)
    return (
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
        '<edmx:DataServices><Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="N">'
        f'{types}<EntityContainer Name="C">{served}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )


async def build_here(settings: Settings, document: MetadataDocument) -> LoadedModel:
    """Return a model made in this process, for tests of something else: a process takes a second."""
    return make_model(settings, document)


@dataclass
class Changing:
    """Answers ``$metadata`` with ``document`` and everything else with ``ROWS``."""

    document: str
    etag: bool = True
    """Whether the service tells an ETag, and 304 to who knows it."""
    fault: httpx.Response | None = None
    """Answers ``$metadata`` in its place."""
    gate: asyncio.Event | None = None
    """Answers to all but ``$metadata`` wait for it."""
    waiting: int = 0
    """How many answers have come to the gate."""
    asked: list[int] = field(default_factory=list)
    """Status of each answer to ``$metadata``."""

    @property
    def digest(self) -> str:
        return digest_of(self.document.encode())

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api/services/"):
            return httpx.Response(404)  # it has no custom services
        if not request.url.path.endswith("/$metadata"):
            if self.gate is not None:
                self.waiting += 1
                await self.gate.wait()
            return httpx.Response(200, json=ROWS)
        response = self.fault or self._metadata(request.headers.get("if-none-match"))
        self.asked.append(response.status_code)
        return httpx.Response(
            response.status_code, headers=response.headers, content=response.content
        )

    def _metadata(self, known: str | None) -> httpx.Response:
        etag = f'"{self.digest}"'
        if self.etag and known == etag:
            return httpx.Response(304, headers={"etag": etag})
        headers = {"content-type": "application/xml", **({"etag": etag} if self.etag else {})}
        return httpx.Response(200, headers=headers, text=self.document)
