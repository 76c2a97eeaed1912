"""Hand-written fields and types beside generated ones."""

from __future__ import annotations

import asyncio
import decimal
from datetime import date
from typing import Any

import pytest
import strawberry
from graphql import (
    build_schema as schema_of_sdl,
)
from graphql import (
    introspection_from_schema,
    print_schema,
)
from strawberry.permission import BasePermission

from schema.errors import NameCollisionError, SchemaError
from schema.types import scalars
from schema.types.build import ODataSchema
from schema.types.printing import print_sdl
from tests.support.shop import shop


def execute(schema: ODataSchema, query: str, **context: Any) -> Any:
    return asyncio.run(schema.execute(query, **context))


class IsFriend(BasePermission):
    message = "Friends only."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return bool(info.context["friend"])


@strawberry.type
class Report:
    title: str
    total: scalars.Decimal
    exact: decimal.Decimal


@strawberry.type
class Extra:
    @strawberry.field(description="By hand.", permission_classes=[IsFriend])
    async def report(
        self, info: strawberry.Info, title: str = "none", at: scalars.Date | None = None
    ) -> Report:
        shown = f"{title} {at} for {info.context['name']}"
        return Report(
            title=shown,
            total=scalars.Decimal(decimal.Decimal("1.50")),
            exact=decimal.Decimal("2.0"),
        )


@strawberry.type
class Unlisted:
    name: str


def test_hand_written_fields_resolve_next_to_generated_ones() -> None:
    schema = shop(
        {"me": {"__typename": "Group", "name": "A"}}, extra_query=Extra, extra_types=[Unlisted]
    )
    query = '{ report(title: "T", at: "2020-01-01") { title total exact } me { name } }'

    result = execute(schema, query, context_value={"friend": True, "name": "Bo"})

    assert result.errors is None
    assert result.data == {
        "report": {"title": "T 2020-01-01 for Bo", "total": "1.50", "exact": "2.0"},
        "me": {"name": "A"},
    }
    assert list(schema.core.query_type.fields)[:2] == ["report", "customersV3"]  # type: ignore[union-attr]
    assert schema.core.get_type("Unlisted") is not None


def test_permissions_of_hand_written_fields_hold() -> None:
    schema = shop({"me": None}, extra_query=Extra)

    result = execute(schema, "{ report { title } }", context_value={"friend": False})

    assert result.data is None
    assert [e.message for e in result.errors or ()] == ["Friends only."]


def test_a_schema_with_hand_written_fields_prints_and_introspects() -> None:
    core = shop(extra_query=Extra, extra_types=[Unlisted]).core

    assert print_schema(schema_of_sdl(print_sdl(core))) + "\n" == print_sdl(core)
    assert 'report(title: String! = "none", at: Date = null): Report!' in print_sdl(core)
    names = {t["name"] for t in introspection_from_schema(core)["__schema"]["types"]}
    assert names == set(core.type_map)


def named(name: str) -> type:
    """A hand-written type of that GraphQL name."""
    return strawberry.type(type("Made", (), {"__annotations__": {"a": int}}), name=name)


@pytest.mark.parametrize("name", ["CustomerV3", "GroupWhere", "Node", "PageInfo"])
def test_a_hand_written_type_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(NameCollisionError, match=f"hand-written {name} has the same name"):
        shop(extra_types=[named(name)])


def test_a_hand_written_field_needs_a_name_of_its_own() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def groups(self) -> int:
            return 1

    with pytest.raises(NameCollisionError, match=r"hand-written Query\.groups has the same name"):
        shop(extra_query=Query)


def test_another_scalar_of_a_generated_name_is_refused() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def today(self) -> date:
            return date(2020, 1, 1)

    with pytest.raises(NameCollisionError) as refused:
        shop(extra_query=Query)

    assert refused.value.hint == "Annotate it with schema.types.scalars.Date."


def test_an_undecorated_class_is_refused() -> None:
    class Query:
        pass

    with pytest.raises(SchemaError, match="extra_query Query is not a Strawberry type"):
        shop(extra_query=Query)
