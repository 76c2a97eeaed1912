"""A small model that holds every kind of value and relation, and an engine over it.

``Orders`` have each kind of value twice, nullable and not. They lead to a ``Party`` (an interface: ``Person`` and
``Firm`` are derived, a plain party is possible too), to lines, and lines to an open item; parties lead back to their
orders.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.events import Event, tee
from gateway.execution.fast_path import Slicing
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.client import ODataClient
from gateway.odata.dialect import ODATA, Dialect
from gateway.odata.finops import FINOPS
from gateway.odata.retry import Clock
from gateway.planning.limits import PlanLimits
from gateway.planning.row_bounds import ViewRules
from gateway.request import Answer, GraphQLRequest
from schema.catalog import Catalog
from schema.model.records import (
    ComplexType,
    EntitySet,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Navigation,
    Property,
    ReferentialConstraint,
    TypeRef,
)
from schema.types.build import ODataSchema, build_schema
from schema.unified.load import read_models
from schema.unified.records import ModelSpec
from tests.support.memory_odata import ROOT, Nav, Tables
from tests.support.observers import raise_defects

FO = replace(FINOPS, company_property=None)
"""Finance & Operations' ways, without companies."""
DIALECTS = {"odata": ODATA, "finops": FO}

KINDS: dict[str, str] = {
    "Text": "Edm.String",
    "Number": "Edm.Int32",
    "Small": "Edm.Int16",
    "Big": "Edm.Int64",
    "Amount": "Edm.Decimal",
    "Ratio": "Edm.Double",
    "Flag": "Edm.Boolean",
    "Open": "Zoo.NoYes",
    "Colour": "Zoo.Colour",
    "Rights": "Zoo.Rights",
    "Due": "Edm.DateTimeOffset",
    "Moment": "Edm.DateTimeOffset",
    "Day": "Edm.Date",
    "Clock": "Edm.TimeOfDay",
    "Span": "Edm.Duration",
    "Uid": "Edm.Guid",
    "Blob": "Edm.Binary",
    "Any": "Edm.GeographyPoint",
    "Home": "Zoo.Address",
}
LISTS: dict[str, str] = {
    "Labels": "Edm.String",
    "Colours": "Zoo.Colour",
    "Moments": "Edm.DateTimeOffset",
    "Amounts": "Edm.Decimal",
    "Places": "Zoo.Address",
    "Things": "Edm.GeographyPoint",
}


def prop(name: str, kind: str, *, nullable: bool = True, many: bool = False) -> Property:
    ax_type = "Date" if name.startswith("Due") else None
    return Property(name=name, type=TypeRef(kind, many), nullable=nullable, ax_type=ax_type)


def on(*pairs: tuple[str, str]) -> tuple[ReferentialConstraint, ...]:
    return tuple(ReferentialConstraint(own, theirs) for own, theirs in pairs)


def members(*names: str, flags: bool = False) -> tuple[EnumMember, ...]:
    return tuple(EnumMember(name=n, value=1 << i if flags else i) for i, n in enumerate(names))


