"""Reads of payloads among the requests of a mutation."""

from __future__ import annotations

import pytest

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.types.build import build_schema
from schema.writes import Writes
from tests.support.faulty_writes import Recorder
from tests.support.observers import raise_bugs
from tests.support.zoo_model import DIALECTS, model

pytestmark = pytest.mark.anyio

UPDATE = (
    'mutation { updateOrder(key: {area: "A", orderId: 1}, patch: {text: "a"}) { order { text } } }'
)


@pytest.mark.parametrize("max_url_length", [2_000, 10], ids=["by itself", "in a $batch"])
async def test_reads_of_payloads_count_as_requests(max_url_length: int) -> None:
    catalog = Catalog(model(), abilities_of(DIALECTS["finops"]))
    schema = build_schema(catalog, LoadedResolvers(catalog), writes=Writes(catalog))
    settings = ExecutionSettings(max_url_length=max_url_length)
    engine = Engine(schema, Recorder(), DIALECTS["finops"], settings, raise_bugs)

    answer = await engine.execute(GraphQLRequest(query=UPDATE))

    read = "$batch" if max_url_length == 10 else "Orders(Area='A',OrderId=1)"
    assert [request.url.partition("?")[0] for request in answer.requests] == [
        "Orders(Area='A',OrderId=1)",
        read,
    ]
