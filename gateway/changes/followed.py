"""The list that ``changes`` follows: of ``Query``, or of a unified model, whose rows are followed.

    changes(set: "accounting.vendors") { upserts { id object { ... on UnifiedVendor { name } } } }

The changes of a unified list are those of its rows, under the conditions of its mapping: by the same sources, with the
same cursors. Its objects are then read by the ids of the rows that an answer brings, as ``vendorsById(ids:)``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from graphql import GraphQLInputType
from msgspec import Struct

from gateway.documents.input_coercion import coerce_json
from gateway.errors import BadArgument, UnsupportedQuery
from gateway.planning.change_queries import ChangeQuery, find_change_query, no_list
from gateway.planning.unified_arguments import condition_arguments, where_arguments
from gateway.planning.unified_lookups import Lookups
from schema.policy.records import Right
from schema.types.build import ODataSchema
from schema.unified.views import UnifiedType

from .feed import feed_where


class UnifiedList(Struct, frozen=True):
    """A list of a unified model."""

    model: str
    """The root field."""
    by_id: str
    """The field below it that returns objects by their ids."""
    view: UnifiedType


class Followed(Struct, frozen=True):
    """A list that is followed."""

    query: ChangeQuery
    """Of its rows."""
    unified: UnifiedList | None = None

    def where(self, schema: ODataSchema, where: object) -> Mapping[str, Any]:
        """Return the filter of the rows, in the words of the rows. Raises BadArgument."""
        if self.unified is None:
            return feed_where(self.query, where)
        view = self.unified.view
        terms = condition_arguments(view.where)
        if where is not None:
            name = f"{view.name}Where"
            if not schema.unified.has(name):
                raise BadArgument(f"{view.name} cannot be filtered.", hint="Omit where.")
            lookups = Lookups()
            # Only to find what is wrong: the rows' own filter is coerced when they are read.
            expected = cast("GraphQLInputType", schema.core.type_map[name])
            coerce_json(where, expected, what="where")
            assert isinstance(where, Mapping)
            terms.append(where_arguments(view, where, lookups))
            if lookups.needed:
                raise UnsupportedQuery(
                    "where: changes cannot be followed by a field that other rows decide.",
                    hint="Filter by a column of the row itself: see schema why.",
                )
        if len(terms) < 2:
            return terms[0] if terms else {}
        return {"and": terms}


def find_followed(schema: ODataSchema, name: str, stamps: Collection[str] = ()) -> Followed:
    """Return the list of a name; ``stamps`` are those of the settings.

    Raises BadArgument if there is none, UnsupportedQuery if its rows have no ids.
    """
    of = find_unified(schema, name)
    set_name = name if of is None else of.view.set_name
    # The error is in the words of the caller.
    if of is not None and not schema.catalog.gives(Right.SUBSCRIBE, set_name):
        raise no_list(name)
    return Followed(find_change_query(schema.catalog, set_name, stamps), of)


def find_unified(schema: ODataSchema, name: str) -> UnifiedList | None:
    """Return the list of a unified model of a name; None if there is none."""
    unified = schema.unified.find_list(name)
    if unified is None:
        return None
    space, root = unified
    return UnifiedList(space.name, f"{root.name}ById", schema.unified.type(root.short))
