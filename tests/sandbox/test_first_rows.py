"""What a newcomer sees first: ordinary rows. Hostile rows are opt-in."""

from __future__ import annotations

import re

import httpx
import pytest

from gateway.config.setting_models import SandboxOptions
from gateway.runtime.assembly import sandbox_transport
from gateway.sandbox.seed_names import AWKWARD

pytestmark = pytest.mark.anyio
SETS = {
    "CustomersV3": ("CustomerAccount", "OrganizationName"),
    "VendorsV2": ("VendorAccountNumber", "VendorOrganizationName"),
    "VendorsV3": ("VendorAccountNumber", "VendorOrganizationName"),
    "ProductsV2": ("ProductNumber", "ProductName"),
    "ReleasedProductsV2": ("ItemNumber", "SearchName"),
    "SalesOrderHeadersV2": ("SalesOrderNumber", "SalesOrderName"),
    "PurchaseOrderHeadersV2": ("PurchaseOrderNumber", "PurchaseOrderName"),
}
ORDINARY = re.compile(r"[A-Z]{0,3}-?\d+")


async def ask(hostile_rows: bool | None, entity_set: str) -> list[tuple[str, str]]:
    options = (
        SandboxOptions() if hostile_rows is None else SandboxOptions(hostile_rows=hostile_rows)
    )
    transport = sandbox_transport(options)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        answer = await client.get(f"/data/{entity_set}", params={"cross-company": "true"})
    return [tuple(row[name] for name in SETS[entity_set]) for row in answer.json()["value"]]


@pytest.mark.parametrize("entity_set", SETS)
async def test_by_default_no_row_is_hostile(entity_set: str) -> None:
    rows = await ask(None, entity_set)

    assert rows
    assert [code for code, _ in rows if not ORDINARY.fullmatch(code)] == []
    assert {name.split(" item")[0] for _, name in rows}.isdisjoint(name for _, name in AWKWARD)


async def test_hostile_rows_are_there_when_asked_for() -> None:
    names = {name for _, name in await ask(True, "CustomersV3")}

    assert names >= {name for _, name in AWKWARD}
