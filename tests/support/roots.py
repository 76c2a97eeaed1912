"""A small service with singletons, functions of every type of value, and relations without columns."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
import msgspec

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA, Dialect
from gateway.odata.finops import FINOPS
from gateway.planning.limits import PlanLimits
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.model.records import (
    ComplexType,
    EntitySet,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Navigation,
    Operation,
    OperationImport,
    OperationKind,
    Parameter,
    Singleton,
    TypeRef,
)
from schema.policy import Role
from schema.types.build import build_schema
from tests.support.observers import raise_bugs
from tests.support.roles import rules_of
from tests.support.zoo_model import client_over, on, prop

FO = replace(FINOPS, company_property=None)
JSON = {"Content-Type": "application/json"}
encode = msgspec.json.Encoder(decimal_format="number").encode


def function(
    name: str, returns: TypeRef, *parameters: Parameter, bound_to: TypeRef | None = None
) -> Operation:
    return Operation(
        name=f"R.{name}",
        kind=OperationKind.FUNCTION,
        bound_to=bound_to,
        parameters=parameters,
        returns=returns,
    )


MONTHS = Parameter(name="Months", type=TypeRef("Edm.Int32"), nullable=False)
SINCE = Parameter(name="Since", type=TypeRef("Edm.Date"))
FUNCTIONS = (
    function("Total", TypeRef("Edm.Decimal"), MONTHS, SINCE),
    function("Names", TypeRef("Edm.String", many=True)),
    function("Moods", TypeRef("R.Mood", many=True)),
    function("Ratio", TypeRef("Edm.Double")),
    function("Share", TypeRef("Edm.Single")),
    function("Ratios", TypeRef("Edm.Double", many=True)),
    function("Rights", TypeRef("R.Right", many=True)),
    function("Right", TypeRef("R.Right")),
    function("Outline", TypeRef("Edm.GeographyPoint")),
    function(
        "Rank",
        TypeRef("Edm.Int32"),
        *(
            Parameter(name=f"P{edm}", type=TypeRef(f"Edm.{edm}", many=True))
            for edm in ("String", "Int32", "Int64", "Decimal", "Double", "Date", "Guid", "Boolean")
        ),
        Parameter(name="Moods", type=TypeRef("R.Mood", many=True)),
        Parameter(name="Rights", type=TypeRef("R.Right", many=True)),
        Parameter(name="Right", type=TypeRef("R.Right")),
    ),
    function("Best", TypeRef("R.Shop")),
    function("Near", TypeRef("R.Shop", many=True), MONTHS),
    function("Where", TypeRef("R.Place")),
)
BOUND = function("Takings", TypeRef("Edm.Int64"), MONTHS, bound_to=TypeRef("R.Shop"))


def model() -> Model:
    shop = EntityType(
        name="R.Shop",
        key=("Code",),
        properties=(
            prop("Code", "Edm.String", nullable=False),
            prop("Name", "Edm.String"),
            prop("Mood", "R.Mood"),
        ),
        navigations=(
            Navigation(name="Owner", target="R.Person"),
            Navigation(name="Shelves", target="R.Shelf", many=True, contains_target=True),
            Navigation(name="Guests", target="R.Person", many=True),
            Navigation(name="Parent", target="R.Shop", on=on(("Name", "Code"))),
        ),
    )
    person = EntityType(
        name="R.Person",
        key=("Id",),
        properties=(prop("Id", "Edm.Int32", nullable=False), prop("Name", "Edm.String")),
        navigations=(Navigation(name="Shop", target="R.Shop"),),
    )
    shelf = EntityType(
        name="R.Shelf",
        key=("No",),
        properties=(prop("No", "Edm.Int32", nullable=False), prop("Label", "Edm.String")),
    )
    bare = EntityType(
        name="R.Bare",
        properties=(prop("Text", "Edm.String"),),
        navigations=(Navigation(name="Shop", target="R.Shop"),),
    )
    return Model(
        namespace="R",
        entity_types={t.name: t for t in (shop, person, shelf, bare)},
        entity_sets={
            "Shops": EntitySet(
                name="Shops", type="R.Shop", bindings={"Owner": "People", "Parent": "Shops"}
            ),
            "People": EntitySet(name="People", type="R.Person"),
            "Bares": EntitySet(name="Bares", type="R.Bare"),
        },
        singletons={"Me": Singleton(name="Me", type="R.Person")},
        complex_types={
            "R.Place": ComplexType(
                name="R.Place", properties=(prop("City", "Edm.String", nullable=False),)
            )
        },
        enum_types={
            "R.Mood": EnumType(
                name="R.Mood",
                members=(EnumMember(name="Good", value=0), EnumMember(name="Bad", value=1)),
            ),
            "R.Right": EnumType(
                name="R.Right",
                flags=True,
                members=(EnumMember(name="Read", value=1), EnumMember(name="Write", value=2)),
            ),
        },
        operations=(*FUNCTIONS, BOUND),
        imports={
            f.name.removeprefix("R."): OperationImport(
                name=f.name.removeprefix("R."), kind=OperationKind.FUNCTION, operation=f.name
            )
            for f in FUNCTIONS
        },
    )


class Service:
    """Answers by decoded address; the longest start that fits counts."""

    def __init__(
        self,
        dialect: Dialect = ODATA,
        answers: dict[str, Any] | None = None,
        roles: Sequence[Role] = (),
        **limits: Any,
    ) -> None:
        self.answers = answers or {}
        self.asked: list[str] = []
        catalog = Catalog(model(), abilities_of(dialect))
        client = client_over(self.answer, [])
        settings = ExecutionSettings(plans=PlanLimits(**limits))
        schema = build_schema(catalog, LoadedResolvers(catalog))
        rules = rules_of(schema, dialect, *roles) if roles else None
        self.engine = Engine(schema, client, dialect, settings, raise_bugs, rules=rules)

    def answer(self, request: httpx.Request) -> httpx.Response:
        url = urllib.parse.unquote(request.url.raw_path.decode().removeprefix("/data/"))
        self.asked.append(url)
        fitting = [start for start in self.answers if url.startswith(start)]
        if not fitting:
            return httpx.Response(404, headers={"OData-Version": "4.0"})
        found = self.answers[max(fitting, key=len)]
        if isinstance(found, httpx.Response):
            return found
        return httpx.Response(200, content=encode(found), headers=JSON)

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        request = GraphQLRequest(query=query, variables=variables)
        return (await self.engine.execute(request)).to_builtins()


def codes(answer: dict[str, Any]) -> list[tuple[list[Any], str]]:
    return [(e.get("path", []), e["extensions"]["code"]) for e in answer.get("errors", [])]