def _types() -> tuple[EntityType, ...]:
    values = [
        prop(f"{name}{suffix}", kind, nullable=suffix == "", many=many)
        for kinds, many in ((KINDS, False), (LISTS, True))
        for name, kind in kinds.items()
        for suffix in ("", "Must")
    ]
    return (
        EntityType(
            name="Zoo.Order",
            key=("Area", "OrderId"),
            properties=(
                prop("Area", "Edm.String", nullable=False),
                prop("OrderId", "Edm.Int32", nullable=False),
                prop("Buyer", "Edm.String"),
                *values,
            ),
            navigations=(
                Navigation(
                    name="Party",
                    target="Zoo.Party",
                    on=on(("Area", "Area"), ("Buyer", "PartyId")),
                ),
                Navigation(name="Lines", target="Zoo.Line", many=True, partner="Order"),
            ),
        ),
        EntityType(
            name="Zoo.Line",
            key=("Area", "OrderId", "LineNo"),
            properties=(
                prop("Area", "Edm.String", nullable=False),
                prop("OrderId", "Edm.Int32", nullable=False),
                prop("LineNo", "Edm.Decimal", nullable=False),
                prop("Article", "Edm.String"),
                prop("Price", "Edm.Decimal", nullable=False),
                prop("Note", "Edm.String"),
                prop("Colour", "Zoo.Colour"),
            ),
            navigations=(
                Navigation(
                    name="Order",
                    target="Zoo.Order",
                    on=on(("Area", "Area"), ("OrderId", "OrderId")),
                ),
                Navigation(name="Item", target="Zoo.Item", on=on(("Article", "ItemId"))),
            ),
        ),
        EntityType(
            name="Zoo.Item",
            key=("ItemId",),
            open=True,
            properties=(prop("ItemId", "Edm.String", nullable=False), prop("Weight", "Edm.Double")),
        ),
        EntityType(
            name="Zoo.Party",
            key=("Area", "PartyId"),
            properties=(
                prop("Area", "Edm.String", nullable=False),
                prop("PartyId", "Edm.String", nullable=False),
                prop("Name", "Edm.String", nullable=False),
                prop("Since", "Edm.DateTimeOffset"),
            ),
            navigations=(
                Navigation(
                    name="Orders",
                    target="Zoo.Order",
                    many=True,
                    partner="Party",
                ),
            ),
        ),
        EntityType(
            name="Zoo.Person",
            base="Zoo.Party",
            properties=(
                prop("Age", "Edm.Int32", nullable=False),
                prop("Steps", "Edm.Int64", nullable=False),
                prop("Nick", "Edm.String"),
                prop("Mood", "Zoo.Colour"),
                prop("House", "Zoo.Address"),
                prop("Motto", "Edm.String"),
                prop("Grade", "Edm.String"),
            ),
            navigations=(
                Navigation(
                    name="Friend", target="Zoo.Party", on=on(("Area", "Area"), ("Nick", "PartyId"))
                ),
                Navigation(
                    name="Bought",
                    target="Zoo.Line",
                    many=True,
                    on=on(("Area", "Area"), ("Nick", "Article")),
                ),
            ),
        ),
        EntityType(
            name="Zoo.Firm",
            base="Zoo.Party",
            properties=(
                prop("Revenue", "Edm.Decimal"),
                prop("Listed", "Zoo.NoYes", nullable=False),
                prop("House", "Zoo.Address"),
                prop("Motto", "Edm.String"),
                prop("Grade", "Edm.Int32"),
            ),
        ),
    )


SETS = {"Orders": "Zoo.Order", "Lines": "Zoo.Line", "Items": "Zoo.Item", "Parties": "Zoo.Party"}
BINDINGS = {
    "Orders": {"Party": "Parties", "Lines": "Lines"},
    "Lines": {"Order": "Orders", "Item": "Items"},
    "Items": {},
    "Parties": {
        "Orders": "Orders",
        "Zoo.Person/Friend": "Parties",
        "Zoo.Person/Bought": "Lines",
    },
}
KEYS = {
    "Orders": ("Area", "OrderId"),
    "Lines": ("Area", "OrderId", "LineNo"),
    "Items": ("ItemId",),
    "Parties": ("Area", "PartyId"),
}
NAVS = {
    "Orders": {
        "Party": Nav("Parties", (("Area", "Area"), ("Buyer", "PartyId"))),
        "Lines": Nav("Lines", (("Area", "Area"), ("OrderId", "OrderId")), many=True),
    },
    "Lines": {
        "Order": Nav("Orders", (("Area", "Area"), ("OrderId", "OrderId"))),
        "Item": Nav("Items", (("Article", "ItemId"),)),
    },
    "Items": {},
    "Parties": {
        "Orders": Nav("Orders", (("Area", "Area"), ("PartyId", "Buyer")), many=True),
        "Friend": Nav("Parties", (("Area", "Area"), ("Nick", "PartyId"))),
        "Bought": Nav("Lines", (("Area", "Area"), ("Nick", "Article")), many=True),
    },
}


