"""A slice is a schema that clients take, and what it tells in full is what the whole tells."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from graphql import build_client_schema, print_schema, validate_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.catalog import Catalog
from schema.introspection import SliceRequest, write_slice
from schema.types.build import ODataSchema, build_schema
from schema.writes import Writes
from tests.support.introspections import EVERYTHING, introspect_with_gateway
from tests.support.metadata_documents import PROCUREMENT, TRADERS, TRIPS, is_finance, model_of
from tests.support.small_models import FINOPS, GENERIC, DictResolvers

DOCUMENTS = (PROCUREMENT, TRADERS, TRIPS)
ABSTRACT = ("INTERFACE", "UNION")


@cache
def schema_of(name: str) -> ODataSchema:
    catalog = Catalog(model_of(name), FINOPS if is_finance(name) else GENERIC)
    return build_schema(catalog, DictResolvers(), writes=Writes(catalog))


@cache
def whole(name: str) -> dict[str, Any]:
    answer = introspect_with_gateway(schema_of(name), EVERYTHING)
    return {made["name"]: made for made in answer["__schema"]["types"]}


def slice_of(name: str, wanted: SliceRequest) -> Any:
    schema = schema_of(name)
    return json.loads(write_slice(schema.copy_for(schema.catalog.fresh_copy()), wanted))


def types_of(answer: Any) -> dict[str, Any]:
    return {made["name"]: made for made in answer["__schema"]["types"]}


@st.composite
def wanteds(draw: st.DrawFn) -> tuple[str, SliceRequest]:
    name = draw(st.sampled_from(DOCUMENTS))
    types = whole(name)

    def some(names: list[str]) -> list[str]:
        return draw(st.lists(st.sampled_from(names), max_size=3))

    fields = {
        root: some([field["name"] for field in types[root.capitalize()]["fields"]])
        for root in ("query", "mutation")
        if root.capitalize() in types
    }
    steps = draw(st.integers(0, 1))
    return name, SliceRequest(fields=fields, types=some(list(types)), steps=steps)


@pytest.mark.heavy
@settings(deadline=None, max_examples=40)
@given(wanteds())
def test_any_slice_describes_requested_types_like_the_whole(
    asked: tuple[str, SliceRequest],
) -> None:
    name, wanted = asked
    answer = slice_of(name, wanted)
    types, all_types = types_of(answer), whole(name)

    assert validate_schema(build_client_schema(answer)) == []
    for root, names in wanted.fields.items():
        fields = {field["name"]: field for field in types[root.capitalize()]["fields"]}
        of_whole = {field["name"]: field for field in all_types[root.capitalize()]["fields"]}
        assert set(names) <= fields.keys()
        assert all(fields[each] == of_whole[each] for each in fields)
    assert set(wanted.types) <= types.keys()
    assert not set(wanted.types) & set(answer["partial"])
    for made in types.values():
        if made["name"] in answer["partial"]:
            check_partial(made, all_types[made["name"]])
        elif made["name"] not in ("Query", "Mutation"):
            check_full(made, all_types[made["name"]])


def check_full(made: Any, of_whole: Any) -> None:
    """The possible types of an abstract type are those of the slice."""
    possible = made["possibleTypes"]
    assert made == {**of_whole, "possibleTypes": possible}
    assert all(one in of_whole["possibleTypes"] for one in possible or ())
    assert made["kind"] in ABSTRACT or possible == of_whole["possibleTypes"]


def check_partial(made: Any, of_whole: Any) -> None:
    for place in ("fields", "inputFields"):
        assert (made[place] is None) == (of_whole[place] is None)
        assert all(member in of_whole[place] for member in made[place] or ())
        assert made[place] is None or 1 <= len(made[place]) <= 3


def test_types_of_other_rows_are_partial_beyond_the_steps() -> None:
    near = slice_of(TRADERS, SliceRequest(fields={"query": ["orders"]}))
    far = slice_of(TRADERS, SliceRequest(fields={"query": ["orders"]}, steps=1))

    assert "Customer" in near["partial"]
    assert "Customer" not in far["partial"]
    assert len(types_of(near)) < len(types_of(far))
    assert not {"Order", "OrderWhere", "OrderOrderBy", "OrderConnection"} & set(near["partial"])


def test_a_slice_without_wishes_has_what_every_schema_has() -> None:
    answer = slice_of(PROCUREMENT, SliceRequest())
    fields = [field["name"] for field in types_of(answer)["Query"]["fields"]]

    assert fields == ["node", "nodes"]
    assert answer["__schema"]["mutationType"] == {"name": "Mutation"}


def test_names_that_are_not_of_the_schema_are_passed_over() -> None:
    wanted = SliceRequest(fields={"query": ["nothing", "orders"], "other": ["x"]}, types=["Nobody"])

    answer = slice_of(TRADERS, wanted)

    assert "orders" in {field["name"] for field in types_of(answer)["Query"]["fields"]}
    assert "Nobody" not in types_of(answer)


def test_all_root_fields_and_types_make_the_whole_schema() -> None:
    name = TRIPS
    types = whole(name)
    fields = {
        root: [field["name"] for field in types[root.capitalize()]["fields"]]
        for root in ("query", "mutation")
    }

    answer = slice_of(name, SliceRequest(fields=fields, types=list(types)))

    expected = introspect_with_gateway(schema_of(name), EVERYTHING)
    printed = print_schema(build_client_schema(answer))
    assert answer["partial"] == []
    assert sorted(printed.split("\n\n")) == sorted(
        print_schema(build_client_schema(expected)).split("\n\n")
    )


@pytest.mark.parametrize("count", [1, 4])
def test_a_slice_reads_no_more_than_what_it_tells(count: int) -> None:
    """Rows that no relation leads to are not even looked at."""
    schema = schema_of(TRADERS)
    fresh = schema.copy_for(schema.catalog.fresh_copy())
    before = fresh.made_types
    names = [name for _, _, name in schema.catalog.set_roots()][:count]

    write_slice(fresh, SliceRequest(fields={"query": names}))

    assert fresh.made_types - before < 30  # the scalars and the wiring
