"""From settings to a gateway: sandbox, label texts, relations, companies, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Event, MetadataLoaded, SchemaBuilt
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import label_ids, read_model
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway
from schema.csdl.parse import parse_csdl
from schema.errors import CsdlSyntaxError, ExposureError, RelationError

pytestmark = pytest.mark.anyio
CSDL = Path(__file__).parents[3] / "csdl"


def settings(**values: object) -> Settings:
    return Settings.model_validate({"language": None, **values})


def quiet(_: Event) -> None: ...


async def answer(chosen: Settings, query: str) -> dict[str, Any]:
    async with open_gateway(chosen, observe=quiet) as gateway:
        return (await gateway.engine.execute(GraphQLRequest(query=query))).to_builtins()


async def test_without_a_url_the_sandbox_is_the_upstream() -> None:
    events: list[Event] = []

    async with open_gateway(settings(), observe=events.append) as gateway:
        assert gateway.is_sandbox
        assert gateway.dialect.name == "finops"
        answer = await gateway.engine.execute(
            GraphQLRequest(query="{ legalEntities { totalCount } }")
        )

    assert answer.errors == []
    assert {MetadataLoaded, SchemaBuilt} <= {type(event) for event in events}
    # The figures that serve prints: "types" are those of the printed SDL, which nobody counts at a start.
    (built,) = (event for event in events if isinstance(event, SchemaBuilt))
    assert (built.sets, built.root_fields) == (
        len(gateway.catalog.model.entity_sets),
        len(gateway.catalog.roots),
    )


async def test_relations_of_the_sandbox_can_be_redeclared() -> None:
    own = {
        "from_set": "CustomersV3",
        "fields": ["dataAreaId", "CustomerAccount"],
        "to_set": "SalesOrderHeadersV2",
        "to_fields": ["dataAreaId", "InvoiceCustomerAccountNumber"],
        "name": "SalesOrders",
        "many": True,
    }
    async with open_gateway(settings(relations=[own]), observe=quiet) as gateway:
        model = gateway.catalog.model
        customer = model.entity_types[model.entity_sets["CustomersV3"].type]

    names = [n.name for n in customer.navigations]
    assert names.count("SalesOrders") == 1
    assert "CustomerGroup" in names


async def test_a_restricted_sandbox_keeps_relations_within_it() -> None:
    async with open_gateway(settings(include=["Customer*"]), observe=quiet) as gateway:
        model = gateway.catalog.model

    assert "SalesOrderHeadersV2" not in model.entity_sets
    customer = model.entity_types[model.entity_sets["CustomersV3"].type]
    assert "CustomerGroup" in [n.name for n in customer.navigations]
    assert "SalesOrders" not in [n.name for n in customer.navigations]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"include": ["Nope*"]}, ExposureError, "Nope"),
        (
            {
                "relations": [
                    {"from_set": "Nope", "fields": ["A"], "to_set": "CustomersV3", "name": "X"}
                ]
            },
            RelationError,
            "no entity set Nope",
        ),
        ({"metadata": "/nowhere/at-all.xml"}, SettingsError, "/nowhere/at-all.xml"),
    ],
)
async def test_settings_that_contradict_the_metadata_stop_the_start(
    values: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await answer(settings(**values), "{ __typename }")


@pytest.mark.parametrize(
    ("language", "customer", "credit"),
    [
        ("en-US", "Customers V3. ", "Credit limit. "),
        ("de", "Debitoren V3. ", "Kreditlimit. "),
        ("fr", "", ""),
        (None, "", ""),
    ],
)
async def test_descriptions_begin_with_labels_in_the_configured_language(
    language: str | None, customer: str, credit: str
) -> None:
    query = '{ __type(name: "CustomerV3") { description fields { name description } } }'

    (body,) = (await answer(settings(language=language), query))["data"].values()

    assert body["description"] == f"{customer}CSDL: `CustomerV3` (set `CustomersV3`)."
    fields = {f["name"]: f["description"] for f in body["fields"]}
    assert fields["creditLimit"] == f"{credit}CSDL: `CreditLimit`."


async def test_a_metadata_file_has_no_label_service() -> None:
    """With metadata from a file nothing is asked but the data."""
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={"value": []})

    chosen = settings(
        url="https://fo.example/data",
        auth="none",
        metadata=str(CSDL / "annotations.xml"),
        language="en-US",
    )
    async with open_gateway(
        chosen, transport=httpx.MockTransport(respond), observe=quiet
    ) as gateway:
        assert not gateway.is_sandbox

    assert asked == []


def test_every_label_of_a_model_is_found_once() -> None:
    model = parse_csdl((CSDL / "annotations.xml").read_bytes(), name="annotations.xml")

    found = label_ids(model)

    assert found
    assert len(found) == len(set(found))
    assert all(label.startswith("@") for label in found)


async def test_the_settings_limits_reach_the_engine() -> None:
    chosen = settings(
        default_page_size=2, max_page_size=3, companies=["usmf"], max_depth=5, expand="never"
    )
    async with open_gateway(chosen, observe=quiet) as gateway:

        async def ask(query: str) -> dict[str, object]:
            return (await gateway.engine.execute(GraphQLRequest(query=query))).to_builtins()

        rows = await ask("{ customersV3 { nodes { dataAreaId } } }")
        assert rows == {"data": {"customersV3": {"nodes": [{"dataAreaId": "usmf"}] * 2}}}
        assert "PAGE_LIMIT_EXCEEDED" in str(await ask("{ customersV3(first: 4) { totalCount } }"))
        deep = (
            "{ customersV3 { nodes { salesOrders { nodes { salesOrderLines { totalCount } } } } } }"
        )
        assert "BUDGET_EXCEEDED" in str(await ask(deep))
        answer = await gateway.engine.execute(
            GraphQLRequest(
                query="{ salesOrderHeadersV2 { nodes { salesOrderLines { totalCount } } } }"
            )
        )
        assert not [r.url for r in answer.requests if "expand" in r.url]


def test_a_cut_off_document_names_its_line() -> None:
    text = (CSDL / "types.xml").read_bytes()
    document = MetadataDocument(text[: len(text) // 2], "digest", "half.xml")

    with pytest.raises(CsdlSyntaxError, match=r"half\.xml, line \d+"):
        read_model(settings(), document)
