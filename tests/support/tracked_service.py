"""A service that tracks the changes of its one set: delta links, deleted rows, tokens that expire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

from gateway.config.settings import Settings
from gateway.runtime.assembly import Gateway, open_gateway
from tests.support.memory_odata import ROOT, Row, Tables

CSDL = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Note"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.String" Nullable="false"/>
    <Property Name="Topic" Type="Edm.String"/>
    <Property Name="Text" Type="Edm.String"/>
  </EntityType>
  <EntityContainer Name="C"><EntitySet Name="Notes" EntityType="N.Note">
    <Annotation Term="Org.OData.Capabilities.V1.ChangeTracking"><Record>
      <PropertyValue Property="Supported" Bool="true"/>
      <PropertyValue Property="FilterableProperties"><Collection>
        <PropertyPath>Topic</PropertyPath></Collection></PropertyValue>
    </Record></Annotation></EntitySet></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


def note(name: str, topic: str = "a", text: str = "") -> Row:
    return {"Id": name, "Topic": topic, "Text": text}


@dataclass
class TrackedService:
    """The service."""

    rows: list[Row] = field(default_factory=list)
    form: str = "4.0"
    """Of deleted rows: 4.0, 4.01, or key for 4.01 with the values of the key."""
    limits_pages: bool = True
    """Whether it heeds the preferred size of a page."""
    expired: int = -1
    """The last version whose tokens are no longer known."""
    link: str | None = None
    """What is sent in the place of the delta link; empty: nothing."""
    requests: list[str] = field(default_factory=list)
    """Those that are about changes."""
    _changed: dict[str, int] = field(default_factory=dict)
    """Id → the version of its last change."""
    _version: int = 0

    def write(self, row: Row) -> None:
        """Create or update a row."""
        self.remove(row["Id"])
        self.rows.append(row)

    def remove(self, name: str) -> None:
        """Delete a row, if it exists."""
        self._version += 1
        self._changed[name] = self._version
        self.rows = [row for row in self.rows if row["Id"] != name]

    def answer(self, request: httpx.Request) -> httpx.Response:
        options = dict(parse_qsl(request.url.query.decode()))
        prefer = request.headers.get("prefer", "")
        is_tracked = "track-changes" in prefer or options.keys() & {"since", "begun"}
        if not is_tracked:
            return Tables({"Notes": self.rows}, {"Notes": ("Id",)}).answer(request)
        self.requests.append(str(request.url).removeprefix(f"{ROOT}/"))
        size = int(prefer.rpartition("maxpagesize=")[2]) if self.limits_pages else 1_000
        if "since" in options:
            if int(options["since"]) <= self.expired:
                return httpx.Response(410, json={"error": {"code": "Gone", "message": "gone"}})
            return self._page(self._delta(options), options, size, self._version)
        begun = int(options.get("begun", self._version))
        return self._page(self._matching(options), options, size, begun)

    def _matching(self, options: dict[str, str]) -> list[Row]:
        topic = options.get("$filter", "").removeprefix("Topic eq '").removesuffix("'")
        return [dict(row) for row in self.rows if row["Topic"] == topic or not topic]

    def _delta(self, options: dict[str, str]) -> list[Row]:
        matching = {row["Id"]: row for row in self._matching(options)}
        existing = {row["Id"] for row in self.rows}
        since = int(options["since"])
        return [
            matching.get(name) or self._gone(name, "changed" if name in existing else "deleted")
            for name, version in self._changed.items()
            if version > since
        ]

    def _gone(self, name: str, reason: str) -> Row:
        address = f"{ROOT}/Notes('{name}')"
        match self.form:
            case "4.0":
                context = f"{ROOT}/$metadata#Notes/$deletedEntity"
                return {"@odata.context": context, "id": address, "reason": reason, "Id": name}
            case "4.01":
                return {"@removed": {"reason": reason}, "@id": f"Notes('{name}')", "Id": name}
            case _:
                return {"@removed": {"reason": reason}, "Id": name}

    def _page(
        self, found: list[Row], options: dict[str, str], size: int, version: int
    ) -> httpx.Response:
        after = options.get("after", "")
        left = sorted((row for row in found if row["Id"] > after), key=lambda row: row["Id"])
        page, rest = left[:size], left[size:]
        kept = {name: value for name, value in options.items() if name == "$filter"}
        body: Row = {}
        if rest:
            kept |= {"after": page[-1]["Id"], "begun": str(version)}
            if "since" in options:
                kept["since"] = options["since"]
            body["@odata.nextLink"] = f"{ROOT}/Notes?{urlencode(kept)}"
        elif self.link != "":
            kept["since"] = str(int(options.get("begun", version)))
            body["@odata.deltaLink"] = self.link or f"{ROOT}/Notes?{urlencode(kept)}"
        for row in page:
            if row.keys() & {"@removed", "reason"} and self.form != "key":
                del row["Id"]
        return httpx.Response(200, json={**body, "value": page})


@asynccontextmanager
async def over(service: TrackedService, folder: Path, **settings: Any) -> AsyncIterator[Gateway]:
    """Yield a gateway over the service."""
    path = folder / "notes.xml"
    path.write_text(CSDL, "utf-8")
    values = {"cache_dir": None, "language": "none", "dialect": "odata", "metadata": str(path)}
    of = Settings.model_validate({**values, "url": ROOT, "auth": "none", **settings})
    async with open_gateway(of, transport=httpx.MockTransport(service.answer)) as gateway:
        yield gateway
