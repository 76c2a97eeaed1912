"""A refusal that names a field by its label is attributed to the field."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.types.build import build_schema
from schema.writes import Writes
from tests.support.scripted_upstream import Upstream
from tests.support.zoo_model import DIALECTS, model

pytestmark = pytest.mark.anyio

TEXTS = {"@Text": "Vendor group id", "@Small": "Shared", "@Big": "Shared", "@Amount": "Number"}
CREATE = """mutation { createOrder(input: {area: "A", orderId: 1, small: 5}) {
  userErrors { code field path } } }"""
ROWS: dict[str, tuple[str, str | None]] = {
    "a label": ("Field 'Vendor group id' must be filled in", "text"),
    "a label in another case": ("Field 'Vendor Group Id' must be filled in", "text"),
    "a label of two, one is written": ("The value '5' in field 'Shared' is not found in the related table", "small"),
    "a label that is another's name": ("Field 'Number' must be filled in", "amount"),
    "the words of a name": ("Field 'Order id' must be filled in", "orderId"),
    "no label of this type": ("Field 'Colour of the sky' must be filled in", None),
    "no field": ("The period is closed", None),
}  # fmt: skip


@cache
def schema() -> Any:
    plain = model()
    order = plain.entity_types["Zoo.Order"]
    labelled = tuple(
        replace(p, label=f"@{p.name}") if f"@{p.name}" in TEXTS else p for p in order.properties
    )
    types = {**plain.entity_types, "Zoo.Order": replace(order, properties=labelled)}
    plain = dataclasses.replace(plain, entity_types=types)
    catalog = Catalog(plain, abilities_of(DIALECTS["finops"]), labels=TEXTS)
    return build_schema(catalog, LoadedResolvers(catalog), writes=Writes(catalog))


@pytest.mark.parametrize("name", ROWS)
async def test_a_label_names_the_field(name: str) -> None:
    message, field = ROWS[name]
    text = f"Write failed for table row of type 'OrderEntity'. Infolog: Warning: {message}."
    error = {"code": "", "message": "An error has occurred.", "innererror": {"message": text}}
    client = Upstream([httpx.Response(400, json={"error": error})]).client()
    engine = Engine(schema(), client, DIALECTS["finops"], ExecutionSettings(), print)

    result = (await engine.execute(GraphQLRequest(query=CREATE))).to_builtins()

    (errors,) = result["data"]["createOrder"]["userErrors"]
    assert errors["field"] == field
    assert errors["path"] == (["input"] if field is None else ["input", field])