DECLARED = {
    name: frozenset({*(p.name for p in kind.properties), *(n.name for n in kind.navigations)})
    for name, csdl in SETS.items()
    for kind in _types()
    if kind.name == csdl
}


def model() -> Model:
    return Model(
        namespace="Zoo",
        entity_types={t.name: t for t in _types()},
        entity_sets={
            name: EntitySet(name=name, type=kind, bindings=BINDINGS[name])
            for name, kind in SETS.items()
        },
        complex_types={
            t.name: t
            for t in (
                ComplexType(
                    name="Zoo.Address",
                    properties=(
                        prop("City", "Edm.String", nullable=False),
                        prop("Zone", "Zoo.Colour"),
                        prop("Spot", "Zoo.Spot"),
                    ),
                ),
                ComplexType(
                    name="Zoo.Abroad",
                    base="Zoo.Address",
                    properties=(prop("Country", "Edm.String", nullable=False),),
                ),
                ComplexType(
                    name="Zoo.Spot",
                    properties=(
                        prop("North", "Edm.Double", nullable=False),
                        prop("Label", "Edm.String"),
                    ),
                ),
            )
        },
        enum_types={
            "Zoo.NoYes": EnumType(name="Zoo.NoYes", members=members("No", "Yes")),
            "Zoo.Colour": EnumType(name="Zoo.Colour", members=members("Red", "DarkGreen", "Blue")),
            "Zoo.Rights": EnumType(
                name="Zoo.Rights", members=members("Read", "Write", "Admin", flags=True), flags=True
            ),
        },
    )


def zoo_mapping() -> tuple[ModelSpec, ...]:
    """A unified model with each kind of field."""
    return read_models([Path(__file__).parent / "zoo_mapping.toml"])


def schema_of(dialect: Dialect, unified: tuple[ModelSpec, ...] = ()) -> ODataSchema:
    catalog = Catalog(model(), abilities_of(dialect))
    return build_schema(catalog, LoadedResolvers(catalog), unified=unified)


class Zoo:
    """An engine over tables; the tables may be changed between two operations."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        can_expand: bool = True,
        compiled: bool = True,
        schema: ODataSchema | None = None,
        max_url_length: int = 2_000,
        slicing: Slicing | None = None,
        rules: ViewRules | None = None,
        long_list_rows: int = 100,
    ) -> None:
        self.schema = schema or schema_of(dialect)
        self.tables = Tables({name: [] for name in SETS}, KEYS, NAVS, DECLARED)
        self.events: list[Event] = []
        settings = ExecutionSettings(
            plans=PlanLimits(can_expand=can_expand, long_list_rows=long_list_rows),
            compiled=compiled,
            max_url_length=max_url_length,
            slicing=slicing or Slicing(),
        )
        self.client = client_over(self._answer, self.events, dialect=dialect.name)
        observe = tee(raise_defects, self.events.append)
        self.engine = Engine(self.schema, self.client, dialect, settings, observe, rules=rules)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        return self.tables.answer(request)

    async def execute(
        self, query: str, variables: dict[str, Any] | None = None, **request: Any
    ) -> Answer:
        return await self.engine.execute(
            GraphQLRequest(query=query, variables=variables or {}, **request)
        )


def client_over(answer: Any, events: list[Event], **settings: object) -> ODataClient:
    async def sleep(_seconds: float) -> None:
        """Nobody waits."""

    return ODataClient(
        Settings.model_validate({"url": ROOT, **settings}),
        transport=httpx.MockTransport(answer),
        observe=events.append,
        clock=Clock(sleep=sleep),
    )
