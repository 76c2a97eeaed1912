"""Environments whose metadata documents differ by custom fields share all that is equal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from weakref import WeakValueDictionary

import pytest

from gateway.events.environments import EnvironmentClosed
from gateway.metadata import shared_catalogs
from schema.catalog import Catalog
from schema.model.sharing import SharedRecords
from tests.support.changing_metadata import csdl
from tests.support.environments import Deployment, deployed, mark_of, path_of, service, settings_of

pytestmark = pytest.mark.anyio
SETS = ("Things", "Parts", *(f"Set{number}s" for number in range(20)))
PLAIN = csdl("Name", sets=SETS)
PROPERTY = '<Property Name="Name"'


@pytest.fixture(autouse=True)
def nothing_is_shared_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments of other tests that are not collected yet would be the first of their kind."""
    for name in ("_BASES", "_FIRST"):
        monkeypatch.setattr(shared_catalogs, name, WeakValueDictionary())


def with_field(name: str) -> str:
    """Return the document with one more field in the first entity type."""
    return PLAIN.replace(PROPERTY, f'<Property Name="{name}" Type="Edm.String"/>{PROPERTY}', 1)


async def catalog_of(deployment: Deployment, name: str) -> Catalog:
    environments = deployment.app.state.environments
    lease = await environments.lease(environments.registry.find(name))
    lease.release()
    return lease.environment.live.gateway.catalog


async def test_names_and_records_are_there_once(tmp_path: Path) -> None:
    services = {name: service(name) for name in ("home", "acme", "initech")}
    services["acme"].document = with_field("AcmeTier")
    services["initech"].document = with_field("InitechTier")
    settings = settings_of("acme", "initech", cache_dir=tmp_path)
    async with deployed(settings, services) as deployment:
        own = [
            await deployment.data(f"{{ things {{ nodes {{ {field} }} }} }}", path_of(name))
            for name, field in (("acme", "acmeTier"), ("initech", "initechTier"))
        ]
        foreign = await deployment.post("{ things { nodes { acmeTier } } }", path_of("initech"))
        first = await catalog_of(deployment, "acme")
        second = await catalog_of(deployment, "initech")

        assert all(data["things"]["nodes"] for data in own)
        assert "errors" in foreign.json()
        assert first.known_names() is second.known_names()
        types = second.model.entity_types
        assert isinstance(types, SharedRecords)
        assert types.changed == 1


async def test_what_is_shared_outlives_its_first_environment(tmp_path: Path) -> None:
    services = {name: service(name) for name in ("home", "acme", "initech")}
    services["acme"].document = with_field("AcmeTier")
    services["initech"].document = with_field("InitechTier")
    settings = settings_of("acme", "initech", cache_dir=tmp_path, environment_idle=0.01)
    async with deployed(settings, services) as deployment:
        query = "{ things { nodes { id name } } parts { nodes { name } } }"
        for name in ("acme", "initech") * 3:
            answer = await deployment.post(query, path_of(name))
            assert "errors" not in answer.json()
            assert mark_of(name) in answer.text
            await asyncio.sleep(0.02)
        assert len(deployment.said(EnvironmentClosed)) > 1
