"""A service whose one set tells when its rows were changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from gateway.config.settings import Settings
from gateway.events import Observer
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.sandbox import SandboxSettings, create_sandbox

CSDL = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Microsoft.Dynamics.DataEntities" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Guide"><Key><PropertyRef Name="GuideId"/></Key>
    <Property Name="GuideId" Type="Edm.String" Nullable="false"/>
    <Property Name="Title" Type="Edm.String"/>
    <Property Name="SysModifiedDateTime" Type="Edm.DateTimeOffset" Nullable="false"/>
  </EntityType>
  <EntityContainer Name="Resources"><EntitySet Name="Guides"
    EntityType="Microsoft.Dynamics.DataEntities.Guide"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


@asynccontextmanager
async def guides(folder: Path, observe: Observer) -> AsyncIterator[Gateway]:
    """Return a gateway over it."""
    path = folder / "guides.xml"
    path.write_text(CSDL, "utf-8")
    transport = httpx.ASGITransport(create_sandbox(SandboxSettings(metadata=path)))
    settings = Settings(cache_dir=None, language="none", dialect="finops", metadata=str(path))
    async with open_gateway(settings, transport=transport, observe=observe) as gateway:
        yield gateway
