"""A further product is one record: reads, writes, labels, categories and errors follow it, no other module does.

The record exists in this test only. Its flags differ from those of Finance & Operations and of the specification
wherever a request or an answer can show it.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.odata import dialects
from gateway.odata.dialect import ODATA
from gateway.odata.error_details import MISSING_FIELD, ErrorDetails, Problem
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from schema.model.relations import Relation

pytestmark = pytest.mark.anyio

HOST = "https://shop.acme.example"
ACME = replace(
    ODATA,
    name="acme",
    title="Acme ERP",
    namespaces=frozenset({"Acme.Erp"}),
    hosts=re.compile(r".+\.acme\.example"),
    environment_kinds=((re.compile(r"shop\..+"), "production"),),
    service_suffix="/odata/v2",
    has_in=True,
    company_property="Division",
    company_option=("all-divisions", "yes"),
    prefers_representation=False,
    update_may_create=False,
    has_label_service=True,
    has_entity_categories=True,
    relations=(
        Relation(from_set="Widgets", fields=("Division", "Maker"), to_set="Makers", name="MadeBy"),
    ),
    errors=ErrorDetails(
        problems=lambda envelope: (Problem(MISSING_FIELD, envelope.message, envelope.code),),
        is_refusal=lambda envelope: envelope.inner_type == "AcmeRule",
        forbidden_hint="Acme ERP: does the application have the role Reader?",
    ),
)
METADATA = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Acme.Erp" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Widget"><Key><PropertyRef Name="Division"/><PropertyRef Name="Code"/></Key>
<Property Name="Division" Type="Edm.String" Nullable="false"/>
<Property Name="Code" Type="Edm.String" Nullable="false"/>
<Property Name="Maker" Type="Edm.String">
<Annotation Term="Microsoft.Dynamics.OData.Core.V1.LabelId" String="@MAKER"/></Property>
</EntityType>
<EntityType Name="Maker"><Key><PropertyRef Name="Division"/><PropertyRef Name="Number"/></Key>
<Property Name="Division" Type="Edm.String" Nullable="false"/>
<Property Name="Number" Type="Edm.String" Nullable="false"/>
</EntityType>
<EntityContainer Name="Container"><EntitySet Name="Widgets" EntityType="Acme.Erp.Widget"/>
<EntitySet Name="Makers" EntityType="Acme.Erp.Maker"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""
WIDGET = {"Division": "D1", "Code": "W1", "Maker": "M1"}
MAKER = {"@odata.context": "x", "Division": "D1", "Number": "M1"}
WRITES = {"read_only": False, "writes": {"create": ["*"], "update": ["*"]}}


def rows(*values: dict[str, str]) -> httpx.Response:
    return httpx.Response(200, json={"@odata.context": "x", "value": list(values)})


@dataclass
class Acme:
    """The service: answers by path, and remembers what was requested."""

    answers: dict[str, httpx.Response] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        target = unquote(request.url.raw_path.decode())
        self.requests.append(f"{request.method} {target}")
        known = {
            "/odata/v2/$metadata": httpx.Response(
                200, text=METADATA, headers={"Content-Type": "application/xml"}
            ),
            "/odata/v2/Widgets": rows(WIDGET),
            "/odata/v2/Makers(Division='D1',Number='M1')": httpx.Response(200, json=MAKER),
            "/metadata/Labels": rows({"Id": "@MAKER", "Value": "Made by"}),
            "/metadata/DataEntities": rows(
                {"PublicCollectionName": "Widgets", "EntityCategory": "Master"}
            ),
            **self.answers,
        }
        found = known.get(target.partition("?")[0], httpx.Response(404))
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    @asynccontextmanager
    async def gateway(self, **settings: object) -> AsyncIterator[Gateway]:
        values = {"url": f"{HOST}/odata/v2", "auth": "none", "retries": 0, **settings}
        transport = httpx.MockTransport(self.answer)
        async with open_gateway(
            Settings.model_validate(values), transport=transport, observe=lambda _: None
        ) as opened:
            self.requests.clear()
            yield opened


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialects, "DIALECTS", (ACME, *dialects.DIALECTS))


async def ask(gateway: Gateway, query: str) -> Any:
    return (await gateway.engine.execute(GraphQLRequest(query=query))).to_builtins()


async def test_its_rows_are_read_by_its_rules() -> None:
    acme = Acme()

    async with acme.gateway(language=None) as gateway:
        answer = await ask(
            gateway,
            '{ widgets(where: {code: {in: ["W1", "W2"]}}) { nodes { code madeBy { number } } } }',
        )

    assert answer == {"data": {"widgets": {"nodes": [{"code": "W1", "madeBy": {"number": "M1"}}]}}}
    widgets, maker = acme.requests
    assert "$filter=Code in ('W1','W2')" in widgets
    assert widgets.endswith("&all-divisions=yes")
    assert maker.startswith("GET /odata/v2/Makers(Division='D1',Number='M1')?")


async def test_its_rows_are_written_by_its_rules() -> None:
    created = httpx.Response(201, json={"@odata.context": "x", **WIDGET})
    acme = Acme({"/odata/v2/Widgets": created})

    async with acme.gateway(language=None, **WRITES) as gateway:
        answer = await ask(
            gateway,
            'mutation { createWidget(input: {division: "D1", code: "W1"})'
            " { widget { code } userErrors { code } } }",
        )

    assert answer["data"]["createWidget"] == {"widget": {"code": "W1"}, "userErrors": []}
    assert [r for r in acme.requests if r.startswith("POST")] == [
        "POST /odata/v2/Widgets?all-divisions=yes"
    ]


async def test_its_refusals_are_read_by_its_error_reader() -> None:
    error = {"code": "Maker", "message": "Who made it?", "innererror": {"type": "AcmeRule"}}
    acme = Acme({"/odata/v2/Widgets": httpx.Response(500, json={"error": error})})

    async with acme.gateway(language=None, **WRITES) as gateway:
        written = await ask(
            gateway,
            'mutation { createWidget(input: {division: "D1", code: "W1", maker: ""})'
            " { userErrors { code message field } } }",
        )
        read = await ask(gateway, "{ widgets { nodes { code } } }")

    assert written["data"]["createWidget"]["userErrors"] == [
        {"code": "MISSING_FIELD", "message": "Who made it?", "field": "maker"}
    ]
    assert [e["extensions"]["code"] for e in read["errors"]] == ["UPSTREAM_REJECTED"]


async def test_403_says_what_its_administrator_must_check() -> None:
    acme = Acme({"/odata/v2/Widgets": httpx.Response(403)})

    async with acme.gateway(language=None) as gateway:
        answer = await ask(gateway, "{ widgets { nodes { code } } }")

    (error,) = answer["errors"]
    assert error["extensions"]["hint"] == ACME.errors.forbidden_hint


async def test_its_labels_are_beside_its_service_root() -> None:
    async with Acme().gateway(language="en-US") as gateway:
        answer = await ask(gateway, '{ __type(name: "Widget") { fields { name description } } }')

    described = {f["name"]: f["description"] for f in answer["data"]["__type"]["fields"]}
    assert "Made by" in described["maker"]


async def test_its_categories_choose_the_sets_of_a_profile() -> None:
    profiles = json.loads('{"master": {"categories": ["Master"]}}')

    async with Acme().gateway(language=None, profiles=profiles) as gateway:
        chosen = gateway.profiles["master"].chosen

    assert chosen == ("Widgets",)


async def test_its_rows_belong_to_companies() -> None:
    acme = Acme()

    async with acme.gateway(language=None, company_limit=["D1"]) as gateway:
        await ask(gateway, "{ widgets { nodes { code } } }")

    assert "Division eq 'D1'" in acme.requests[0]


def test_its_hosts_show_what_an_environment_is_for() -> None:
    assert dialects.environment_kind("shop.acme.example") == "production"
